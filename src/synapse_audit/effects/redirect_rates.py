"""What predictions do toward one class, with the same in every resample.

In: evidence, and actions (or predictions that arithmetic gives). Out: redirect rate and collateral
toward any class, whether or not the action aimed at it, accuracy drop and recall drops. An action
that was estimated in two phases counts as in the effects table, by corrected values
(:mod:`synapse_audit.effects.two_phase`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from synapse_audit.artifacts import Evidence
from synapse_audit.effects.resampled import Sampled
from synapse_audit.effects.two_phase import Phases, phases
from synapse_audit.statistics import weighted_shares


class Sample(NamedTuple):
    """Predictions of several actions on weighted examples."""

    labels: Int[np.ndarray, " examples"]
    clean: Int[np.ndarray, " examples"]
    """Predicted by the untouched model."""
    phases: Phases
    weights: Float[np.ndarray, " examples"]
    resampled: Float[np.ndarray, "examples resamples"]

    def take(self, rows: Int[np.ndarray, " some"]) -> Sample:
        """Some of the actions."""
        return self._replace(phases=self.phases.take(rows))


def sample(evidence: Evidence, actions: Sequence[str]) -> Sample:
    """The predictions under some actions."""
    return _sample(evidence, phases(evidence.outcomes, evidence.outcomes.rows(actions)))


def plain(evidence: Evidence, predicted: Num[np.ndarray, "rows examples"]) -> Sample:
    """Predictions that arithmetic gives."""
    return _sample(evidence, Phases(predicted))


def _sample(evidence: Evidence, both: Phases) -> Sample:
    clean = evidence.predictions
    return Sample(clean.labels, clean.predicted, both, evidence.weights, evidence.resampled)


def redirect(sample: Sample, target: int) -> Sampled:
    """Share of examples not predicted as the target when clean that are predicted so afterwards."""
    moved = sample.phases.of(lambda predicted: predicted == target)
    return _share(sample, moved, sample.clean != target)


def collateral(sample: Sample, target: int) -> Sampled:
    """Share of examples that were right, of other classes than the target, that become wrong."""
    among = (sample.clean == sample.labels) & (sample.labels != target)
    return _share(sample, 1 - _right(sample), among)


def missed(sample: Sample, benign: int) -> Sampled:
    """Share of the examples of all other classes that are called benign."""
    called = sample.phases.of(lambda predicted: predicted == benign)
    return _share(sample, called, sample.labels != benign)


def accuracy_drop(sample: Sample) -> Sampled:
    """Clean accuracy minus accuracy."""
    return recall_drop(sample, np.ones(len(sample.labels), dtype=bool))


def recall_drop(sample: Sample, members: Bool[np.ndarray, " examples"]) -> Sampled:
    """Share of the members that were right minus the share that still are."""
    right = _share(sample, _right(sample), members)
    before = (sample.clean == sample.labels).astype(np.float32)
    clean = _share(sample, before[None, :], members)
    return Sampled(clean.value - right.value, clean.samples - right.samples)


def _right(sample: Sample) -> Float[np.ndarray, "rows examples"]:
    return sample.phases.of(lambda predicted: predicted == sample.labels)


def _share(
    sample: Sample, hits: Float[np.ndarray, "rows examples"], among: Bool[np.ndarray, " examples"]
) -> Sampled:
    """Weighted share of hits among some examples; NaN where there is no weight."""
    value = weighted_shares(hits, sample.weights, among)
    # A corrected share may leave [0, 1] by a hair.
    return Sampled(np.clip(value, 0.0, 1.0), weighted_shares(hits, sample.resampled, among))
