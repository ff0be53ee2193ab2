"""From labels as written to indices of the model's classes.

In: tables, their label column and the model's class names. Out: :class:`ReadLabels`.

One reading holds for all rows: either every label is a class name, or every label is a model id.
Deciding row by row would misread a model whose classes are called "1" to "5". Ids that the data
itself gives names to (``ClassLabel`` of the library ``datasets``) are read by those names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from synapse_audit.data.columns import LABEL_NAMES
from synapse_audit.data.tables import Table, brief, listing, names_in
from synapse_audit.errors import DataError

_Reading = Mapping[str, int]
"""Label as written → index of the class; unknown labels are absent."""

_INTEGER = re.compile(r"([+-]?\d{1,9})(\.0+)?", re.ASCII)
_PLACEHOLDER = re.compile(r"LABEL_\d+", re.IGNORECASE)
BETWEEN = re.compile(r"\s*[|,;]\s*")
"""What stands between several labels of one row."""
_ONE_LABEL = "expected one label per row, or with a multi-label model --label NAME"


class ReadLabels(NamedTuple):
    """Labels as the model numbers its classes."""

    labels: Int[np.ndarray, " examples"]
    notes: tuple[str, ...]
    """Where data and model name classes differently."""


def read_labels(tables: Sequence[Table], column: str, classes: Sequence[str]) -> ReadLabels:
    """Reads the labels of all tables in one way.

    Raises:
        DataError: a label is missing, unknown to the model, or several in one row; or the data
            gives its ids names that contradict the model's.
    """
    written: list[str] = []
    notes: list[str] = []
    for table in tables:
        _refuse_lists(table, column)
        own, note = _by_own_names(table, column, names_in(table, column, "label"), classes)
        written += own
        notes += [note] if note else []
    source = "' and '".join(table.source for table in tables)
    return ReadLabels(_indices(written, classes, source=source), tuple(dict.fromkeys(notes)))


def refuse_one_column_per_class(table: Table, label: str | None, classes: Sequence[str]) -> None:
    """Says what is wrong where no column is the label and every class has one: several labels.

    Raises:
        DataError: that is so.
    """
    names = {str(name) for name in table.frame.columns}
    guessable = any(name.strip().casefold() in LABEL_NAMES for name in names)
    if classes and label is None and not guessable and {*classes} <= names:
        raise DataError(
            f"'{table.source}' has one column per class ({listing(classes, most=3)}); {_ONE_LABEL}"
        )


def _refuse_lists(table: Table, column: str) -> None:
    values = table.frame[column].tolist()
    several = [isinstance(value, list | tuple | np.ndarray) for value in values]
    if any(several):
        raise DataError(
            f"column '{column}' of '{table.source}' holds lists of labels in {sum(several)} rows, "
            f"first in row {several.index(True) + 1}; {_ONE_LABEL}"
        )


def _by_own_names(
    table: Table, column: str, written: list[str], classes: Sequence[str]
) -> tuple[list[str], str]:
    """Labels by the data's own names for its ids, if it has them, and what to say of those.

    Raises:
        DataError: names that the model has stand at other ids, and others are unknown to it.
    """
    own = dict(enumerate(table.id_names.get(column, ())))
    ids = by_id(written, [*own.values()])
    if not own or len(ids) < len(set(written)):
        return written, ""
    named = {label: own[index] for label, index in ids.items()}
    known = by_name(named.values(), classes)
    if len(known) == len(set(named.values())):
        return [named[label] for label in written], ""
    unknown = sorted({name for name in named.values() if name not in known})
    moved = [n for i, n in sorted(own.items()) if n in known and known[n] != i]
    if moved:
        at = f"{moved[0]!r} id {[*own.values()].index(moved[0])}, the model id {known[moved[0]]}"
        raise DataError(
            f"'{table.source}' gives {at}, and the model has no class {listing(unknown, most=3)}; "
            f"expected names that the model has: {listing(classes)}"
        )
    pairs = [
        f"{i} {name!r} there and {classes[i]!r} in the model"
        for i, name in sorted(own.items())
        if i < len(classes) and name in unknown
    ]
    return written, (
        f"labels of '{table.source}' taken as the model's ids, though it names them otherwise: "
        f"{listing(pairs, most=6)}"
    )


def _indices(
    written: Sequence[str], classes: Sequence[str], *, source: str
) -> Int[np.ndarray, " examples"]:
    """Reads labels as class names or, where that fails, as model ids.

    A name matches exactly, or else without regard to case, spaces, hyphens and underscores.

    Raises:
        DataError: some labels are unknown to the model under either reading.
    """
    counts = Counter(written)
    readings = [by_name(counts, classes), by_id(counts, classes)]
    for reading in readings:
        if len(reading) == len(counts):
            return np.array([reading[label] for label in written], dtype=np.int64)
    unknown = [Counter({v: n for v, n in counts.items() if v not in r}) for r in readings]
    # The reading that explains more rows is the one that was meant; on a tie, names.
    raise _unknown_labels(min(unknown, key=Counter.total), classes, source)


def by_name(labels: Iterable[str], classes: Sequence[str]) -> _Reading:
    """Reads labels as class names, exactly or without regard to case, spaces and hyphens."""
    exact = {name: index for index, name in enumerate(classes)}
    loose_counts = Counter(map(loose, classes))
    loosely = {loose(name): i for name, i in exact.items() if loose_counts[loose(name)] == 1}
    found = {label: exact.get(label, loosely.get(loose(label))) for label in labels}
    return {label: index for label, index in found.items() if index is not None}


def by_id(labels: Iterable[str], classes: Sequence[str]) -> _Reading:
    """Reads labels as numbers of classes, from 0 on."""
    matches = {label: _INTEGER.fullmatch(label.strip()) for label in labels}
    ids = {label: int(match[1]) for label, match in matches.items() if match}
    return {label: index for label, index in ids.items() if 0 <= index < len(classes)}


def loose(name: str) -> str:
    """A name without what names are written differently in: case, spaces, hyphens."""
    return re.sub(r"[\s_-]+", "", name).casefold()


def _unknown_labels(unknown: Counter[str], classes: Sequence[str], source: str) -> DataError:
    worst = [f"{brief(label)} ({n} rows)" for label, n in unknown.most_common()]
    return DataError(
        f"labels unknown to the model in '{source}': {listing(worst, most=5)}; expected one of "
        f"the model's classes: {listing(classes)}, or their ids 0 to {len(classes) - 1}"
        f"{_hint(unknown, classes)}"
    )


def _hint(unknown: Iterable[str], classes: Sequence[str]) -> str:
    if all(_PLACEHOLDER.fullmatch(name) for name in classes):
        return "; the model's classes have no names: set id2label in its config.json, or give ids"
    for label in unknown:
        shared = [name for name in classes if re.fullmatch(rf"{re.escape(label)} \(\d+\)", name)]
        if len(shared) > 1:
            return f"; {brief(label)} is the name of several: {listing(shared, most=5)}"
        parts = BETWEEN.split(label)
        if len(parts) > 1 and len(by_name(parts, classes)) == len(set(parts)):
            return f"; {brief(label)} looks like {len(parts)} labels: {_ONE_LABEL}"
    return ""
