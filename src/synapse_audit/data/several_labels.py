"""Rows that hold several labels each: as sets, or one label of them as "present" or "absent".

In: tables whose rows have several labels each, as lists, as ``a|b``, or one column of 0 and 1 per
label. Out: the same tables with one more column. For all labels it holds each row's set as a whole
number (:mod:`synapse_audit.artifacts.label_sets`); for one it holds the label or its absence, so
that all that follows reads them as it does any two classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from synapse_audit.artifacts.label_sets import MOST_LABELS, decoded, encoded
from synapse_audit.data.columns import LABEL_NAMES, require_column
from synapse_audit.data.labels import BETWEEN, by_id, by_name
from synapse_audit.data.tables import Table, brief, is_missing, listing
from synapse_audit.errors import DataError

PRESENCE = "label present or absent"
"""The column that is added for one label."""

SETS = "set of labels"
"""The column that is added for all."""

LEAST_STRATUM = 15
"""Rows of a stratum: 5 for each split. The cap leaves so many of each alone."""

_YES, _NO = ("1", "1.0", "true"), ("0", "0.0", "false")


class OneOf(NamedTuple):
    """Which label of a multi-label model is audited."""

    label: str
    labels: tuple[str, ...]
    """All that the model knows; position = its output."""

    @property
    def classes(self) -> tuple[str, str]:
        """What absence and presence are called."""
        return f"not {self.label}", self.label


def with_presence(tables: Sequence[Table], column: str | None, one: OneOf) -> list[Table]:
    """Adds the column :data:`PRESENCE`, made from the labels of each row.

    Args:
        column: of the labels; None: a column that is called as labels usually are, or else one
            column per label.

    Raises:
        DataError: neither is there, or a row holds something that is no label of the model.
    """
    return [_added(table, column, one) for table in tables]


def with_sets(tables: Sequence[Table], column: str | None, labels: Sequence[str]) -> list[Table]:
    """Adds the column :data:`SETS`; the columns that hold the labels are left out.

    Args:
        column: as in :func:`with_presence`.

    Raises:
        DataError: as in :func:`with_presence`; or the labels are too many for a whole number.
    """
    if len(labels) > MOST_LABELS:
        raise DataError(
            f"{len(labels)} labels given; at most {MOST_LABELS} can be audited together; expected "
            "--label NAME, for the audit of one"
        )
    found = []
    for table in tables:
        source = _source(table, column, labels)
        held = [_one_hot(table, name) for name in source] if len(source) > 1 else None
        rows = np.array(held).T if held else _memberships(table, source[0], labels)
        frame = table.frame.drop(columns=source).assign(**{SETS: encoded(rows)})
        found.append(replace(table, frame=frame))
    return found


def label_strata(
    sets: Int[np.ndarray, " rows"], labels: int, origin: Int[np.ndarray, " rows"]
) -> Int[np.ndarray, " rows"]:
    """By what rows with sets are drawn, divided and weighted: the rarest label of each.

    So rare labels occur in every split. A label that is the rarest of fewer than
    :data:`LEAST_STRATUM` rows, of the data or of the file to fit on, has no stratum; its rows go to
    the next rarer label that they hold, those that are left to stratum ``labels``, and where these
    are too few as well, to the largest.
    """
    present = decoded(sets, labels)
    found = np.full(len(sets), labels, dtype=np.int64)
    free, sides = np.ones(len(sets), dtype=bool), np.unique(origin)

    def enough(mine: Bool[np.ndarray, " rows"]) -> bool:
        return all((mine & (origin == side)).sum() >= LEAST_STRATUM for side in sides)

    for label in np.argsort(present.sum(axis=0), kind="stable").tolist():
        mine = free & present[:, label]
        if enough(mine):
            found[mine], free = label, free & ~mine
    if free.any() and not free.all() and not enough(free):
        found[free] = np.bincount(found[~free]).argmax()
    return found


def _added(table: Table, column: str | None, one: OneOf) -> Table:
    source = _source(table, column, one.labels)
    if len(source) > 1:
        present = np.array(_one_hot(table, one.label))
    else:
        present = _memberships(table, source[0], one.labels)[:, one.labels.index(one.label)]
    absent, there = one.classes
    values = [there if yes else absent for yes in present]
    return replace(table, frame=table.frame.assign(**{PRESENCE: values}))


def _source(table: Table, column: str | None, labels: Sequence[str]) -> list[str]:
    """The column that holds the labels, or one column for each of several labels."""
    names = [str(name) for name in table.frame.columns]
    usual = [name for name in names if name.strip().casefold() in LABEL_NAMES]
    if column is None and len(usual) != 1 and {*labels} <= {*names} and len(labels) > 1:
        return [*labels]
    column = column or _the_usual(table, usual, names)
    require_column(table, "label", column)
    return [column]


def _memberships(
    table: Table, column: str, labels: Sequence[str]
) -> Bool[np.ndarray, "rows labels"]:
    held = [[name in row for name in labels] for row in _sets(table, column, labels)]
    return np.array(held, dtype=bool).reshape(-1, len(labels))


def _the_usual(table: Table, usual: Sequence[str], names: Sequence[str]) -> str:
    if len(usual) == 1:
        return usual[0]
    raise DataError(
        f"no label column given, and in '{table.source}' {len(usual)} columns could be it, and "
        "not every label has a column of its own; expected --label-column NAME, or one column of "
        f"0 and 1 per label; columns: {listing(names)}"
    )


def _one_hot(table: Table, label: str) -> list[bool]:
    values = [str(value).strip().casefold() for value in table.frame[label].tolist()]
    wrong = [value not in (*_YES, *_NO) for value in values]
    if any(wrong):
        at = wrong.index(True)
        raise DataError(
            f"column '{label}' of '{table.source}' holds {brief(values[at])} in row {at + 1}; "
            "expected 0 or 1 in every row"
        )
    return [value in _YES for value in values]


def _sets(table: Table, column: str, labels: Sequence[str]) -> Iterator[set[str]]:
    """The labels of each row, by the names or else the numbers that the model has for them."""
    own = table.id_names.get(column, ())
    rows = [_written(value, labels) for value in table.frame[column].tolist()]
    every = {text for row in rows for text in row}
    found = by_name(every, labels)
    if len(found) < len(every):
        ids = by_id(every, own or labels)
        if own:
            named = by_name([own[i] for i in ids.values()], labels)
            ids = {text: named[own[i]] for text, i in ids.items() if own[i] in named}
        found = ids if len(ids) > len(found) else found
    for at, row in enumerate(rows, start=1):
        unknown = [text for text in row if text not in found]
        if unknown:
            raise DataError(
                f"label {brief(unknown[0])} in row {at} of '{table.source}' is none of the "
                f"model's; expected names with | between, a list, or ids: {listing(labels)}"
            )
        yield {labels[found[text]] for text in row}


def _written(value: Any, labels: Sequence[str]) -> list[str]:
    """The labels of one row as written; none where the cell is empty."""
    if isinstance(value, list | tuple | set | np.ndarray):
        return [str(one).strip() for one in value]
    if is_missing(value) or not str(value).strip():
        return []
    if isinstance(value, float) and value.is_integer():
        return [str(int(value))]
    text = str(value).strip()
    if by_name([text], labels):
        return [text]  # names may hold a comma
    return [part for part in BETWEEN.split(text.strip("[]")) if part]
