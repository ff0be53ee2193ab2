"""Slices: parts of the data, named by the values of a column, that get figures of their own.

In: tables and the names of columns. Out: each row's value as text, or None. Slices change neither
rows nor splits nor any other figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Shaped

from synapse_audit.data.columns import require_column
from synapse_audit.data.tables import Table, as_name, brief, is_missing
from synapse_audit.errors import DataError

MOST_VALUES = 100
"""Different values of one column."""


def read_slices(
    tables: Sequence[Table], columns: Sequence[str]
) -> dict[str, Shaped[np.ndarray, " examples"]]:
    """Column → the value of every row, those of a file to fit on after those of the data.

    The file to fit on need not have the columns: nothing is measured there. A cell without a value
    or with blanks alone is None, which is no slice.

    Raises:
        DataError: a column is missing, has no value at all, more than ``MOST_VALUES``, or one that
            is no text and no number.
    """
    return {name: _column(tables, name) for name in columns}


def _column(tables: Sequence[Table], name: str) -> Shaped[np.ndarray, " examples"]:
    first = tables[0]
    require_column(first, "slice", name)
    found = [_value(value, first, name) for value in first.frame[name].tolist()]
    there = {value for value in found if value is not None}
    if not 0 < len(there) <= MOST_VALUES:
        raise DataError(
            f"slice column '{name}' of '{first.source}' holds {len(there):,} different values; "
            f"expected 1 to {MOST_VALUES}, as of a language or a site"
        )
    for table in tables[1:]:
        has = name in map(str, table.frame.columns)
        values = table.frame[name].tolist() if has else [None] * len(table.frame)
        found += [_value(value, table, name) for value in values]
    return np.array(found, dtype=object)


def _value(value: Any, table: Table, name: str) -> str | None:
    if is_missing(value):
        return None
    if not isinstance(value, str | int | float | np.generic):
        raise DataError(
            f"slice column '{name}' of '{table.source}' holds {brief(str(value))}; expected a name "
            "or a number in every row that belongs to a slice"
        )
    text = as_name(value)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise DataError(
            f"slice column '{name}' of '{table.source}' is not valid Unicode; expected valid texts"
        )
    return text if text.strip() else None
