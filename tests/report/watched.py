"""A run that notes what is read of it: taking away anything else can change nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .fakes import FakeResult


class Noting(dict[str, Any]):
    """A mapping that notes which of its keys are asked for, and so do the mappings in it."""

    def __init__(self, held: Mapping[str, Any], asked: set[tuple[str, ...]], *path: str) -> None:
        parts = {
            k: Noting(v, asked, *path, k) if isinstance(v, dict) else v for k, v in held.items()
        }
        super().__init__(parts)
        self.asked, self.path = asked, path

    def __getitem__(self, key: str) -> Any:
        self.asked.add((*self.path, key))
        return super().__getitem__(key)


class Watched:
    """A run that notes which of its attributes and tables are read."""

    def __init__(self, result: FakeResult) -> None:
        self.result, self.attributes = result, set[str]()
        asked: set[tuple[str, ...]] = set()
        self.findings, self._asked = Noting(result.findings, asked), asked

    def __getattr__(self, name: str) -> Any:
        self.attributes.add(name)
        return getattr(self.result, name)

    @property
    def tables(self) -> list[tuple[str, ...]]:
        """Finding and table, of all that were read."""
        return sorted(path for path in self._asked if len(path) == 2)
