"""Neurons on which two rankings part: readable but unused, used but unreadable.

In: two sets of scores. Out: per layer one number per neuron, and sets. A neuron is *readable* where
a probe ranks it high, *used* where an attribution does. Source of the distinction: Antverg &
Belinkov 2022 (arXiv 2110.07483), encoded is not used.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from synapse_audit.neurons.sets import Scores

READABLE = "probe"
"""The ranking of what can be read."""

USED = ("conductance", "activation_gradient")
"""Rankings of what the model uses; the first one that was computed counts."""

READABLE_UNUSED, USED_UNREADABLE = "readable_unused", "used_unreadable"


def used(rankings: Mapping[str, object]) -> str | None:
    """Name of the ranking of use; None where none was computed or nothing can be read."""
    if READABLE not in rankings:
        return None
    return next((name for name in USED if name in rankings), None)


def percentiles(scores: Float[np.ndarray, " neurons"]) -> Float[np.ndarray, " neurons"]:
    """Place of each neuron in (0, 1), 1 = most important; equal scores share their middle."""
    return np.asarray((rankdata(scores) - 0.5) / len(scores))


def contrast(
    high: Float[np.ndarray, " neurons"], low: Float[np.ndarray, " neurons"]
) -> Float[np.ndarray, " neurons"]:
    """How far a neuron is both high in one ranking and low in another: min(p, 1 − q).

    p and q are percentiles. At least t means: among the top 1 − t of one and the bottom 1 − t of
    the other. Unrelated rankings leave a share (1 − t)² above t.
    """
    return np.minimum(percentiles(high), 1.0 - percentiles(low))


def contrasts(readable: Scores, used_scores: Scores) -> dict[str, Scores]:
    """Selection → contrast of every neuron of every layer."""
    pairs = list(zip(readable, used_scores, strict=True))
    return {
        READABLE_UNUSED: [contrast(r, u) for r, u in pairs],
        USED_UNREADABLE: [contrast(u, r) for r, u in pairs],
    }
