"""``docs/columns.md``: every table with its columns, made from the declarations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from synapse_audit.tables.column import Column, Values
from synapse_audit.tables.table import Table

HEAD = """# Tables and their columns

Every table of a run folder is a Parquet file; `result.table("redundancy.removal")` reads one, and
`result.to_csv(folder)` writes them all as CSV. Rates are weighted by example where the data were
thinned. A value that is unknown or does not apply is null, never 0. An interval holds 95 %; where
a row is the mean of random draws, its ends are the band in which one more draw would lie.

This page is made from `synapse_audit.tables` (`python -m tables.publish`, in `tests`).
"""

LATER = " (null in runs written before it was added)"


def columns_page(tables: Iterable[Table]) -> str:
    """The page, as Markdown."""
    return "\n".join([HEAD, *(_section(table) for table in tables)])


def _section(table: Table) -> str:
    rows = "\n".join([*_rows(table.columns), *_rows(table.optional, " (some runs)")])
    head = "| column | values | unit | meaning |\n|---|---|---|---|"
    return f"## `{table.file}`\n\nOne row is {table.row}.\n\n{head}\n{rows}\n"


def _rows(columns: Iterable[Column], note: str = "") -> Iterator[str]:
    for column in columns:
        said = f"{column.meaning}{LATER if column.later else note}"
        cells = (f"`{column.name}`", _kind(column.values), column.unit, said)
        escaped = (cell.replace("|", r"\|") for cell in cells)
        yield f"| {' | '.join(escaped)} |"


def _kind(values: Values) -> str:
    return {"flag": "true or false", "integer": "whole number"}.get(values.kind, values.kind)
