"""Writes files whole or not at all: to a temporary name beside the target, then moved.

A temporary file is made with a random name, by ``O_EXCL | O_NOFOLLOW``: a link that somebody left
in the folder is never written through. What cannot be written (a full disk, a folder that is gone)
is a :class:`~synapse_audit.errors.RunFolderError` of one line.
"""

from __future__ import annotations

import io
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from synapse_audit.errors import RunFolderError, first_line

SUFFIX = ".partial"
"""Ending of unfinished files; they are ignored when read and removed by the next run."""


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Yields a temporary file; on success it becomes ``path``, on failure it is removed.

    Raises:
        RunFolderError: it cannot be written; what was there before stays.
    """
    with writing(path):
        temporary, file = create(path)
        try:
            with file:
                yield file
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the system says against writing ``path`` into one line."""
    try:
        yield
    except OSError as error:
        raise RunFolderError(
            f"'{path}' cannot be written: {error.strerror or first_line(error)}; expected a folder "
            "that stays, with enough space: the same command goes on from here"
        ) from error


def create(path: Path) -> tuple[Path, IO[bytes]]:
    """A new, empty temporary file beside ``path``, to read and write."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}{SUFFIX}")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    return temporary, os.fdopen(os.open(temporary, flags, 0o666), "w+b")


def clear_partial(folder: Path) -> None:
    """Removes what an interrupted run left unfinished; links are removed, not followed."""
    for leftover in folder.glob(f"*{SUFFIX}"):
        with suppress(OSError):
            leftover.unlink()


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Writes bytes."""
    with replacing(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes a JSON object."""
    write_bytes(path, json_bytes(value))


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an ``.npz`` of plain arrays."""
    write_bytes(path, arrays_bytes(arrays))


# Made in memory and written at once: a full disk never ends a library's writer in the middle.


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """JSON with sorted nothing: the order is the writer's."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=_plain, allow_nan=False)
    return f"{text}\n".encode()


def table_bytes(table: pd.DataFrame) -> memoryview:
    """Parquet; equal tables give equal bytes."""
    content = io.BytesIO()
    table.to_parquet(content, index=False, compression="zstd")
    return content.getbuffer()


def arrays_bytes(arrays: Mapping[str, np.ndarray]) -> memoryview:
    """An ``.npz`` of plain arrays, in memory.

    Raises:
        TypeError: an array holds Python objects, which only a pickle could keep.
    """
    # numpy before 2.2 takes savez(allow_pickle=False) for one more array.
    plain: dict[str, Any] = dict(arrays)
    objects = sorted(name for name, array in plain.items() if array.dtype.hasobject)
    if objects:
        raise TypeError(f"array '{objects[0]}' holds Python objects; expected plain numbers")
    content = io.BytesIO()
    np.savez(content, **plain)
    return content.getbuffer()


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
