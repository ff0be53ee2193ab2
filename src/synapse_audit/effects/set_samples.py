"""Sets of labels under some actions, with the same in every resample.

In: evidence of a model with several labels per example. Out: :class:`ScoredSets`, of which every
metric can be taken, and F1 by label.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from synapse_audit.artifacts import Evidence
from synapse_audit.artifacts.label_sets import decoded
from synapse_audit.effects.resampled import Sampled
from synapse_audit.effects.scored import NO_CLASS, ScoredSets
from synapse_audit.effects.two_phase import Phases, phases


def scored_actions(evidence: Evidence, actions: Sequence[str]) -> ScoredSets:
    """What metrics read of some actions, one row each."""
    return scored_sets(evidence, phases(evidence.outcomes, evidence.outcomes.rows(actions)))


def scored_clean(evidence: Evidence) -> ScoredSets:
    """The same of the untouched model, as one row."""
    return scored_sets(evidence, Phases(evidence.predictions.predicted[None]))


def scored_sets(evidence: Evidence, said: Phases) -> ScoredSets:
    """The same of sets that anything says, one row each."""
    rows = len(said.predicted)
    return ScoredSets(
        labels=evidence.predictions.labels,
        clean=evidence.predictions.predicted,
        phases=said,
        kl=np.zeros((rows, len(evidence.weights)), dtype=np.float32),
        target=np.full(rows, NO_CLASS),
        source=np.full(rows, NO_CLASS),
        n_classes=len(evidence.classes),
        weights=evidence.weights.astype(np.float64)[:, None],
        resampled=evidence.resampled,
        strata=evidence.label_strata,
    )


def label_f1(scored: ScoredSets) -> Sampled:
    """F1 of every label: (rows, labels) and (rows, labels, resamples).

    NaN for a label that no example has, in the data or in a resample.
    """
    value, samples = scored.counts.f1[..., 0], scored.resampled_counts.f1
    return Sampled(value.T, np.moveaxis(samples, 0, 1))


def present(evidence: Evidence) -> Bool[np.ndarray, "examples labels"]:
    """Which label each example has."""
    return decoded(evidence.predictions.labels, len(evidence.classes))


def support(evidence: Evidence) -> Int[np.ndarray, " labels"]:
    """How many ``evaluate`` examples have each label."""
    return present(evidence).sum(axis=0)


def shares(evidence: Evidence) -> Float[np.ndarray, "examples labels"]:
    """The untouched model's own probability of every label."""
    logits = evidence.predictions.model_logits.astype(np.float64)
    return np.asarray(np.exp(-np.logaddexp(0.0, -logits)))


def thresholds(evidence: Evidence) -> Float[np.ndarray, " labels"]:
    """The probability above which each label is said."""
    shift = evidence.predictions.shift
    if shift is None:
        return np.full(len(evidence.classes), 0.5)
    return np.asarray(1.0 / (1.0 + np.exp(shift.astype(np.float64))))
