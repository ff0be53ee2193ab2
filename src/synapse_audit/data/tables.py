"""The nouns that the rooms of ``data`` hand to each other.

A :class:`Table` is what a file holds, :class:`Columns` says which of its columns matter, and a
:class:`Pool` is what is left of one or two files once every row is known to be sound.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int, Shaped

from synapse_audit.artifacts import Input, Signal
from synapse_audit.artifacts.label_sets import decoded
from synapse_audit.errors import DataError

MIN_PER_CLASS = 5
"""Examples of each class that every split needs."""

DATA, FIT_DATA = 0, 1
"""The ``origin`` of an example: the data, or the separate file to fit on."""


@dataclass(frozen=True)
class Table:
    """The rows of one file or hub dataset, as written there."""

    source: str
    """As the user named it, for error messages."""
    frame: pd.DataFrame
    id_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Column of integer ids → names that the data itself gives them (``ClassLabel``)."""
    folder: Path | None = None
    """What paths in the table are relative to; None for a hub dataset."""
    note: str = ""
    """What a reader of results should know of how it was read."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns that are read; all different."""

    text: str
    """Of the input, whatever its kind."""
    label: str
    pair: str | None = None
    """Second text of a pair."""
    group: str | None = None


@dataclass(frozen=True)
class Pool:
    """Sound rows of ``--data`` and, after them, of ``--fit-data``."""

    inputs: tuple[Input, ...]
    labels: Int[np.ndarray, " examples"]
    """Index into the model's classes."""
    origin: Int[np.ndarray, " examples"]
    groups: Int[np.ndarray, " examples"] | None
    notes: tuple[str, ...] = ()
    """How labels were read, where a reader of results should know it."""
    slices: Mapping[str, Shaped[np.ndarray, " examples"]] = field(default_factory=dict)
    """Slice column → values as text, None where a row has none."""
    sets: Int[np.ndarray, " examples"] | None = None
    """The labels of each row, where it may have several; ``labels`` are then strata."""

    @property
    def truth(self) -> Int[np.ndarray, " examples"]:
        """What is known of each row: its class, or its set of labels."""
        return self.labels if self.sets is None else self.sets

    def take(self, rows: Int[np.ndarray, " chosen"]) -> Pool:
        """Some of the rows, in the order given."""
        groups = None if self.groups is None else self.groups[rows]
        inputs = tuple(self.inputs[i] for i in rows.tolist())
        slices = {name: values[rows] for name, values in self.slices.items()}
        sets = None if self.sets is None else self.sets[rows]
        return Pool(inputs, self.labels[rows], self.origin[rows], groups, self.notes, slices, sets)

    def digest(self, classes: Sequence[str]) -> str:
        """SHA-256 over every row in order: input, name of its class, group, origin.

        A file with ids hashes like the same file with names, and groups count by who shares one.
        """
        hashed = hashlib.sha256()
        groups = [None] * len(self.inputs) if self.groups is None else self.groups.tolist()
        names: list[object] = [classes[label] for label in self.labels.tolist()]
        if self.sets is not None:
            names = [[n for n, yes in zip(classes, row, strict=True) if yes]
                     for row in decoded(self.sets, len(classes)).tolist()]  # fmt: skip
        for row in zip(self.inputs, names, groups, self.origin.tolist(), strict=True):
            hashed.update(written(row) + b"\n")
        return hashed.hexdigest()


def written(value: object) -> bytes:
    """A value as JSON, for hashes; of a signal what makes it the same or another one.

    >>> written(("a text", None))
    b'["a text", null]'
    """
    return json.dumps(value, default=_identity).encode()


def _identity(value: object) -> list[str | int | None]:
    if not isinstance(value, Signal):
        raise TypeError(f"{type(value).__name__} is no input")
    return [value.sha256, value.rate]


def listing(names: Sequence[str], most: int = 20) -> str:
    """Names for an error message: all of them, or the first few and how many more there are.

    >>> listing(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def brief(value: str) -> str:
    """A value for an error message, on one line and cut where a wrong column holds whole texts.

    >>> brief("two\\nlines")
    "'two lines'"
    """
    line = " ".join(value.split())
    return f"'{line[:39]}…'" if len(line) > 40 else f"'{line}'"


def names_in(table: Table, column: str, role: str) -> list[str]:
    """Values as text; 3 and 3.0 are the same name, since a gap makes pandas turn 3 into 3.0.

    Raises:
        DataError: a row holds none.
    """
    values = table.frame[column].tolist()
    reject(table, column, list(map(is_missing, values)), f"holds no {role}")
    names = list(map(as_name, values))
    reject(table, column, [not name.strip() for name in names], f"holds no {role}")
    return names


def as_name(value: Any) -> str:
    """A cell as a name; 3 and 3.0 are the same.

    >>> as_name(3.0), as_name(0.5)
    ('3', '0.5')
    """
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def reject(table: Table, column: str, bad: Sequence[bool], problem: str) -> None:
    """Refuses a column some of whose rows are bad.

    Raises:
        DataError: it names the first such row.
    """
    if any(bad):
        raise DataError(
            f"column '{column}' of '{table.source}' {problem} in {sum(bad)} of {len(bad)} rows, "
            f"first in row {bad.index(True) + 1}; expected a value in every row: fill or remove "
            "those rows"
        )


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing."""
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))
