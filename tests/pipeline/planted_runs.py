"""Whole audits of planted classifiers, where every answer is known by arithmetic."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from planted import LAYERS, Planted

from synapse_audit import AuditResult, NeuronSet, make_config
from synapse_audit.config import AuditConfig

OWN = {"single": 0.0625, "leaning": 0.0625, "redundant": 1 / 12}
"""Share of a layer's neurons that carry one class; three times that carry all of them."""


def config_of(folder: Path, own: float = 0.0625, **options: Any) -> AuditConfig:
    grid = {
        "fractions": (own, 3 * own, 0.5),
        "layer_fractions": (own, 3 * own),
        "draws": 2,
        "budgets": (1.0,),
        "constants": (1.0,),
        "class_fractions": (own, 3 * own, 0.5),
        "without": (),
    }
    named = {"model": str(folder / "model"), "data": str(folder / "rows.csv")}
    small = {"preset": "quick", "resamples": 100, "grid": grid, "exact": True, "batch_size": 32}
    return make_config(named | small | options)


@dataclass(frozen=True)
class Audited:
    """A planted classifier and its finished run."""

    planted: Planted
    folder: Path
    """Holds ``model`` and ``rows.csv``."""
    result: AuditResult

    @property
    def own(self) -> float:
        return OWN[self.planted.name]

    @property
    def evaluate(self) -> np.ndarray:
        """Examples of the ``evaluate`` split, ascending."""
        return np.flatnonzero(self.result.splits["split"] == "evaluate")

    def chosen(self, cell: Any) -> NeuronSet:
        """The neurons of a top or keep_top cell, read off ``rankings.parquet``."""
        ranks = self.result.rankings
        every = pd.isna(cell.ranked_for)
        meant = ranks["ranked_for"].isna() if every else ranks["ranked_for"] == cell.ranked_for
        mine = ranks[(ranks["method"] == cell.ranking) & meant]
        layers = range(1, LAYERS + 1) if cell.layers == "all" else [int(cell.layers)]
        widths = [self.planted.layout.width] * (LAYERS + 1)
        best = mine[mine["rank"] <= round(cell.fraction * widths[0])]
        top = NeuronSet.of({m: best.loc[best["layer"] == m, "neuron"] for m in layers})
        return top if cell.selection == "top" else top.complement(widths, layers)

    def cells(self, **wanted: object) -> pd.DataFrame:
        """Rows of the effects with these values."""
        effects = self.result.effects
        for column, value in wanted.items():
            effects = effects[effects[column] == value]
        assert len(effects)
        return effects

    def predicted(self, cell: Any) -> np.ndarray:
        """What the audit saw the model say under a cell."""
        outcomes = self.result.outcomes
        return outcomes.predicted[outcomes.row[cell.action]].astype(np.int64)

    def recalls(self, cell: str) -> dict[str, float]:
        table = self.result.class_effects
        mine = table[table["cell"] == cell]
        return dict(zip(mine["class"], mine["recall"], strict=True))


def files_of(folder: Path) -> dict[str, bytes]:
    """Path below the folder → what the file holds."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
