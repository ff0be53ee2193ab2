"""What two runs have in common, and what therefore must not be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from synapse_audit.artifacts import SLICE
from synapse_audit.store import AuditResult
from synapse_audit.summary import Keys

SAME_EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "data": ("data", "sha256"),
    "classes": ("label_map",),
    "seed": ("seed",),
    "rows kept": ("data", "n_used"),
}
"""What must be equal for answers to be paired → where it stands in the manifest; splits too."""

SETTING_FREE = {"clean", "calibration", "detection", "slices", "worst_slice"}
"""Top-level keys of figures that no setting of the experiments changes, slices' fragility aside."""


class Comparable(NamedTuple):
    """What differs between two runs, and what that forbids."""

    different: Mapping[str, str]
    """Aspect → what each run has, for a reader."""

    @property
    def paired(self) -> bool:
        """Whether both evaluated the same examples, so that their answers may be paired."""
        return not self.why_not_paired()

    def why_not_paired(self) -> str:
        """The first reason why nothing is paired; empty where all is."""
        return self._first(*SAME_EXAMPLES, "splits")

    def other_settings(self, keys: Keys) -> str:
        """What differs in the settings that a figure comes from; empty where nothing does."""
        free = keys[0] in SETTING_FREE and keys[-1] != "fragility"
        return "" if free else self.different.get("grid", "")

    def why_not_same_grid(self) -> str:
        """The first reason why figures of experiments are not compared; empty where they are."""
        return self._first("classes", "grid")

    def _first(self, *aspects: str) -> str:
        return next((self.different[name] for name in aspects if name in self.different), "")


def comparable(one: AuditResult, other: AuditResult) -> Comparable:
    """What differs between two runs."""
    different = different_examples(one.manifest, other.manifest)
    if not different and not same_splits(one.splits, other.splits):
        different["splits"] = "splits differ: other examples are evaluated"
    grid = _grid_difference(one, other)
    return Comparable(different | ({"grid": grid} if grid else {}))


def same_splits(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether the same examples are in the same splits, whatever slices they are put into."""
    mine, theirs = (
        table.drop(columns=[name for name in table if str(name).startswith(SLICE)])
        for table in (one, other)
    )
    return mine.equals(theirs)


def different_examples(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, str]:
    """What of two manifests says that the runs hold different examples, in words."""
    found = {name: (_dig(one, *path), _dig(other, *path)) for name, path in SAME_EXAMPLES.items()}
    return {
        name: f"{name} differ: {_shown(mine)} against {_shown(theirs)}"
        for name, (mine, theirs) in found.items()
        if mine != theirs
    }


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
    if isinstance(value, Mapping):
        value = ", ".join(map(str, value.values()))
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:24]}…"
