"""From data frames to formatted tables.

In: a frame and which column is formatted how. Out: :class:`Table` of plain text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from synapse_audit.report.kit.contents import Table
from synapse_audit.report.kit.csv_export import csv_text
from synapse_audit.report.kit.prose import UNKNOWN, number, percent, plain, spans, whole
from synapse_audit.report.kit.saved import SOURCE

LONGEST = 400
"""Rows shown; the rest stays in the run folder."""
INTERVAL = "_interval"
"""Ends the name of a column that writes ``_low`` and ``_high`` as one text."""


class Column(NamedTuple):
    """One column of a printed table."""

    title: str
    source: str
    format: Callable[[Any], str] = number


def text(value: Any) -> str:
    """Any cell as text; a dash for null."""
    return UNKNOWN if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)) else (
        plain(value)
    )  # fmt: skip


def interval_column(table: pd.DataFrame, name: str) -> pd.Series:
    """``low to high`` of ``name_low`` and ``name_high`` as text."""
    texts = spans(table[f"{name}_low"], table[f"{name}_high"])
    return pd.Series(texts, index=table.index, dtype=object)


def table_of(title: str, data: pd.DataFrame, columns: tuple[Column, ...]) -> Table:
    """The frame's rows as text; a column that is null everywhere is left out.

    Its CSV holds the same rows unrounded, under the names of the run folder's tables.

    Raises:
        KeyError: the frame has no such column, as where one was renamed.
    """
    kept = [c for c in columns if data[c.source].notna().any()]
    shown = data.head(LONGEST)
    cells = [[c.format(value) for value in shown[c.source]] for c in kept]
    more = f" (first {LONGEST} of {whole(len(data))} rows)" if len(data) > LONGEST else ""
    return Table(
        title=title + more,
        columns=tuple(c.title for c in kept),
        rows=tuple(zip(*cells, strict=True)) if cells else (),
        text_columns=frozenset(i for i, c in enumerate(kept) if c.format is text),
        csv=_csv(shown, [c.source for c in kept]),
        source=str(data.attrs.get(SOURCE, "")),
    )


def _csv(shown: pd.DataFrame, sources: list[str]) -> str:
    """The rows with numbers in place of what was made into text."""
    names = dict.fromkeys(name for source in sources for name in _numbers_of(source, shown))
    return csv_text(shown[list(names)].map(_raw))


def _raw(value: Any) -> Any:
    """Six digits of a number, and names without characters that hide text."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return plain(value) if isinstance(value, str) else value


def _numbers_of(source: str, table: pd.DataFrame) -> tuple[str, ...]:
    """Both ends of an interval in place of its text; any other column itself."""
    name = source.removesuffix(INTERVAL)
    ends = (f"{name}_low", f"{name}_high")
    return ends if source.endswith(INTERVAL) and set(ends) <= set(table.columns) else (source,)


def facts_table(title: str, facts: Mapping[str, Any]) -> Table:
    """Names and values, one pair a row."""
    rows = tuple((plain(name), text(value)) for name, value in facts.items())
    names = ("Name", "Value")
    return Table(
        title, names, rows, frozenset({0, 1}), csv=csv_text(pd.DataFrame(rows, columns=names))
    )


def with_intervals(table: pd.DataFrame, *names: str) -> pd.DataFrame:
    """The frame with one text column ``name_interval`` per name."""
    return table.assign(**{f"{name}{INTERVAL}": interval_column(table, name) for name in names})


SHARE = percent
COUNT = whole
