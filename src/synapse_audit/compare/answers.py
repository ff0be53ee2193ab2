"""What two models said of the same examples, and measures of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from synapse_audit.statistics import resampled_weights

RESAMPLES = 1000


@dataclass(frozen=True)
class Answers:
    """Two models' predictions on the same examples."""

    classes: tuple[str, ...]
    labels: Int[np.ndarray, " examples"]
    first: Int[np.ndarray, " examples"]
    """Predicted by the first model."""
    second: Int[np.ndarray, " examples"]
    weights: Float[np.ndarray, " examples"]
    groups: Int[np.ndarray, " examples"] | None = None
    """Examples with the same number belong together."""
    seed: int = 0

    @property
    def pair(self) -> tuple[Int[np.ndarray, " examples"], Int[np.ndarray, " examples"]]:
        """Both models' predictions."""
        return self.first, self.second

    @cached_property
    def resampled(self) -> Float[np.ndarray, "examples resamples"]:
        """What each example weighs in each resample, the same for both models."""
        drawn = resampled_weights(
            self.labels, self.weights, groups=self.groups, resamples=RESAMPLES, seed=self.seed
        )
        return drawn.astype(np.float64)

    @cached_property
    def differ(self) -> Bool[np.ndarray, " examples"]:
        """Where the two models name different classes."""
        return np.asarray(self.first != self.second)


def measured(
    measure: str,
    labels: Int[np.ndarray, " examples"],
    predicted: Int[np.ndarray, " examples"],
    weights: Float[np.ndarray, "examples draws"],
) -> Float[np.ndarray, " draws"]:
    """One measure under each draw of the weights; NaN where it is undefined.

    Args:
        measure: ``accuracy``, ``macro_f1``, ``recall:3`` or ``precision:3`` (of class 3).
    """
    name, _, number = measure.partition(":")
    right = labels == predicted
    if name == "accuracy":
        return np.asarray(right @ weights / weights.sum(axis=0))
    if name == "macro_f1":
        return _macro_f1(labels, predicted, weights)
    base = (labels if name == "recall" else predicted) == int(number)
    total = base @ weights
    nothing = np.full_like(total, np.nan)
    return np.asarray(np.divide((right & base) @ weights, total, out=nothing, where=total > 0))


def _macro_f1(
    labels: Int[np.ndarray, " examples"],
    predicted: Int[np.ndarray, " examples"],
    weights: Float[np.ndarray, "examples draws"],
) -> Float[np.ndarray, " draws"]:
    """Over the classes that have examples: 2 hits / (called + support)."""
    parts = []
    for c in np.unique(labels):
        members, called = labels == c, predicted == c
        total = members @ weights + called @ weights
        parts.append(2 * (members & called) @ weights / np.where(total > 0, total, 1.0))
    return np.asarray(np.mean(parts, axis=0))
