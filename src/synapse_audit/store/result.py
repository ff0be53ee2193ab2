"""A finished run, read from its folder: everything a report or a later analysis needs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synapse_audit.artifacts import Direct, Outcomes
from synapse_audit.errors import RunFolderError
from synapse_audit.store.folder import MANIFEST, RunFolder

FINDINGS = "findings"

FIELDS = ("predicted", "probability", "margin", "kl", "confidence")
"""Arrays of ``outcomes/``: (actions, examples); ``benign`` too where a benign class was named."""

DIRECT_FIELDS = ("design_weight", "predicted", "kl", "disagreement", "error")
"""Arrays ``outcomes/direct_*`` of a two-phase sweep."""


@dataclass(frozen=True)
class AuditResult:
    """Tables are read when first asked for; nothing needs the model."""

    folder: Path

    @classmethod
    def load(cls, folder: str | Path) -> AuditResult:
        """Opens a finished run.

        Raises:
            RunFolderError: there is no run in that folder, or it is not finished.
        """
        path = Path(folder)
        if not (path / MANIFEST).is_file():
            raise RunFolderError(f"run '{path}' given; expected a folder with {MANIFEST}")
        if not (path / "summary.json").is_file():
            raise RunFolderError(
                f"run '{path}' is not finished; expected a finished one: repeat its command"
            )
        return cls(path)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Provenance: configuration, hashes, versions, split sizes, times."""
        return RunFolder(self.folder).manifest

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The headline figures, each {value, low, high}."""
        return json.loads((self.folder / "summary.json").read_text(encoding="utf-8"))

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """Clean predictions of all examples, with their logits."""
        return self._table("predictions")

    @cached_property
    def splits(self) -> pd.DataFrame:
        """Which example is in which split."""
        return self._table("splits")

    @cached_property
    def probes(self) -> pd.DataFrame:
        """Probe accuracies per scope."""
        return self._table("probes")

    @cached_property
    def rankings(self) -> pd.DataFrame:
        """Scores and ranks of every neuron."""
        return self._table("rankings")

    @cached_property
    def effects(self) -> pd.DataFrame:
        """One row per cell."""
        return self._table("effects")

    @cached_property
    def class_effects(self) -> pd.DataFrame:
        """One row per cell and class."""
        return self._table("class_effects")

    @cached_property
    def findings(self) -> dict[str, dict[str, pd.DataFrame]]:
        """finding → table name → table."""
        found: dict[str, dict[str, pd.DataFrame]] = {}
        for file in sorted((self.folder / FINDINGS).glob("*.parquet")):
            finding, _, table = file.stem.partition(".")
            found.setdefault(finding, {})[table] = pd.read_parquet(file)
        return found

    @cached_property
    def outcomes(self) -> Outcomes:
        """Per distinct action and ``evaluate`` example; memory-mapped."""
        run = RunFolder(self.folder)
        actions = tuple(run.read_table("outcomes/actions")["action"])
        fields: dict[str, Any] = {n: np.asarray(run.read_array(f"outcomes/{n}")) for n in FIELDS}
        if run.has("outcomes/benign.npy"):
            fields["benign"] = np.asarray(run.read_array("outcomes/benign"))
        if not run.has("outcomes/direct_design_weight.npy"):
            return Outcomes(actions, **fields)
        direct: dict[str, Any] = {
            n: np.asarray(run.read_array(f"outcomes/direct_{n}")) for n in DIRECT_FIELDS
        }
        return Outcomes(actions, **fields, direct=Direct(**direct))

    def _table(self, name: str) -> pd.DataFrame:
        return RunFolder(self.folder).read_table(name)
