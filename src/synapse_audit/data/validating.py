"""From tables to sound rows: every text is a text, every label a class of the model.

In: one or two tables and their columns. Out: a :class:`Pool`. Rows in messages count from
1, without the header.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from synapse_audit.artifacts import Input
from synapse_audit.data.labels import ReadLabels, read_labels
from synapse_audit.data.media import Medium
from synapse_audit.data.signals import read_signals
from synapse_audit.data.tables import (
    DATA,
    FIT_DATA,
    Columns,
    Pool,
    Table,
    is_missing,
    names_in,
    reject,
)


def validate(
    tables: Sequence[Table],
    columns: Columns,
    classes: Sequence[str],
    medium: Medium | None = None,
    *,
    sets: bool = False,
) -> Pool:
    """Checks every row and reads its label; rows keep the order of the tables.

    Args:
        medium: what the inputs are; None: texts.
        sets: whether the label column holds sets of labels (:func:`with_sets`), which are then to
            be given strata.

    Raises:
        DataError: a text is missing, empty or not a text; a signal is none or its file cannot be
            had; a label is missing or unknown to the model; a group is missing.
    """
    inputs = [one for table in tables for one in _inputs(table, columns, medium)]
    if sets:
        held = np.concatenate([table.frame[columns.label].to_numpy(np.int64) for table in tables])
        read = ReadLabels(np.zeros(len(held), np.int64), ())
    else:
        held, read = None, read_labels(tables, columns.label, classes)
    sizes = [len(table.frame) for table in tables]
    groups = None
    if columns.group is not None:
        names = [name for table in tables for name in names_in(table, columns.group, "group")]
        groups = pd.factorize(np.array(names, dtype=object))[0].astype(np.int64)
    return Pool(
        inputs=tuple(inputs),
        labels=read.labels,
        origin=np.repeat((DATA, FIT_DATA)[: len(sizes)], sizes).astype(np.int64),
        groups=groups,
        notes=read.notes,
        sets=held,
    )


def _inputs(table: Table, columns: Columns, medium: Medium | None) -> list[Input]:
    if medium is not None:
        return list(read_signals(table, columns.text, medium))
    first = _texts(table, columns.text)
    if columns.pair is None:
        return list(first)
    return list(zip(first, _texts(table, columns.pair), strict=True))


def _texts(table: Table, column: str) -> list[str]:
    values = table.frame[column].tolist()
    reject(table, column, list(map(is_missing, values)), "holds no text")
    kinds = [not isinstance(value, str) for value in values]
    lists = any(isinstance(value, list | np.ndarray) for value in values)
    hint = " (lists of token ids need --tokens ids)" if lists else ""
    reject(table, column, kinds, f"holds something that is not a text{hint}")
    reject(table, column, [not value.strip() for value in values], "is empty")
    reject(table, column, [not _is_encodable(value) for value in values], "is not valid Unicode")
    return [str(value) for value in values]


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
