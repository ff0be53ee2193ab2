"""What two runs have in common, and what therefore must not be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from synapse_audit.store import AuditResult

SAME_EXAMPLES = ("data", "classes", "seed", "rows kept", "splits")
"""Without these in common, nothing is paired."""


class Comparable(NamedTuple):
    """What differs between two runs, and what that forbids."""

    different: Mapping[str, str]
    """Aspect → what each run has, for a reader."""

    @property
    def paired(self) -> bool:
        """Whether both evaluated the same examples, so that their answers may be paired."""
        return not set(SAME_EXAMPLES) & set(self.different)

    @property
    def same_grid(self) -> bool:
        """Whether both ran the same experiments, so that figures of them may be compared."""
        return not {"classes", "grid"} & set(self.different)

    def why_not_paired(self) -> str:
        """The first reason why nothing is paired; empty where all is."""
        found = (self.different[name] for name in SAME_EXAMPLES if name in self.different)
        return next(found, "")

    def why_not_same_grid(self) -> str:
        """The first reason why figures of experiments are not compared; empty where they are."""
        found = (self.different[name] for name in ("classes", "grid") if name in self.different)
        return next(found, "")


def comparable(one: AuditResult, other: AuditResult) -> Comparable:
    """What differs between two runs."""
    different = {
        aspect: f"{aspect} differ: {_shown(mine)} against {_shown(theirs)}"
        for aspect, mine, theirs in _aspects(one, other)
        if mine != theirs
    }
    if not different and not one.splits.equals(other.splits):
        different["splits"] = "splits differ: other examples are evaluated"
    grid = _grid_difference(one, other)
    return Comparable(different | ({"grid": grid} if grid else {}))


def _aspects(one: AuditResult, other: AuditResult) -> list[tuple[str, Any, Any]]:
    paths = {
        "data": ("data", "sha256"),
        "seed": ("seed",),
        "rows kept": ("data", "n_used"),
    }
    found = [
        (name, _dig(one.manifest, *path), _dig(other.manifest, *path))
        for name, path in paths.items()
    ]
    return [*found, ("classes", one.summary.get("classes"), other.summary.get("classes"))]


def _grid_difference(one: AuditResult, other: AuditResult) -> str:
    mine, theirs = (_dig(run.manifest, "config", "grid") or {} for run in (one, other))
    names = sorted(k for k in {*mine, *theirs} if mine.get(k) != theirs.get(k))
    if not names:
        return ""
    name = names[0]
    more = f" and {len(names) - 1} more settings" if len(names) > 1 else ""
    return f"grid differs: {name} {_shown(mine.get(name))} against {_shown(theirs.get(name))}{more}"


def _dig(tree: Any, *path: str) -> Any:
    for key in path:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree


def _shown(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:12]}…"
