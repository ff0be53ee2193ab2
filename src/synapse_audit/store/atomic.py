"""Writes files whole or not at all: to a temporary name beside the target, then moved."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SUFFIX = ".partial"
"""Ending of unfinished files; they are ignored when read and replaced when written again."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path; on success it becomes ``path``, on failure it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + SUFFIX)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes JSON with sorted nothing: the order is the writer's."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=_plain, allow_nan=False)
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Writes Parquet; equal tables give equal bytes."""
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False, compression="zstd")


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an ``.npz`` of plain arrays."""
    # numpy before 2.2 takes savez(allow_pickle=False) for one more array.
    plain: dict[str, Any] = dict(arrays)
    objects = sorted(name for name, array in plain.items() if array.dtype.hasobject)
    if objects:
        raise TypeError(f"array '{objects[0]}' holds Python objects; expected plain numbers")
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **plain)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
