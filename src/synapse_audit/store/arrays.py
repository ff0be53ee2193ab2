"""Large arrays on disk, memory-mapped while they are filled; and the units of a sweep.

Space is allocated before an array is mapped: on a full disk a mapping without space ends the
process with SIGBUS, at the first page that finds none.
"""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from synapse_audit.memory import Allocate
from synapse_audit.store import atomic

SMALL = 2**24
"""Bytes below which a scratch array is kept in memory."""

ZEROS = bytes(2**20)

UNREADABLE = (
    *(OSError, ValueError, KeyError, EOFError, RuntimeError, TypeError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
"""What numpy and zipfile raise on a damaged ``.npz``."""


def open_new(path: Path, shape: tuple[int, int], dtype: type[np.generic]) -> np.ndarray:
    """A new ``.npy`` of zeros under that very name, memory-mapped, its space allocated.

    Raises:
        RunFolderError: there is no space, or the file exists.
    """
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
        "fortran_order": False,
        "shape": shape,
    }
    with atomic.writing(path):
        path.parent.mkdir(exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(path, flags, 0o666), "w+b") as file:
            try:
                np.lib.format.write_array_header_1_0(file, header)
                file.flush()
                return _mapped(file, shape, dtype)
            except OSError:
                path.unlink(missing_ok=True)
                raise


def scratch(folder: Path) -> Allocate:
    """Makes arrays for one calculation: large ones memory-mapped, gone as soon as unused."""

    def make(name: str, shape: tuple[int, int], dtype: type[np.generic] = np.float32) -> np.ndarray:
        if np.dtype(dtype).itemsize * shape[0] * shape[1] < SMALL:
            return np.zeros(shape, dtype)
        # Without a name from the start: nothing is left even by a process that is killed.
        with atomic.writing(folder / name), tempfile.TemporaryFile(dir=folder) as file:
            return np.asarray(_mapped(file, shape, dtype))

    return make


def _mapped(file: IO[bytes], shape: tuple[int, int], dtype: type[np.generic]) -> np.ndarray:
    """Zeros from where the file ends."""
    start = file.seek(0, os.SEEK_END)
    if shape[0] * shape[1] == 0:  # nothing can be mapped
        return np.zeros(shape, dtype)
    _reserve(file, start, shape[0] * shape[1] * np.dtype(dtype).itemsize)
    return np.memmap(file, dtype, "r+", offset=start, shape=shape)


def _reserve(file: IO[bytes], start: int, size: int) -> None:
    """Makes a file ``size`` bytes of zeros longer, in space that is really there."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), start, size)
        return
    for done in range(0, size, len(ZEROS)):
        file.write(ZEROS[: size - done])
    file.flush()


@dataclass(frozen=True)
class UnitFiles:
    """Finished pieces of a sweep, one ``.npz`` each."""

    path: Path
    note: Callable[[str], None] = lambda text: None
    """Called with what was found damaged."""

    def load(self, name: str) -> Mapping[str, np.ndarray] | None:
        """The unit of that name; None where there is none, or a damaged one.

        A zip file has a checksum for each array, which reading compares.
        """
        file = self.path / f"{name}.npz"
        if not file.is_file():
            return None
        try:
            # Opened here: numpy leaves a file open that it cannot read.
            with file.open("rb") as content, np.load(content, allow_pickle=False) as arrays:
                return {key: arrays[key] for key in arrays.files}
        except UNREADABLE:
            self.note(f"warning: outcomes/units/{file.name} is damaged; its cells are run again")
            return None

    def save(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keeps a unit, whole or not at all."""
        file = self.path / f"{name}.npz"
        with atomic.writing(file):
            self.path.mkdir(exist_ok=True)
        atomic.write_arrays(file, arrays)

    def clear(self) -> None:
        """Forgets all units: the finished outcomes hold them."""
        shutil.rmtree(self.path, ignore_errors=True)
