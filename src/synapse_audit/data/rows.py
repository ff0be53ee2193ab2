"""Rows of numbers: several columns of a table as one input.

In: tables and the columns asked for, in the model's order, or ``*``. Out: the same tables with one
column more, which holds a vector of float32 per row, so that all that follows treats it as it does
a series in a cell. Rows in messages count from 1, without the header.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from synapse_audit.data.columns import choose_columns, require_column
from synapse_audit.data.media import Medium
from synapse_audit.data.tables import Columns, Table, brief, listing
from synapse_audit.errors import DataError

TABLE = "table"
"""Modality of a model that reads rows of numbers."""

EVERY = "*"
"""In place of names: every column of numbers but those of label, group and slices."""

VECTOR = "numbers of a row"
"""The column that is added."""

ROW = Medium(one="row of numbers", columns=((VECTOR,),), suffixes=())


class Rows(NamedTuple):
    """Tables, and which of their columns hold what."""

    tables: list[Table]
    columns: Columns
    numbers: tuple[str, ...] = ()
    """Columns that vectors were made of, in order; empty where inputs are no vectors."""


def as_rows(
    tables: Sequence[Table],
    asked: Sequence[str],
    *,
    label: str | None,
    group: str | None,
    slices: Sequence[str] = (),
) -> Rows:
    """Puts the columns asked for together; label and group are guessed and checked as for texts.

    Args:
        asked: names of columns in the model's order, or ``*`` alone: all columns, in the order of
            the first table, in which more than half of the values given are numbers.
        slices: columns that ``*`` leaves out as it does label and group; by name they can be read.

    Raises:
        DataError: a column is missing, named twice or no number at all; a value is missing, no
            number, or none that float32 can hold. The message names the first such row and column.
    """
    first = tables[0]
    placed = replace(first, frame=first.frame.assign(**{VECTOR: None}))
    columns = choose_columns(placed, text=VECTOR, pair=None, label=label, group=group, medium=ROW)
    taken = {"label": columns.label, "group": columns.group}
    if list(asked) == [EVERY]:
        names = _every(first, (*taken.values(), *slices))
    else:
        names = _named(first, asked, taken)
    for table in tables[1:]:
        for name in names:
            require_column(table, "input", name)
    return Rows([_with_vectors(table, names) for table in tables], columns, names)


def _named(table: Table, asked: Sequence[str], taken: dict[str, str | None]) -> tuple[str, ...]:
    for name in asked:
        require_column(table, "input", name)
        if list(asked).count(name) > 1:
            raise DataError(f"column '{name}' given twice; expected each column once")
        for role, other in taken.items():
            if name == other:
                raise DataError(
                    f"column '{name}' of '{table.source}' is an input and the {role}; expected "
                    f"--{role}-column with another one, or columns without it"
                )
    return tuple(asked)


def _every(table: Table, taken: Iterable[str | None]) -> tuple[str, ...]:
    columns = [str(name) for name in table.frame.columns]
    names = tuple(n for n in columns if n not in {*taken} and _is_numeric(table.frame[n].tolist()))
    if not names:
        raise DataError(
            f"columns '{EVERY}' given; '{table.source}' has none that holds numbers besides label "
            f"and group; columns: {listing(columns)}"
        )
    return names


def _is_numeric(values: Sequence[Any]) -> bool:
    given = [value for value in values if not _is_missing(value)]
    return 2 * sum(_number(value) is not None for value in given) > len(given)


def _with_vectors(table: Table, names: Sequence[str]) -> Table:
    numbers = np.stack([_column(table, name) for name in names], axis=1)
    vectors = pd.Series(list(numbers), index=table.frame.index, dtype=object)
    return replace(table, frame=table.frame.assign(**{VECTOR: vectors}))


def _column(table: Table, name: str) -> Float[np.ndarray, " rows"]:
    values = table.frame[name].tolist()
    found = [_number(value) for value in values]
    if None in found:
        at = found.index(None)
        here = f"column '{name}' of '{table.source}', row {at + 1}"
        raise DataError(f"{here} {_why_none(values[at])}; expected a number in every row")
    # Adding 0 makes one zero of -0 and 0: rows that differ in nothing else are the same input.
    return np.array(found, dtype=np.float32) + np.float32(0)


def _number(value: Any) -> float | None:
    """A value as a finite number that float32 can hold; None where it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) <= _LARGEST else None


_LARGEST = float(np.finfo(np.float32).max)


def _why_none(value: Any) -> str:
    if _is_missing(value):
        return "holds no value"
    return f"holds {brief(str(value))}, which is no number that a model can read"


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))
