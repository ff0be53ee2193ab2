"""What every metric reads: predictions under some actions, clean ones, and weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt16
from scipy.sparse import coo_array

from synapse_audit.artifacts import Predictions
from synapse_audit.errors import DataError

NOBODY = -1
"""Class index of a target or source that is not set."""


class ClassCounts(NamedTuple):
    """Sums of weights per class and row; ``draws`` = 1 for the data, or the resamples."""

    hits: Float[np.ndarray, "classes rows draws"]
    """Of that class and predicted so."""
    called: Float[np.ndarray, "classes rows draws"]
    """Predicted so."""
    support: Float[np.ndarray, "classes 1 draws"]
    """Of that class."""

    @property
    def recall(self) -> Float[np.ndarray, "classes rows draws"]:
        """NaN for a class without support."""
        return ratio(self.hits, self.support)

    @property
    def precision(self) -> Float[np.ndarray, "classes rows draws"]:
        """NaN for a class that is never predicted."""
        return ratio(self.hits, self.called)

    @property
    def f1(self) -> Float[np.ndarray, "classes rows draws"]:
        """2 hits / (called + support); NaN for a class without support.

        Also NaN where negative weights of a reweighted sample leave no denominator: such a
        resample says nothing about the class.
        """
        doubled = self.called + self.support
        present = (self.support > 0) & (doubled > 0)
        return np.divide(2 * self.hits, doubled, out=np.full_like(self.hits, np.nan), where=present)


@dataclass(frozen=True)
class Scored:
    """Predictions of several actions on the same examples; one row = (action, target, source).

    Every count in a metric is a sum of example weights.

    Raises:
        DataError: no example.
    """

    labels: Int[np.ndarray, " examples"]
    clean: Int[np.ndarray, " examples"]
    """Predicted by the untouched model."""
    predicted: UInt16[np.ndarray, "rows examples"]
    kl: Float[np.ndarray, "rows examples"]
    """KL(clean ‖ intervened), nats."""
    target: Int[np.ndarray, " rows"]
    """Class that the action pushes toward; NOBODY where it aims at none."""
    source: Int[np.ndarray, " rows"]
    """Class whose examples are to be pushed; NOBODY for all."""
    n_classes: int
    weights: Float[np.ndarray, "examples 1"]
    """Float64: reported values must not carry float32 rounding."""
    resampled: Float32[np.ndarray, "examples resamples"]
    """Multiplicity × weight; float32, as intervals need no more and products are twice as fast."""
    counted: Float[np.ndarray, "examples 1"] | None = None
    """Weights that effective sample sizes are counted from, where a reweighted sample's own would
    mislead; None = ``weights``."""

    def __post_init__(self) -> None:
        if len(self.labels) == 0:
            raise DataError("0 examples given to a metric; expected at least 1")

    @cached_property
    def counts(self) -> ClassCounts:
        """Class counts on the data, float64."""
        return self._count(self.weights)

    @cached_property
    def resampled_counts(self) -> ClassCounts:
        """Class counts in each resample, float32."""
        return self._count(self.resampled)

    def _count(self, weights: Float[np.ndarray, "examples draws"]) -> ClassCounts:
        right = self.predicted == self.labels
        members = self.labels == np.arange(self.n_classes)[:, None]
        hits = self._sum_by_class(right, weights)
        called = hits + self._sum_by_class(~right, weights)
        return ClassCounts(hits, called, (members.astype(weights.dtype) @ weights)[:, None])

    def _sum_by_class(
        self,
        chosen: Bool[np.ndarray, "rows examples"],
        weights: Float[np.ndarray, "examples draws"],
    ) -> Float[np.ndarray, "classes rows draws"]:
        """Weight of the chosen examples by predicted class.

        Sparse: each example counts for one class, so dense products would be nearly all zeros.
        """
        rows, examples = chosen.shape
        row, example = chosen.nonzero()
        line = self.predicted[row, example].astype(np.int64) * rows + row
        ones = np.ones(len(row), dtype=weights.dtype)
        shape = (self.n_classes * rows, examples)
        one_hot = coo_array((ones, (line, example)), shape=shape).tocsr()
        return (one_hot @ weights).reshape(self.n_classes, rows, weights.shape[1])


def ratio(
    part: Float[np.ndarray, "*#shape"], whole: Float[np.ndarray, "*#shape"]
) -> Float[np.ndarray, "*#shape"]:
    """Elementwise part / whole, broadcast; NaN where whole is 0."""
    shape = np.broadcast_shapes(part.shape, whole.shape)
    out = np.full(shape, np.nan, dtype=np.result_type(part, whole))
    return np.divide(part, whole, out=out, where=np.broadcast_to(whole > 0, shape))


def untouched(
    predictions: Predictions,
    weights: Float[np.ndarray, " examples"],
    counts: Float[np.ndarray, "resamples examples"],
    n_classes: int,
) -> Scored:
    """The clean predictions as one row, of which every metric can be taken."""
    predicted = predictions.predicted
    return Scored(
        labels=predictions.labels.astype(np.int64),
        clean=predicted.astype(np.int64),
        predicted=predicted[None].astype(np.uint16),
        kl=np.zeros((1, len(predicted)), dtype=np.float32),
        target=np.array([NOBODY]),
        source=np.array([NOBODY]),
        n_classes=n_classes,
        weights=weights.astype(np.float64)[:, None],
        resampled=np.ascontiguousarray((counts * weights).T, dtype=np.float32),
    )
