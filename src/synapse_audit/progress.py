"""How a long stage tells how far it is; the command line draws it, a library call stays silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, runtime_checkable

Advance = Callable[[float], None]
"""Adds finished work."""


@runtime_checkable
class Progress(Protocol):
    """Anything that can show stages and notes."""

    def stage(self, title: str, total: int | float) -> AbstractContextManager[Advance]:
        """A stage of ``total`` units of work; the ``with`` ends when the stage does."""

    def note(self, text: str) -> None:
        """One line for the reader."""


class Silent:
    """Shows nothing."""

    @contextmanager
    def stage(self, title: str, total: int | float) -> Iterator[Advance]:
        """Accepts progress and drops it."""
        yield lambda done: None

    def note(self, text: str) -> None:
        """Drops the line."""
