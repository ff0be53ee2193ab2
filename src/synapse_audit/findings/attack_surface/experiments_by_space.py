"""The experiments of one space side by side: their sizes, and what they do to each class.

In: evidence and the name of a space. Out: :class:`SpaceExperiments`. Random controls are left
out. Constants on a logit are not taken from cells but made from the clean margins, which answer
all of them.

| space | experiments | unit of budget |
|---|---|---|
| neuron | top sets over all blocks, pooled position, operators of ``CHANGES`` | relative L2 |
| weight | edits of the head's last layer | relative L2 |
| bits | ranked and searched bit flips, anywhere | bits |
| logit | a constant on one logit | relative L2 |
| input | attacks on the word embeddings, deleted tokens | relative L2 |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Num

from synapse_audit.artifacts import REMOVAL_GROUPS, Evidence
from synapse_audit.effects.breaking import effective_examples
from synapse_audit.effects.curves import where
from synapse_audit.effects.estimates import Estimates, bounded
from synapse_audit.effects.minimum_edit_norms import margins_toward
from synapse_audit.effects.redirect_rates import (
    Sample,
    accuracy_drop,
    collateral,
    plain,
    recall_drop,
    redirect,
    sample,
)
from synapse_audit.effects.resampled import Sampled
from synapse_audit.findings.attack_surface.budgets import CHANGES, budget, logit_length, one_of
from synapse_audit.statistics import paired_interval

BIT_FLIP = "bit_flip"
RELATIVE, BITS = "relative L2", "bits"

CONSTANTS = 60
"""Constants per target, from a hundredth of the largest margin up to it."""

KEPT = ["space", "operator", "parameter", "fraction", "strength"]

Rows = Int[np.ndarray, " rows"]


class Rate(NamedTuple):
    """A rate of several experiments: values with intervals, and the same in every resample."""

    estimate: Estimates
    samples: Float[np.ndarray, "rows resamples"]


@dataclass(frozen=True)
class SpaceExperiments:
    """The experiments of one space."""

    evidence: Evidence
    table: pd.DataFrame
    """``KEPT``, ``aimed`` (class or null), ``unit``, ``budget`` (NaN where unknown)."""
    sample: Sample
    """What was then predicted, in the order of ``table``."""

    def toward(self, name: str) -> Rows:
        """Those that aim at a class, or at none."""
        aimed = self.table["aimed"]
        return np.flatnonzero((aimed.isna() | (aimed == name)).to_numpy(dtype=bool))

    def rates(self, rows: Rows, target: int) -> dict[str, Rate]:
        """Redirect rate, collateral and accuracy drop of some experiments."""
        clean = self.evidence.predictions
        movable = clean.predicted != target
        bystanders = (clean.predicted == clean.labels) & (clean.labels != target)
        moved = self.collect(rows, lambda sample: redirect(sample, target))
        harmed = self.collect(rows, lambda sample: collateral(sample, target))
        return {
            "redirect_rate": self._bounded(rows, moved, movable),
            "collateral": self._bounded(rows, harmed, bystanders),
            "accuracy_drop": self._drop(rows),
        }

    def drop(self, rows: Rows) -> Estimates:
        """Accuracy lost by some experiments."""
        return self._drop(rows).estimate

    def rate(
        self,
        rows: Rows,
        statistic: Callable[[Sample], Sampled],
        among: Bool[np.ndarray, " examples"],
    ) -> Estimates:
        """A share of some examples under some experiments."""
        return self._bounded(rows, self.collect(rows, statistic), among).estimate

    def _drop(self, rows: Rows) -> Rate:
        drop = self.collect(rows, accuracy_drop)
        sizes = effective_examples(self.evidence) * self.size_share[rows]
        ends = paired_interval(drop.value, drop.samples, sizes)
        return Rate(Estimates(drop.value, *ends), drop.samples)

    def as_target(self, target: int) -> Sampled:
        """Mean redirect rate to a class over what aims at it (at none, if nothing does)."""
        aimed = self.table["aimed"]
        name = self.evidence.classes[target]
        chosen = aimed == name if aimed.notna().any() else aimed.isna()
        rows = np.flatnonzero(chosen.to_numpy(dtype=bool))
        return _mean(self.collect(rows, lambda sample: redirect(sample, target)))

    def as_victim(self, victim: int) -> Sampled:
        """Mean recall drop of a class over the experiments that do not aim at it."""
        others = (self.table["aimed"] != self.evidence.classes[victim]).to_numpy(dtype=bool)
        return _mean(
            self.collect(np.flatnonzero(others), lambda s: recall_drop(s, s.labels == victim))
        )

    def collect(self, rows: Rows, statistic: Callable[[Sample], Sampled]) -> Sampled:
        """A statistic of some experiments, in their order."""
        return statistic(self.sample.take(rows))

    @cached_property
    def size_share(self) -> Float[np.ndarray, " rows"]:
        """Effective size of what each experiment ran on, relative to all examples."""
        return self.sample.phases.size_share(self.evidence.weights.astype(np.float64))

    def _bounded(self, rows: Rows, found: Sampled, among: Bool[np.ndarray, " examples"]) -> Rate:
        weights = self.evidence.weights[among].astype(np.float64)
        size = weights.sum() ** 2 / (weights**2).sum() if len(weights) else np.nan
        sizes = size * self.size_share[rows]
        estimated = self.sample.phases.estimated[rows]
        known = bounded(found.value, found.samples, sizes, estimated=estimated)
        return Rate(known, found.samples)


def experiments_of(evidence: Evidence, space: str) -> SpaceExperiments:
    """The experiments of one of ``SPACES``."""
    return SPACES[space](evidence)


def _neuron(evidence: Evidence) -> SpaceExperiments:
    rows = where(evidence.cells(*REMOVAL_GROUPS, "aimed"), {"selection": "top"})
    headline = (rows["ranking"] == evidence.grid.rankings[0]) & rows["operator"].isin([*CHANGES])
    return _measured(evidence, rows[headline], "neuron")


def _weight(evidence: Evidence) -> SpaceExperiments:
    rows = evidence.cells("push", "edit", "paper_edit")
    rows = where(rows, {"site": "head_weight", "source": None, "draw": None})
    return _measured(evidence, rows, "weight")


def _bits(evidence: Evidence) -> SpaceExperiments:
    rows = evidence.cells("bit_flip")
    return _measured(evidence, rows[rows["selection"] != "random"], "bits")


def _input(evidence: Evidence) -> SpaceExperiments:
    rows = evidence.cells("attack")
    wanted = (rows["selection"] != "random") & (rows["unit"] != "absolute")
    return _measured(evidence, rows[wanted], "input")


def _measured(evidence: Evidence, rows: pd.DataFrame, space: str) -> SpaceExperiments:
    """Acts that are rows of the effects table."""
    unit = BITS if space == "bits" else RELATIVE
    records = rows.to_dict("records")
    sizes = [row["strength"] if unit == BITS else budget(evidence, row) for row in records]
    table = rows[KEPT].assign(space=space, aimed=rows["target"], unit=unit)
    table = table.assign(budget=np.array(sizes, dtype=np.float64)).reset_index(drop=True)
    return SpaceExperiments(evidence, table, sample(evidence, rows["action"].tolist()))


def _logit(evidence: Evidence) -> SpaceExperiments:
    """Constants on one logit, in closed form: an example moves when its margin is smaller."""
    clean = evidence.predictions
    margins = [margins_toward(clean.logits, target) for target in range(len(evidence.classes))]
    largest = max(float(m.max(initial=0.0)) for m in margins)
    if largest <= 0:
        nothing = plain(evidence, np.zeros((0, len(clean.labels)), dtype=np.uint16))
        return SpaceExperiments(
            evidence, pd.DataFrame(columns=[*KEPT, "aimed", "unit", "budget"]), nothing
        )
    constants = np.geomspace(largest / 100, 1.01 * largest, CONSTANTS)
    moved = [
        _moved(clean.predicted, margin < constants[:, None], target)
        for target, margin in enumerate(margins)
    ]
    table = pd.DataFrame(
        {
            "space": "logit",
            "operator": "shift",
            "parameter": "closed form",
            "fraction": np.nan,
            "strength": np.tile(constants, len(margins)),
            "aimed": np.repeat(evidence.classes, CONSTANTS),
            "unit": RELATIVE,
            "budget": np.tile(constants * one_of(evidence) / logit_length(evidence), len(margins)),
        }
    )
    return SpaceExperiments(evidence, table, plain(evidence, np.concatenate(moved)))


def _moved(
    predicted: Int[np.ndarray, " examples"],
    moves: Bool[np.ndarray, "experiments examples"],
    target: int,
) -> Num[np.ndarray, "experiments examples"]:
    return np.where(moves, target, predicted).astype(np.uint16)


SPACES: dict[str, Callable[[Evidence], SpaceExperiments]] = {
    "neuron": _neuron,
    "weight": _weight,
    "bits": _bits,
    "logit": _logit,
    "input": _input,
}
"""Name → its experiments."""


def _mean(found: Sampled) -> Sampled:
    """Mean over experiments; NaN where there is none."""
    if not len(found.value):
        return Sampled(np.array(np.nan), np.full(found.samples.shape[1], np.nan))
    return Sampled(np.array(found.value.mean()), found.samples.mean(axis=0))
