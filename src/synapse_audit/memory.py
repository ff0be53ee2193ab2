"""Memory that hardly grows with the data: large arrays lie on disk and are read in blocks.

What is freed is given back to the system.

Each batch allocates and frees large tensors among small objects that stay, and the C library keeps
the holes for itself: live data stay the same while the resident set grows. glibc's ``malloc_trim``
hands whole free pages back. Telling glibc to map every large block separately would do as well, but
then each tensor is zeroed page by page anew: in trials that cost half as much CPU time again.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from time import monotonic
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

Item = TypeVar("Item")

NUMBERS = 2**20
"""Most numbers of one array on the way: 4 or 8 MB."""

PAUSE = 0.1
"""Seconds between two times that freed pages are given back among blocks. After each block it costs
a tenth of the time of the findings, since the next one needs the same pages."""


def peak_memory() -> int | None:
    """Bytes that this process has held in memory at most; None where the system does not say."""
    if sys.platform == "win32":
        return None
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most  # Linux counts in KiB


def row_chunks(rows: int, each: int) -> Iterator[slice]:
    """Rows a few at a time, so that no array on the way grows with the data.

    Every now and then what is freed is given back. One empty block where there is no row, so that a
    result still has its shape.

    Args:
        each: numbers that one row takes.
    """
    step = max(1, NUMBERS // max(1, each))
    yield from paced(slice(start, start + step) for start in range(0, max(1, rows), step))


def paced(items: Iterable[Item]) -> Iterator[Item]:
    """The items; between them what is freed is given back, at most once per ``PAUSE``."""
    last = monotonic()
    for number, item in enumerate(items):
        if number and monotonic() - last >= PAUSE:
            release_memory()
            last = monotonic()
        yield item


def gathered(items: Iterable[Item], size: Callable[[Item], int]) -> Iterator[list[Item]]:
    """The items, as many together as hold ``NUMBERS`` numbers.

    Args:
        size: numbers that an item holds.
    """
    held: list[Item] = []
    total = 0
    for item in items:
        held.append(item)
        total += size(item)
        if total >= NUMBERS:
            yield held
            held, total = [], 0
    if held:
        yield held


@runtime_checkable
class Allocate(Protocol):
    """Makes a writable array of zeros, in memory or memory-mapped."""

    def __call__(
        self, name: str, shape: tuple[int, int], dtype: type[np.generic] = np.float32
    ) -> np.ndarray:
        """The array; ``name``: of its file, where it has one."""


def in_memory(name: str, shape: tuple[int, int], dtype: Any = np.float32) -> np.ndarray:
    """A plain array; a run folder offers memory-mapped ones instead."""
    return np.zeros(shape, dtype)


def release_memory() -> None:
    """Returns free pages of the heap to the system; milliseconds, so once per batch or block.

    Does nothing where the C library is not glibc.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # no such function, library, or way to ask
        return None
    return found
