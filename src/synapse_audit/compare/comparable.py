"""What two runs have in common, and what therefore must not be compared."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from synapse_audit.artifacts import SLICE
from synapse_audit.store import AuditResult
from synapse_audit.summary import Keys, fits

SAME_EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "data": ("data", "sha256"),
    "classes": ("label_map",),
    "seed": ("seed",),
    "rows kept": ("data", "n_used"),
}
"""What must be equal for answers to be paired → where it stands in the manifest; splits too."""

SETTING_FREE = {"clean", "calibration", "detection", "slices", "worst_slice", "certificates"}
"""Top-level keys of figures that no setting of the experiments changes, slices' fragility aside."""

READ: Mapping[str, tuple[str, ...]] = {
    "redundancy.plateau": ("fractions", "rankings"),
    "redundancy.half_point": ("fractions", "rankings"),
    "asymmetry.fragility.<class>": ("fractions", "rankings"),
    "silenced.accuracy.<share>": ("rankings",),
    "task_free.above_chance_left.<share>": ("rankings",),
    "task_free.right_answers_guaranteed.<budget>": (),
    "vulnerability.<class>.redirect.<budget>": ("columns",),
}
"""Path of a figure → the settings that it depends on; of others any setting may matter."""

OF_ROWS = ("max_examples",)
"""Settings of the grid that choose rows, not experiments: ``rows kept`` says what they change."""


class Comparable(NamedTuple):
    """What differs between two runs, and what that forbids."""

    different: Mapping[str, str]
    """Aspect of the examples → what each run has, for a reader."""
    settings: Mapping[str, str] = MappingProxyType({})
    """Setting of the experiments → what each run has."""

    @property
    def paired(self) -> bool:
        """Whether both evaluated the same examples, so that their answers may be paired."""
        return not self.why_not_paired()

    def why_not_paired(self) -> str:
        """The first reason why nothing is paired; empty where all is."""
        return self._first(*SAME_EXAMPLES, "splits")

    def other_settings(self, keys: Keys) -> str:
        """What differs in the settings that a figure comes from; empty where nothing does."""
        if keys[0] in SETTING_FREE and keys[-1] != "fragility":
            return ""
        read = next((names for path, names in READ.items() if fits(path, keys)), None)
        matter = [name for name in self.settings if read is None or name in read]
        if not matter:
            return ""
        rest = len(matter) - 1
        more = f" and {rest} more {'setting' if rest == 1 else 'settings'}" if rest else ""
        return f"grid differs: {matter[0]} {self.settings[matter[0]]}{more}"

    def _first(self, *aspects: str) -> str:
        return next((self.different[name] for name in aspects if name in self.different), "")


def comparable(one: AuditResult, other: AuditResult) -> Comparable:
    """What differs between two runs."""
    different = different_examples(one.manifest, other.manifest)
    if not different and not same_splits(one.splits, other.splits):
        different["splits"] = "splits differ: other examples are evaluated"
    return Comparable(different, different_settings(one, other))


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
        name: f"{name} {'differs' if name == 'seed' else 'differ'}: {_shown(mine)} against "
        f"{_shown(theirs)}"
        for name, (mine, theirs) in found.items()
        if mine != theirs
    }


def different_settings(one: AuditResult, other: AuditResult) -> dict[str, str]:
    """Settings of the experiments in which two runs differ, with what each of them has."""
    mine, theirs = (_dig(run.manifest, "config", "grid") or {} for run in (one, other))
    names = sorted(name for name in {*mine, *theirs} if name not in OF_ROWS)
    return {
        name: f"{_shown(mine.get(name))} against {_shown(theirs.get(name))}"
        for name in names
        if mine.get(name) != theirs.get(name)
    }


def _dig(tree: Any, *path: str) -> Any:
    for key in path:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        value = ", ".join(map(str, value.values()))
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:24]}…"
