"""Entries of the catalogue by a figure's keys."""

from __future__ import annotations

from collections.abc import Sequence

from synapse_audit.summary.catalogue import CATALOGUE, CHOICES
from synapse_audit.summary.entry import Entry, is_any, starts
from synapse_audit.summary.paths import dotted


def is_group(keys: Sequence[str]) -> bool:
    """Whether figures stand below these keys; such a group is unknown as a whole at times."""
    return any(len(keys) < len(entry.keys) and starts(entry.keys, keys) for entry in CATALOGUE)


def entry_of(keys: Sequence[str]) -> Entry | None:
    """The entry of a figure; the one with fewer open keys where two match."""
    found = [entry for entry in CATALOGUE if entry.matches(keys)]
    return min(found, key=lambda e: sum(map(is_any, e.keys)), default=None)


def is_choice(keys: Sequence[str]) -> bool:
    """Whether the answer is a name."""
    return dotted(keys) in CHOICES
