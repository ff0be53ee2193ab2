"""Class names that the labels themselves hold, where nobody gave those of a model."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from synapse_audit.data.labels import loose
from synapse_audit.data.tables import Columns, Table, brief, listing
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


def two_names(
    tables: Sequence[Table], columns: Columns, classes: Sequence[str], unnamed: Sequence[bool]
) -> tuple[str, str]:
    """Names of the two classes of a head with one output, those nobody gave from the labels.

    Args:
        classes: below and above the threshold, as they are called where labels do not say.
        unnamed: which of them nobody gave.

    Raises:
        DataError: labels are neither 0 and 1 nor two names of which the known one is one.
    """
    negative, positive = classes
    own = tables[0].id_names.get(columns.label)
    if own and len(own) == 2 and (unnamed[1] or own[1] == positive):
        return own[0], own[1]
    labels = pd.concat([table.frame[columns.label] for table in tables]).dropna()
    found = sorted({str(one).strip() for one in labels} - {""})
    if not unnamed[0] or {*found} <= {"0", "1", "0.0", "1.0"} or {*found} <= {negative, positive}:
        return negative, positive
    others = [name for name in found if loose(name) != loose(positive)]
    if not unnamed[1] and len(others) == 1:
        return others[0], positive
    known = "the model does not say what its one output is called"
    if not unnamed[1]:
        known = f"the model's one output is called '{positive}'"
    raise DataError(
        f"labels {listing([brief(name) for name in found], most=4)} of '{tables[0].source}' given; "
        f"{known}; expected two labels, and --class-names NEGATIVE,POSITIVE to say which of them "
        "the output is the probability of"
    )
