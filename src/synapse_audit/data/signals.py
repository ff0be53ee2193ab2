"""From the cells of a column to images, sounds and series, none of them decoded yet.

In: a table and the column that holds them. Out: one :class:`Signal` per row. Rows in messages count
from 1, without the header.

| a cell holds | as in |
|---|---|
| a path | CSV, JSONL, a folder of classes |
| bytes of a file | Parquet |
| ``{"bytes", "path"}`` | Parquet and hub datasets with images or sounds |
| ``{"array", "sampling_rate"}`` | Parquet and JSONL with decoded sounds, floats from −1 to 1 |
| nested lists of numbers | Parquet and JSONL with series, images or sounds |

Paths are relative to the folder that the table lies in and may not lead out of it, neither by
``..`` nor by being absolute: whoever wrote a table would otherwise decide which files of this
machine are opened. Links inside the folder are followed: they were laid by whoever owns it, and
caches of hubs consist of them.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synapse_audit.artifacts import Signal
from synapse_audit.data.media import Medium
from synapse_audit.data.tables import Table, brief
from synapse_audit.errors import DataError


@dataclass(frozen=True)
class _Cell:
    """Where a value stands, for messages and for the paths in it."""

    table: Table
    column: str
    row: int
    medium: Medium

    def __str__(self) -> str:
        return f"column '{self.column}' of '{self.table.source}', row {self.row}"

    def refuse(self, problem: str, expected: str) -> DataError:
        """One line about this cell."""
        return DataError(f"{self} {problem}; expected {expected}")


def read_signals(table: Table, column: str, medium: Medium) -> list[Signal]:
    """The signals of a column; files are read once, for their hash, and not kept.

    Raises:
        DataError: a cell is empty or holds something else, a path leads out of the table's folder
            or to no file. The message names the first such row.
    """
    values = table.frame[column].tolist()
    return [_read(v, _Cell(table, column, row, medium)) for row, v in enumerate(values, start=1)]


def _read(value: Any, cell: _Cell) -> Signal:
    rate, inner = None, None
    if isinstance(value, Mapping):
        rate, inner = _rate(value.get("sampling_rate"), cell), value.get("path")
        parts = (value.get(name) for name in ("bytes", "array", "path"))
        value = next((part for part in parts if part is not None), None)
    name = f"row {cell.row} of '{cell.table.source}'"
    if isinstance(inner, str):
        name = f"{brief(inner)} in {name}"
    if _is_empty(value):
        raise cell.refuse(f"holds no {cell.medium.one}", "one in every row")
    if isinstance(value, str):
        return _file(value, cell)
    if isinstance(value, bytes):
        return Signal(name, hashlib.sha256(value).hexdigest(), value)
    if isinstance(value, list | np.ndarray):
        return _array(value, name, rate, cell)
    raise cell.refuse(
        f"holds {brief(str(value))}, which is no {cell.medium.one}",
        "the path of a file, its bytes, or lists of numbers",
    )


def _is_empty(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, bytes | list | np.ndarray):
        return len(value) == 0
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _file(written: str, cell: _Cell) -> Signal:
    folder, given = cell.table.folder, brief(written)
    if folder is None:
        raise cell.refuse(f"holds the path {given}", "bytes, since a hub dataset is no folder")
    # Settled as written, before the file system is asked; what is settled is what is opened.
    root = folder.resolve()
    path = Path(os.path.normpath(root / written))
    if not path.is_relative_to(root):
        raise cell.refuse(
            f"holds the path {given}, which leads out of '{folder}'",
            "paths below the folder that the table lies in",
        )
    try:
        if not path.is_file():  # what is no file, such as a pipe, could be read for ever
            raise FileNotFoundError(errno.ENOENT, "no such file")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise cell.refuse(
            f"names the file {given}, which cannot be read ({error.strerror})",
            f"a file below '{folder}'",
        ) from error
    return Signal(f"'{folder / written}'", digest, path)


def _array(value: Any, name: str, rate: int | None, cell: _Cell) -> Signal:
    try:
        numbers = np.ascontiguousarray(_numbers(value))
    except (ValueError, TypeError) as error:
        raise cell.refuse(
            f"holds lists that are no {cell.medium.one}", "numbers in lists of equal lengths"
        ) from error
    hashed = hashlib.sha256(f"{numbers.dtype.str} {numbers.shape} {rate}".encode())
    hashed.update(numbers.data)
    return Signal(name, hashed.hexdigest(), numbers, rate)


def _numbers(value: Any) -> np.ndarray:
    """Nested lists, or arrays of arrays as Parquet gives them, as one array."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return np.stack([_numbers(part) for part in value])
    numbers = np.asarray(value)
    if numbers.dtype.kind not in "iuf" or not numbers.size:
        raise ValueError(f"{numbers.dtype} is no type of numbers")
    return numbers


def _rate(value: object, cell: _Cell) -> int | None:
    if value is None:
        return None
    try:
        rate = float(str(value))
    except ValueError:
        rate = 0.0
    if not rate.is_integer() or rate < 1:
        raise cell.refuse(
            f"holds the sampling rate {brief(str(value))}", "samples per second, a whole number"
        )
    return int(rate)
