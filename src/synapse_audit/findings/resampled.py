"""Accuracies and recalls with their bootstrap samples, all paired.

In: evidence and actions. Out: values and the same statistic in every resample. An action that was
estimated in two phases counts as in the effects table, by corrected values
(:mod:`synapse_audit.metrics.two_phase`), so that values here equal those of the table and samples
vary with both phases.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.artifacts import Evidence
from synapse_audit.metrics.two_phase import Phases, phases


class Sampled(NamedTuple):
    """A statistic of several curves or cells, and the same in every resample."""

    value: Float[np.ndarray, "*shape"]
    samples: Float[np.ndarray, "*shape resamples"]


# ---- statistics of the untouched model -----------------------------------------------------------


def clean_accuracy(evidence: Evidence) -> Sampled:
    """Weighted accuracy of the untouched model: (1,) and (1, resamples)."""
    return _right(evidence, Phases(evidence.predictions.predicted[None, :]))


def clean_recalls(evidence: Evidence, kept: Int[np.ndarray, " kept"]) -> Sampled:
    """Weighted recall of the kept classes when clean: (kept,) and (kept, resamples)."""
    found = _recalls(evidence, Phases(evidence.predictions.predicted[None, :]), kept)
    return Sampled(found.value[0], found.samples[0])


def chance(evidence: Evidence) -> Sampled:
    """Weighted accuracy of the best constant predictor: (1,) and (1, resamples)."""
    classes = np.arange(len(evidence.classes))[:, None]
    constant = np.broadcast_to(classes, (len(classes), len(evidence.predictions.labels)))
    shares = _right(evidence, Phases(constant))
    return Sampled(
        shares.value.max(axis=0, keepdims=True), shares.samples.max(axis=0, keepdims=True)
    )


def supported(evidence: Evidence) -> Int[np.ndarray, " kept"]:
    """Indices of the classes with at least one ``evaluate`` example."""
    support = np.bincount(evidence.predictions.labels, minlength=len(evidence.classes))
    return np.flatnonzero(support)


# ---- statistics of actions -----------------------------------------------------------------------


def accuracy(evidence: Evidence, actions: Sequence[str]) -> Sampled:
    """Weighted accuracy under each action: (actions,) and (actions, resamples)."""
    return _right(evidence, phases(evidence.outcomes, evidence.outcomes.rows(actions)))


def direct_accuracy(evidence: Evidence, actions: Sequence[str]) -> Sampled:
    """The same along the pooled row alone; NaN where the sweep ran one phase."""
    if evidence.outcomes.direct is None:
        unknown = np.full((len(actions), len(evidence.counts)), np.nan)
        return Sampled(unknown[:, 0], unknown)
    rows = evidence.outcomes.rows(actions)
    return _right(evidence, Phases(evidence.outcomes.direct.predicted[rows]))


def recalls(evidence: Evidence, actions: Sequence[str], kept: Int[np.ndarray, " kept"]) -> Sampled:
    """Weighted recall of the kept classes: (actions, kept) and (actions, kept, resamples).

    NaN in a resample that holds no example of the class (possible only with groups).
    """
    both = phases(evidence.outcomes, evidence.outcomes.rows(actions))
    return _recalls(evidence, both, kept)


# ---- small things --------------------------------------------------------------------------------


def _right(evidence: Evidence, both: Phases) -> Sampled:
    right = both.of(lambda predicted: predicted == evidence.predictions.labels)
    weights, resampled = _weights(evidence)
    return Sampled(_share(right, weights), _share(right, resampled))


def _recalls(evidence: Evidence, both: Phases, kept: Int[np.ndarray, " kept"]) -> Sampled:
    labels, (weights, resampled) = evidence.predictions.labels, _weights(evidence)
    right = both.of(lambda predicted: predicted == labels)
    values, samples = [], []
    for index in kept:
        members = labels == index
        # A corrected share may leave [0, 1] by a hair.
        values.append(np.clip(_share(right[:, members], weights[members]), 0.0, 1.0))
        samples.append(_share(right[:, members], resampled[members]))
    return Sampled(np.stack(values, axis=1), np.stack(samples, axis=1))


def _weights(
    evidence: Evidence,
) -> tuple[Float[np.ndarray, " examples"], Float[np.ndarray, "examples resamples"]]:
    weights = evidence.weights.astype(np.float64)
    return weights, (evidence.counts * weights).T


def _share(
    hits: Float[np.ndarray, "rows examples"], weights: Float[np.ndarray, "examples *draws"]
) -> Float[np.ndarray, "rows *draws"]:
    """Weighted share of hits; NaN where there is no weight."""
    total = weights.sum(axis=0)
    return np.asarray(hits @ weights / np.where(total > 0, total, np.nan))
