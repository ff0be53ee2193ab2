"""How well scores tell the examples with a label from those without, for several labels at once.

In: scores and presence, (examples, labels), and weights in one or many draws. Out: areas under the
ROC curve (:func:`synapse_audit.effects.detection.area`) with their intervals.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float32

from synapse_audit.effects.detection import area, roc
from synapse_audit.effects.estimates import Estimates
from synapse_audit.effects.resampled import Sampled
from synapse_audit.statistics import Z_975, interval

FLAT = 1e-6
"""Width below which resamples show no spread; sums of float32 weights differ by this much."""

Scores = Float[np.ndarray, "examples labels"]
Presence = Bool[np.ndarray, "examples labels"]


def aucs(
    scores: Scores,
    there: Presence,
    weights: Float[np.ndarray, " examples"],
    resampled: Float32[np.ndarray, "examples resamples"],
) -> Estimates:
    """One area per label with its interval; NaN where all examples have it, or none.

    The interval is that of the resamples, or where these show no spread (an area of 1) that of
    Hanley and McNeil's standard error (1982, Radiology 143:29), half a pair away from 1.
    """
    found = auc_samples(scores, there, weights, resampled)
    low, high = interval(found.samples)
    half, flat = Z_975 * _standard_error(found.value, there), high - low < FLAT
    low = np.where(flat, np.maximum(found.value - half, 0.0), low)
    return Estimates(found.value, low, np.where(flat, np.minimum(found.value + half, 1.0), high))


def auc_samples(
    scores: Scores,
    there: Presence,
    weights: Float[np.ndarray, " examples"],
    resampled: Float32[np.ndarray, "examples resamples"],
) -> Sampled:
    """The areas, (labels,), and the same in every resample."""
    one = weights.astype(np.float64)[:, None]
    value, samples = [], []
    for label in range(there.shape[1]):
        mine = scores[:, label], there[:, label]
        value.append(area(roc(*mine, one))[0])
        samples.append(area(roc(*mine, resampled)))
    return Sampled(np.array(value), np.array(samples))


def _standard_error(auc: Float[np.ndarray, " labels"], there: Presence) -> np.ndarray:
    n, m = (np.maximum(part.sum(axis=0), 1) for part in (there, ~there))
    inside = np.clip(auc, 0.5 / (n * m), 1 - 0.5 / (n * m))
    with_it, without = inside / (2 - inside), 2 * inside**2 / (1 + inside)
    variance = inside * (1 - inside) + (n - 1) * (with_it - inside**2)
    variance = variance + (m - 1) * (without - inside**2)
    return np.sqrt(np.maximum(variance, 0.0) / (n * m))
