"""The row of a table that is picked for its largest value, as a figure that may be quoted.

The interval holds for all rows at once, since which of them would be quoted was decided by the
values themselves (:mod:`synapse_audit.effects.selection`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from synapse_audit.effects.selection import largest_of
from synapse_audit.summary import Figure

ENDS = ("", "_low", "_high")


class PickedBy(NamedTuple):
    """What is compared over the rows: ``name``, ``name_low`` and ``name_high`` are its columns."""

    name: str
    least: float = -1.0
    """Smallest value possible; the largest is 1."""
    smallest: bool = False
    """Whether the smallest value is picked rather than the largest."""


def picked_figure(
    rows: pd.DataFrame,
    column: PickedBy,
    *,
    tied: str,
    beside: Sequence[str] = (),
    reason: str = "none was run",
) -> Figure:
    """The largest value of a column, its interval widened to hold for every row at once.

    Args:
        rows: the 95 % intervals are those of each row by itself. Rows without a value are passed
            over.
        column: what is picked by.
        tied: column of names; those indistinguishable from the picked row's stand beside the
            figure as ``tied``, its own included.
        beside: columns whose values in the picked row stand beside the figure; null as None.
        reason: why the figure is unknown where no row has a value.
    """
    ends = [f"{column.name}{end}" for end in ENDS]
    rows = rows.dropna(subset=ends)
    if rows.empty:
        return Figure.unknown(reason)
    value, low, high = (rows[end].to_numpy(dtype=float) for end in ends)
    if column.smallest:
        found = largest_of(-value, -high, -low)
        bounds = (-found.high, -found.low)
    else:
        found = largest_of(value, low, high)
        bounds = (found.low, found.high)
    row = rows.iloc[found.place]
    facts = {name: _plain(row[name]) for name in beside}
    names = sorted({str(name) for name in rows[tied][found.tied]})
    return Figure(
        float(value[found.place]),
        max(bounds[0], column.least),
        min(bounds[1], 1.0),
        beside={**facts, "tied": names, "tried": len(rows)},
    )


def _plain(value: Any) -> Any:
    """A value of a row as JSON has it."""
    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value
