"""Rates over attacked examples, each of which stands for all examples of its class.

In: which examples an attack was tried on, and on which it succeeded. Out: shares and paired
differences with their intervals, from the resamples that all figures of a run share.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from synapse_audit.effects.estimates import bounded
from synapse_audit.effects.scored import ratio
from synapse_audit.statistics import paired_interval

Among = Bool[np.ndarray, " examples"]


class AttackedSample(NamedTuple):
    """The attacked examples, and what each stands for."""

    labels: Int[np.ndarray, " examples"]
    weights: Float[np.ndarray, " examples"]
    resampled: Float[np.ndarray, "examples resamples"]


def attacked_sample(
    labels: Int[np.ndarray, " evaluate"],
    predicted: Int[np.ndarray, " evaluate"],
    places: Int[np.ndarray, " examples"],
    weights: Float[np.ndarray, " evaluate"],
    resampled: Float[np.ndarray, "evaluate resamples"],
) -> AttackedSample:
    """Some of a class's right examples were attacked; each stands for as many as there are for one.

    Args:
        places: the attacked ones among those evaluated, ascending.
    """
    classes = int(labels.max(initial=0)) + 1
    mass = np.bincount(labels, weights * (predicted == labels), minlength=classes)
    held = np.bincount(labels[places], weights[places], minlength=classes)
    stands = ratio(mass, held)[labels[places]]
    return AttackedSample(
        labels[places], weights[places] * stands, resampled[places] * stands[:, None]
    )


def share_of(
    sample: AttackedSample, hits: Bool[np.ndarray, " examples"], among: Among, name: str
) -> dict[str, float]:
    """Share of the examples ``among`` that were hit, under ``name``, with both of its ends."""
    value, samples = _mean(sample, hits.astype(np.float64), among)
    found = bounded(np.array([value]), samples[None], np.array([_size(sample, among)]))
    return {name: value, f"{name}_low": float(found.low[0]), f"{name}_high": float(found.high[0])}


def excess_of(
    sample: AttackedSample,
    chosen: Bool[np.ndarray, " examples"],
    random: Bool[np.ndarray, " examples"],
    among: Among,
) -> dict[str, float]:
    """Chosen minus random, on the same examples."""
    value, samples = _mean(sample, chosen.astype(np.float64) - random, among)
    ends = paired_interval(np.array([value]), samples[None], np.array([_size(sample, among)]))
    low, high = float(ends.low[0]), float(ends.high[0])
    return {"excess": value, "excess_low": low, "excess_high": high}


def _mean(
    sample: AttackedSample, values: Float[np.ndarray, " examples"], among: Among
) -> tuple[float, Float[np.ndarray, " resamples"]]:
    weights, resampled = sample.weights[among], sample.resampled[among].astype(np.float64)
    value = float(values[among] @ weights / weights.sum())
    return value, ratio(values[among] @ resampled, resampled.sum(axis=0))


def _size(sample: AttackedSample, among: Among) -> float:
    """Kish's effective number of examples."""
    weights = sample.weights[among]
    return float(weights.sum() ** 2 / (weights**2).sum())
