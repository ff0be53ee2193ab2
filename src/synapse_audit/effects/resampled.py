"""Accuracies and recalls with their bootstrap samples, all paired.

In: evidence and actions. Out: values and the same statistic in every resample. An action that was
estimated in two phases counts as in the effects table, by corrected values
(:mod:`synapse_audit.effects.two_phase`), so that values here equal those of the table and samples
vary with both phases.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.artifacts import Evidence
from synapse_audit.effects.two_phase import Phases, direct_phases, phases
from synapse_audit.memory import row_chunks
from synapse_audit.statistics import weighted_shares


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
    rows = evidence.outcomes.rows(actions)
    return _in_blocks(
        evidence, rows, lambda some: _right(evidence, phases(evidence.outcomes, some))
    )


def direct_accuracy(evidence: Evidence, actions: Sequence[str]) -> Sampled:
    """The same along the pooled row alone; NaN where the sweep ran one phase."""
    direct = evidence.outcomes.direct
    if direct is None:
        unknown = np.full((len(actions), evidence.resampled.shape[1]), np.nan)
        return Sampled(unknown[:, 0], unknown)
    rows = evidence.outcomes.rows(actions)
    return _in_blocks(
        evidence,
        rows,
        lambda some: _right(evidence, direct_phases(evidence.outcomes, direct, some)),
    )


def recalls(evidence: Evidence, actions: Sequence[str], kept: Int[np.ndarray, " kept"]) -> Sampled:
    """Weighted recall of the kept classes: (actions, kept) and (actions, kept, resamples).

    NaN in a resample that holds no example of the class (possible only with groups).
    """
    rows = evidence.outcomes.rows(actions)
    return _in_blocks(
        evidence, rows, lambda some: _recalls(evidence, phases(evidence.outcomes, some), kept)
    )


# ---- small things --------------------------------------------------------------------------------


def _in_blocks(
    evidence: Evidence,
    rows: Int[np.ndarray, " rows"],
    statistic: Callable[[Int[np.ndarray, " some"]], Sampled],
) -> Sampled:
    """A statistic of some rows of the outcomes, a few rows at a time."""
    parts = [statistic(rows[some]) for some in row_chunks(len(rows), len(evidence.weights))]
    return Sampled(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _right(evidence: Evidence, both: Phases) -> Sampled:
    right = both.of(lambda predicted: predicted == evidence.predictions.labels)
    return Sampled(
        weighted_shares(right, evidence.weights), weighted_shares(right, evidence.resampled)
    )


def _recalls(evidence: Evidence, both: Phases, kept: Int[np.ndarray, " kept"]) -> Sampled:
    labels = evidence.predictions.labels
    right = both.of(lambda predicted: predicted == labels)
    values, samples = [], []
    for index in kept:
        members = labels == index
        # A corrected share may leave [0, 1] by a hair.
        values.append(np.clip(weighted_shares(right, evidence.weights, members), 0.0, 1.0))
        samples.append(weighted_shares(right, evidence.resampled, members))
    return Sampled(np.stack(values, axis=1), np.stack(samples, axis=1))
