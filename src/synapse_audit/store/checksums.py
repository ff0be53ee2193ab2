"""Hashes of the files of a run folder: what is damaged is as good as missing, and is made again.

The manifest holds the sha256 of every file that a run keeps. Where one that was made again comes
out otherwise than before (another device, another batch size), what was made from it no longer
belongs to it; those hashes are dropped in the same step, so that a kill in between changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

MADE_FROM: dict[str, tuple[str, ...]] = {
    "splits": (),
    "activations": (),
    "predictions": (),
    "attributions": (),
    "probes": ("activations",),
    "flips": ("activations",),
    "directions": ("activations", "probes"),
    "token_means": ("activations",),
    "rankings": ("activations", "attributions", "probes"),
    "sufficiency": ("activations", "rankings"),
    "stability": ("activations", "attributions", "probes", "rankings"),
    "outcomes": ("activations", "flips", "probes", "rankings"),
    "typed": ("activations", "predictions"),
    "membership": ("activations", "predictions"),
    "effects": ("outcomes", "predictions"),
    "class_effects": ("outcomes", "predictions"),
    "findings": (
        *(
            "activations",
            "directions",
            "effects",
            "membership",
            "outcomes",
            "predictions",
            "splits",
        ),
        *("stability", "sufficiency", "token_means", "typed"),
    ),
    "summary": ("effects", "findings", "outcomes"),
}
"""Files by the first part of their name → what they are made from besides model and data."""


def sha256_of(path: Path) -> str:
    """Hash of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def group_of(name: str) -> str:
    """The key of ``MADE_FROM``: ``activations`` of ``activations/layer_00.npy``."""
    return name.partition("/")[0].partition(".")[0]


def dependents(group: str) -> frozenset[str]:
    """All groups that are made from one, directly or not."""
    found = {name for name, sources in MADE_FROM.items() if group in sources}
    return frozenset(found.union(*map(dependents, found)))


def without(hashes: Mapping[str, str], name: str) -> dict[str, str]:
    """The hashes of what does not depend on a file that changes."""
    stale = dependents(group_of(name))
    return {n: found for n, found in hashes.items() if n != name and group_of(n) not in stale}
