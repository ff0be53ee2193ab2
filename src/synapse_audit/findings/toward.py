"""What predictions do toward one class, with the same in every resample.

In: evidence, and actions (or predictions that arithmetic gives). Out: redirect rate and collateral
toward any class, whether or not the action aimed at it, accuracy drop and recall drops. An action
that was estimated in two phases counts as in the effects table, by weighted counts over the stream
outcomes and the exact ones (:mod:`synapse_audit.metrics.two_phase`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from synapse_audit.artifacts import Evidence
from synapse_audit.findings.resampled import Sampled
from synapse_audit.metrics.two_phase import groups, reweight


class Sample(NamedTuple):
    """Predictions on weighted examples; twice as many examples where two phases are joined."""

    labels: Int[np.ndarray, " examples"]
    clean: Int[np.ndarray, " examples"]
    """Predicted by the untouched model."""
    predicted: Num[np.ndarray, "rows examples"]
    weights: Float[np.ndarray, "examples 1"]
    resampled: Float[np.ndarray, "examples resamples"]


Predicted = Num[np.ndarray, "rows examples"]
Part = tuple[Int[np.ndarray, " places"], Sample]
"""Places among the actions asked for, and their predictions."""


def samples(evidence: Evidence, actions: Sequence[str]) -> Iterator[Part]:
    """The predictions of some actions, those that share a sample together."""
    outcomes, labels = evidence.outcomes, evidence.predictions.labels
    rows = outcomes.rows(actions)
    for n_exact, places in groups(outcomes, rows).items():
        chosen = rows[places]
        sample = plain(evidence, outcomes.predicted[chosen])
        if outcomes.direct is not None and n_exact < len(labels):
            known = outcomes.direct.exact[chosen[0]]
            again = reweight(labels, sample.weights, sample.resampled, known)
            both = np.concatenate([outcomes.direct.predicted[chosen], sample.predicted], axis=1)
            sample = Sample(np.tile(labels, 2), np.tile(sample.clean, 2), both, *again)
        yield places, sample


def plain(evidence: Evidence, predicted: Predicted) -> Sample:
    """Predictions on the examples as they are."""
    clean, weights = evidence.predictions, evidence.weights.astype(np.float64)
    resampled = (evidence.counts * weights).T
    return Sample(clean.labels, clean.predicted, predicted, weights[:, None], resampled)


def redirect(sample: Sample, target: int) -> Sampled:
    """Share of examples not predicted as the target when clean that are predicted so afterwards."""
    return _share(sample, sample.predicted == target, sample.clean != target)


def collateral(sample: Sample, target: int) -> Sampled:
    """Share of examples that were right, of other classes than the target, that become wrong."""
    among = (sample.clean == sample.labels) & (sample.labels != target)
    return _share(sample, sample.predicted != sample.labels, among)


def accuracy_drop(sample: Sample) -> Sampled:
    """Clean accuracy minus accuracy."""
    return recall_drop(sample, np.ones(len(sample.labels), dtype=bool))


def recall_drop(sample: Sample, members: Bool[np.ndarray, " examples"]) -> Sampled:
    """Share of the members that were right minus the share that still are."""
    right = _share(sample, sample.predicted == sample.labels, members)
    clean = _share(sample, (sample.clean == sample.labels)[None, :], members)
    return Sampled(clean.value - right.value, clean.samples - right.samples)


def _share(
    sample: Sample, hits: Bool[np.ndarray, "rows examples"], among: Bool[np.ndarray, " examples"]
) -> Sampled:
    """Weighted share of hits among some examples; NaN where there is no weight."""
    found = []
    for weights in (sample.weights[among], sample.resampled[among]):
        total = weights.sum(axis=0)
        counted = hits[:, among].astype(np.float64) @ weights
        found.append(counted / np.where(total > 0, total, np.nan))
    # A reweighted sample has negative weights, so a share may leave [0, 1] by a hair.
    return Sampled(np.clip(found[0][:, 0], 0.0, 1.0), found[1])
