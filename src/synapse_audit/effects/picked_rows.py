"""The row of a table that is picked for its largest value, as a figure that may be quoted.

The interval holds for all rows at once, since which of them would be quoted was decided by the
values themselves (:mod:`synapse_audit.effects.selection`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from synapse_audit.effects.curves import where
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
    if_not_above_0: str = ""
    """Why the figure is unknown where the interval does not lie above 0; it is known if empty."""


class Picked(NamedTuple):
    """The picked row."""

    row: pd.Series
    value: float
    low: float
    high: float
    """Ends of an interval that holds for every row at once."""
    tied: list[Any]
    """Names of the rows that are indistinguishable from it, its own included, each once."""
    tried: int
    """How many rows there were."""

    def figure(self, beside: Sequence[str] = ()) -> Figure:
        """The value with ``tied`` and ``tried`` beside it, and the row's values in some columns."""
        facts = {name: _plain(self.row[name]) for name in beside}
        facts |= {"tied": self.tied, "tried": self.tried}
        return Figure(self.value, self.low, self.high, beside=facts)


def picked(rows: pd.DataFrame, column: PickedBy, *, tied: str) -> Picked | None:
    """The row with the largest value of a column; None where no row has one.

    Args:
        rows: the 95 % intervals are those of each row by itself. Rows without a value are passed
            over.
        column: what is picked by.
        tied: column of names.
    """
    ends = [f"{column.name}{end}" for end in ENDS]
    rows = rows.dropna(subset=ends)
    if rows.empty:
        return None
    value, low, high = (rows[end].to_numpy(dtype=float) for end in ends)
    if column.smallest:
        found = largest_of(-value, -high, -low)
        bounds = (-found.high, -found.low)
    else:
        found = largest_of(value, low, high)
        bounds = (found.low, found.high)
    return Picked(
        rows.iloc[found.place],
        float(value[found.place]),
        max(bounds[0], column.least),
        min(bounds[1], 1.0),
        sorted({_plain(name) for name in rows[tied][found.tied]}),
        len(rows),
    )


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
        rows: as for :func:`picked`, which says what ``column`` and ``tied`` are too.
        beside: columns whose values in the picked row stand beside the figure; null as None.
        reason: why the figure is unknown where no row has a value. ``largest`` stands beside one
            that is unknown since it is not shown to lie above 0.
    """
    found = picked(rows, column, tied=tied)
    if found is None:
        return Figure.unknown(reason)
    if column.if_not_above_0 and found.low <= 0:
        return Figure(np.nan, reason=column.if_not_above_0, beside={"largest": found.value})
    return found.figure(beside)


def costliest_layer(layers: pd.DataFrame, measure: str) -> Figure:
    """The layer that costs most where its top neurons alone are held at their mean.

    The interval holds for all layers and shares at once, since the largest was picked; unknown
    where not even the largest loss is above 0 with that certainty: then no layer is named.

    Args:
        layers: ``operator``, ``layer``, ``fraction`` and ``drop`` with its ends.
        measure: what is lost, in words.
    """
    return picked_figure(
        where(layers, {"operator": "mean"}),
        PickedBy("drop", if_not_above_0=f"no layer silenced alone is shown to cost {measure}"),
        tied="layer",
        beside=("layer", "fraction"),
        reason="no layer was silenced alone",
    )


def _plain(value: Any) -> Any:
    """A value of a row as JSON has it."""
    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value
