"""From tables to sound rows: every text is a text, every label a class of the model.

In: one or two tables and their columns. Out: a :class:`Pool`. Rows in messages count from
1, without the header.

One reading of the labels holds for all rows: either every label is a class name, or every label
is a model id. Deciding row by row would misread a model whose classes are called "1" to "5".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from synapse_audit.artifacts import Input
from synapse_audit.data.media import Medium
from synapse_audit.data.signals import read_signals
from synapse_audit.data.tables import DATA, FIT_DATA, Columns, Pool, Table, brief, listing
from synapse_audit.errors import DataError

_Reading = Mapping[str, int]
"""Label as written → index of the class; unknown labels are absent."""

_INTEGER = re.compile(r"([+-]?\d{1,9})(\.0+)?", re.ASCII)
_PLACEHOLDER = re.compile(r"LABEL_\d+", re.IGNORECASE)


def validate(
    tables: Sequence[Table],
    columns: Columns,
    classes: Sequence[str],
    medium: Medium | None = None,
) -> Pool:
    """Checks every row and reads its label; rows keep the order of the tables.

    Args:
        medium: what the inputs are; None: texts.

    Raises:
        DataError: a text is missing, empty or not a text; a signal is none or its file cannot be
            had; a label is missing or unknown to the model; a group is missing.
    """
    inputs = [one for table in tables for one in _inputs(table, columns, medium)]
    written = [label for table in tables for label in _labels(table, columns.label, classes)]
    sources = "' and '".join(table.source for table in tables)
    sizes = [len(table.frame) for table in tables]
    groups = None
    if columns.group is not None:
        names = [name for table in tables for name in _names(table, columns.group, "group")]
        groups = pd.factorize(np.array(names, dtype=object))[0].astype(np.int64)
    return Pool(
        inputs=tuple(inputs),
        labels=_label_indices(written, classes, source=sources),
        origin=np.repeat((DATA, FIT_DATA)[: len(sizes)], sizes).astype(np.int64),
        groups=groups,
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
    _reject(table, column, list(map(_is_missing, values)), "holds no text")
    kinds = [not isinstance(value, str) for value in values]
    lists = any(isinstance(value, list | np.ndarray) for value in values)
    hint = " (lists of token ids need --tokens ids)" if lists else ""
    _reject(table, column, kinds, f"holds something that is not a text{hint}")
    _reject(table, column, [not value.strip() for value in values], "is empty")
    _reject(table, column, [not _is_encodable(value) for value in values], "is not valid Unicode")
    return [str(value) for value in values]


def _labels(table: Table, column: str, classes: Sequence[str]) -> list[str]:
    """Labels as written, or by the dataset's own names where the model knows all of them."""
    written = _names(table, column, "label")
    own = dict(enumerate(table.id_names.get(column, ())))
    named = [own.get(int(i), i) for i in written] if own else written
    return named if len(_by_name(named, classes)) == len(set(named)) else written


def _label_indices(
    written: Sequence[str], classes: Sequence[str], *, source: str
) -> Int[np.ndarray, " examples"]:
    """Reads labels as class names or, where that fails, as model ids.

    A name matches exactly, or else without regard to case, spaces, hyphens and underscores.

    Raises:
        DataError: some labels are unknown to the model under either reading.
    """
    counts = Counter(written)
    readings = [_by_name(counts, classes), _by_id(counts, classes)]
    for reading in readings:
        if len(reading) == len(counts):
            return np.array([reading[label] for label in written], dtype=np.int64)
    unknown = [Counter({v: n for v, n in counts.items() if v not in r}) for r in readings]
    # The reading that explains more rows is the one that was meant; on a tie, names.
    raise _unknown_labels(min(unknown, key=Counter.total), classes, source)


def _by_name(labels: Iterable[str], classes: Sequence[str]) -> _Reading:
    """Reads labels as class names, exactly or without regard to case, spaces and hyphens."""
    exact = {name: index for index, name in enumerate(classes)}
    loose_counts = Counter(map(_loose, classes))
    loose = {_loose(name): i for name, i in exact.items() if loose_counts[_loose(name)] == 1}
    found = {label: exact.get(label, loose.get(_loose(label))) for label in labels}
    return {label: index for label, index in found.items() if index is not None}


def _by_id(labels: Iterable[str], classes: Sequence[str]) -> _Reading:
    matches = {label: _INTEGER.fullmatch(label.strip()) for label in labels}
    ids = {label: int(match[1]) for label, match in matches.items() if match}
    return {label: index for label, index in ids.items() if 0 <= index < len(classes)}


def _loose(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()


def _unknown_labels(unknown: Counter[str], classes: Sequence[str], source: str) -> DataError:
    worst = [f"{brief(label)} ({n} rows)" for label, n in unknown.most_common()]
    hint = ""
    if all(_PLACEHOLDER.fullmatch(name) for name in classes):
        hint = "; the model's classes have no names: set id2label in its config.json, or give ids"
    return DataError(
        f"labels unknown to the model in '{source}': {listing(worst, most=5)}; expected one of "
        f"the model's classes: {listing(classes)}, or their ids 0 to {len(classes) - 1}{hint}"
    )


def _names(table: Table, column: str, role: str) -> list[str]:
    """Values as text; 3 and 3.0 are the same name, since a gap makes pandas turn 3 into 3.0."""
    values = table.frame[column].tolist()
    _reject(table, column, list(map(_is_missing, values)), f"holds no {role}")
    names = [str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in values]
    _reject(table, column, [not name.strip() for name in names], f"holds no {role}")
    return names


def _reject(table: Table, column: str, bad: Sequence[bool], problem: str) -> None:
    if any(bad):
        raise DataError(
            f"column '{column}' of '{table.source}' {problem} in {sum(bad)} of {len(bad)} rows, "
            f"first in row {bad.index(True) + 1}; expected a value in every row: fill or remove "
            "those rows"
        )


def _is_missing(value: Any) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
