"""From data frames to formatted tables.

In: a frame and which column is formatted how. Out: :class:`Table` of plain text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from synapse_audit.report.kit.contents import Table
from synapse_audit.report.kit.prose import UNKNOWN, number, percent, plain, spans, whole

LONGEST = 400
"""Rows shown; the rest stays in the run folder."""


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
    """The frame's rows as text; a column that is null everywhere is left out."""
    kept = [c for c in columns if c.source in data.columns and data[c.source].notna().any()]
    shown = data.head(LONGEST)
    cells = [[c.format(value) for value in shown[c.source]] for c in kept]
    more = f" (first {LONGEST} of {whole(len(data))} rows)" if len(data) > LONGEST else ""
    return Table(
        title=title + more,
        columns=tuple(c.title for c in kept),
        rows=tuple(zip(*cells, strict=True)) if cells else (),
        text_columns=frozenset(i for i, c in enumerate(kept) if c.format is text),
    )


def facts_table(title: str, facts: Mapping[str, Any]) -> Table:
    """Names and values, one pair a row."""
    rows = tuple((plain(name), text(value)) for name, value in facts.items())
    return Table(title, ("Name", "Value"), rows, frozenset({0, 1}))


def with_intervals(table: pd.DataFrame, *names: str) -> pd.DataFrame:
    """The frame with one text column ``name_interval`` per name."""
    return table.assign(**{f"{name}_interval": interval_column(table, name) for name in names})


SHARE = percent
COUNT = whole
