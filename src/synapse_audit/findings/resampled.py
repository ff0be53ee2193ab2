"""Accuracies and recalls with their bootstrap samples, all paired.

In: evidence and actions. Out: values and the same statistic in every resample. An action that was
estimated in two phases counts as in the effects table: its outcomes are weighted counts over the
stream outcomes of all examples and the exact ones of a subsample
(:mod:`synapse_audit.metrics.two_phase`), so that values here equal those of the table and samples
vary with both phases.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num

from synapse_audit.artifacts import Evidence
from synapse_audit.metrics.two_phase import groups, reweight


class Sampled(NamedTuple):
    """A statistic of several curves or cells, and the same in every resample."""

    value: Float[np.ndarray, "*shape"]
    samples: Float[np.ndarray, "*shape resamples"]


class Sample(NamedTuple):
    """Predictions on weighted examples; twice as many examples where two phases are joined."""

    labels: Int[np.ndarray, " examples"]
    predicted: Num[np.ndarray, "rows examples"]
    weights: Float[np.ndarray, "examples 1"]
    resampled: Float[np.ndarray, "examples resamples"]


# ---- statistics of the untouched model -----------------------------------------------------------


def clean_accuracy(evidence: Evidence) -> Sampled:
    """Weighted accuracy of the untouched model: (1,) and (1, resamples)."""
    return _right(_sample(evidence, evidence.predictions.predicted[None, :]))


def clean_recalls(evidence: Evidence, kept: Int[np.ndarray, " kept"]) -> Sampled:
    """Weighted recall of the kept classes when clean: (kept,) and (kept, resamples)."""
    found = _recalls(_sample(evidence, evidence.predictions.predicted[None, :]), kept)
    return Sampled(found.value[0], found.samples[0])


def chance(evidence: Evidence) -> Sampled:
    """Weighted accuracy of the best constant predictor: (1,) and (1, resamples)."""
    classes = np.arange(len(evidence.classes))[:, None]
    shares = _right(_sample(evidence, np.broadcast_to(classes, (len(classes), _size(evidence)))))
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
    found = _blank(evidence, (len(actions),))
    for places, sample in _samples(evidence, actions):
        found.value[places], found.samples[places] = _right(sample)
    return found


def direct_accuracy(evidence: Evidence, actions: Sequence[str]) -> Sampled:
    """The same along the pooled row alone; NaN where the sweep ran one phase."""
    if evidence.outcomes.direct is None:
        return _blank(evidence, (len(actions),))
    rows = evidence.outcomes.rows(actions)
    return _right(_sample(evidence, evidence.outcomes.direct.predicted[rows]))


def recalls(evidence: Evidence, actions: Sequence[str], kept: Int[np.ndarray, " kept"]) -> Sampled:
    """Weighted recall of the kept classes: (actions, kept) and (actions, kept, resamples).

    NaN in a resample that holds no example of the class (possible only with groups).
    """
    found = _blank(evidence, (len(actions), len(kept)))
    for places, sample in _samples(evidence, actions):
        found.value[places], found.samples[places] = _recalls(sample, kept)
    return found


# ---- small things --------------------------------------------------------------------------------


def _samples(
    evidence: Evidence, actions: Sequence[str]
) -> Iterator[tuple[Int[np.ndarray, " chosen"], Sample]]:
    """Positions in ``actions``, and what they are counted on."""
    outcomes, labels = evidence.outcomes, evidence.predictions.labels
    rows = outcomes.rows(actions)
    for n_exact, places in groups(outcomes, rows).items():
        chosen = rows[places]
        sample = _sample(evidence, outcomes.predicted[chosen])
        if outcomes.direct is not None and n_exact < len(labels):
            known = outcomes.direct.exact[chosen[0]]
            both = np.concatenate([outcomes.direct.predicted[chosen], sample.predicted], axis=1)
            doubled = reweight(labels, sample.weights, sample.resampled, known)
            sample = Sample(np.tile(labels, 2), both, doubled.weights, doubled.resampled)
        yield places, sample


def _sample(evidence: Evidence, predicted: Num[np.ndarray, "rows examples"]) -> Sample:
    weights = evidence.weights.astype(np.float64)
    resampled = (evidence.counts * weights).T
    return Sample(evidence.predictions.labels, predicted, weights[:, None], resampled)


def _right(sample: Sample) -> Sampled:
    right = (sample.predicted == sample.labels).astype(np.float64)
    return Sampled(*(_share(right, w) for w in (sample.weights[:, 0], sample.resampled)))


def _recalls(sample: Sample, kept: Int[np.ndarray, " kept"]) -> Sampled:
    values, samples = [], []
    for index in kept:
        members = sample.labels == index
        hits = (sample.predicted[:, members] == index).astype(np.float64)
        # A reweighted sample has negative weights, so a share may leave [0, 1] by a hair.
        values.append(np.clip(_share(hits, sample.weights[members, 0]), 0.0, 1.0))
        samples.append(_share(hits, sample.resampled[members]))
    return Sampled(np.stack(values, axis=1), np.stack(samples, axis=1))


def _share(
    hits: Float[np.ndarray, "rows examples"], weights: Float[np.ndarray, "examples *draws"]
) -> Float[np.ndarray, "rows *draws"]:
    """Weighted share of hits; NaN where there is no weight."""
    total = weights.sum(axis=0)
    return np.asarray(hits @ weights / np.where(total > 0, total, np.nan))


def _blank(evidence: Evidence, shape: tuple[int, ...]) -> Sampled:
    return Sampled(np.full(shape, np.nan), np.full((*shape, len(evidence.counts)), np.nan))


def _size(evidence: Evidence) -> int:
    return len(evidence.predictions.labels)
