"""Class names that the labels themselves hold, where nobody gave those of a model."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from synapse_audit.data.tables import Columns, Table, brief
from synapse_audit.errors import DataError


def names_in_labels(tables: Sequence[Table], columns: Columns) -> tuple[str, ...]:
    """The names that a hub dataset gives its ids, or else the labels, in alphabetical order.

    Raises:
        DataError: labels are numbers, which say nothing about the order of a model's outputs.
    """
    own = tables[0].id_names.get(columns.label)
    if own:
        return tuple(own)
    labels = pd.concat([table.frame[columns.label] for table in tables]).dropna()
    numbers = labels[[not isinstance(one, str) or _is_number(one) for one in labels]]
    if len(numbers):
        raise DataError(
            f"label {brief(str(numbers.iloc[0]))} of '{tables[0].source}' is a number, and no "
            "class names given; expected labels that are names, or classes=…, such as "
            "classifier.classes"
        )
    return tuple(sorted({one.strip() for one in labels} - {""}))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
