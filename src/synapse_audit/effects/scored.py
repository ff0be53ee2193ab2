"""What every metric reads: predictions under some actions, clean ones, and weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Num
from scipy.sparse import coo_array

from synapse_audit.artifacts import Predictions
from synapse_audit.artifacts.label_sets import decoded, holds
from synapse_audit.effects.two_phase import Phases
from synapse_audit.errors import DataError

NO_CLASS = -1
"""Class index of a target or source that is not set."""


@dataclass(frozen=True)
class ClassCounts:
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

    @cached_property
    def f1(self) -> Float[np.ndarray, "classes rows draws"]:
        """2 hits / (called + support); NaN for a class without support.

        Also NaN where the correction of an estimate leaves no denominator: such a resample says
        nothing about the class.
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
    phases: Phases
    """Predicted under each action."""
    kl: Float[np.ndarray, "rows examples"]
    """KL(clean ‖ intervened), nats; corrected where estimated."""
    target: Int[np.ndarray, " rows"]
    """Class that the action pushes toward; ``NO_CLASS`` where it aims at none."""
    source: Int[np.ndarray, " rows"]
    """Class whose examples are to be pushed; ``NO_CLASS`` for all."""
    n_classes: int
    weights: Float[np.ndarray, "examples 1"]
    """Float64: reported values must not carry float32 rounding."""
    resampled: Float32[np.ndarray, "examples resamples"]
    """Multiplicity × weight; float32, as intervals need no more and products are twice as fast."""

    strata: Int[np.ndarray, " examples"] | None = None
    """By what the examples were resampled, where that is not their class."""

    def __post_init__(self) -> None:
        if len(self.labels) == 0:
            raise DataError("0 examples given to a metric; expected at least 1")

    @property
    def members(self) -> Bool[np.ndarray, "classes examples"]:
        """Which examples are of each class."""
        return self.labels == np.arange(self.n_classes)[:, None]

    @property
    def stratified(self) -> Bool[np.ndarray, "strata examples"]:
        """Which examples were resampled together."""
        if self.strata is None:
            return self.members
        return self.strata == np.unique(self.strata)[:, None]

    @cached_property
    def untouched(self) -> Scored:
        """The clean predictions on the same examples, as one row."""
        return replace(
            self,
            phases=Phases(self.clean[None]),
            kl=np.zeros((1, len(self.labels)), dtype=np.float32),
            target=np.array([NO_CLASS]),
            source=np.array([NO_CLASS]),
        )

    @property
    def clean_recall(self) -> Float[np.ndarray, " classes"]:
        """Recall of the untouched model; NaN for a class without support."""
        weights = self.weights[:, 0]
        hits = np.bincount(self.labels, weights * (self.clean == self.labels), self.n_classes)
        return _share_of(hits, self.counts.support[:, 0, 0])

    @cached_property
    def right(self) -> Float[np.ndarray, "rows examples"]:
        """How much each example counts as predicted as labelled."""
        return self.phases.of(lambda predicted: predicted == self.labels)

    @cached_property
    def counts(self) -> ClassCounts:
        """Class counts on the data, float64."""
        return self._count(self.weights)

    @cached_property
    def resampled_counts(self) -> ClassCounts:
        """Class counts in each resample, float32."""
        return self._count(self.resampled)

    def _count(self, weights: Float[np.ndarray, "examples draws"]) -> ClassCounts:
        right = self._calls.predicted == self.labels[self._calls.example]
        members = self.labels == np.arange(self.n_classes)[:, None]
        hits = self._sum_by_class(right, weights)
        called = hits + self._sum_by_class(~right, weights)
        return ClassCounts(hits, called, (members.astype(weights.dtype) @ weights)[:, None])

    @cached_property
    def _calls(self) -> _Calls:
        """Every prediction once; where the routes differ, the exact one instead of the stream's."""
        predicted, stream, design_weight, *_ = self.phases
        base = predicted if stream is None else stream
        row, example = np.indices(base.shape).reshape(2, -1)
        plain = _Calls(row, example, base.reshape(-1), np.ones(base.size, dtype=np.float32))
        if stream is None or design_weight is None:
            return plain
        place = ((predicted != stream) & (design_weight > 0)).nonzero()
        gained = _Calls(place[0], place[1], predicted[place], design_weight[place])
        lost = _Calls(place[0], place[1], stream[place], -design_weight[place])
        return _Calls(*map(np.concatenate, zip(plain, gained, lost, strict=True)))

    def _sum_by_class(
        self, chosen: Bool[np.ndarray, " calls"], weights: Float[np.ndarray, "examples draws"]
    ) -> Float[np.ndarray, "classes rows draws"]:
        """Weight of the chosen calls by predicted class.

        Sparse: each example counts for one class, so dense products would be nearly all zeros.
        """
        row, example, predicted, share = (part[chosen] for part in self._calls)
        rows, examples = self.phases.predicted.shape
        line = predicted.astype(np.int64) * rows + row
        shape = (self.n_classes * rows, examples)
        matrix = coo_array((share.astype(weights.dtype), (line, example)), shape=shape).tocsr()
        return (matrix @ weights).reshape(self.n_classes, rows, weights.shape[1])


@dataclass(frozen=True)
class ScoredSets(Scored):
    """The same of sets of labels: ``labels``, ``clean`` and predictions are sets.

    What compares whole sets (accuracy, flips) is inherited as it is; what counts classes counts
    labels, each of which an example has or has not.
    """

    @property
    def members(self) -> Bool[np.ndarray, "classes examples"]:
        """Which examples have each label."""
        return decoded(self.labels, self.n_classes).T

    @property
    def clean_recall(self) -> Float[np.ndarray, " classes"]:
        """Share of the examples with each label on which the untouched model says it."""
        both = self.members & decoded(self.clean, self.n_classes).T
        return _share_of((both @ self.weights)[:, 0], self.counts.support[:, 0, 0])

    def _count(self, weights: Float[np.ndarray, "examples draws"]) -> ClassCounts:
        members = self.members
        hits, called = [], []
        for label in range(self.n_classes):
            said = self.phases.of(partial(holds, label=label))
            hits.append((said * members[label]).astype(weights.dtype) @ weights)
            called.append(said.astype(weights.dtype) @ weights)
        support = (members.astype(weights.dtype) @ weights)[:, None]
        return ClassCounts(np.stack(hits), np.stack(called), support)


def _share_of(
    part: Float[np.ndarray, " classes"], whole: Float[np.ndarray, " classes"]
) -> Float[np.ndarray, " classes"]:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.nan)


class _Calls(NamedTuple):
    """Who is predicted as what, and for how many examples that counts."""

    row: Int[np.ndarray, " calls"]
    example: Int[np.ndarray, " calls"]
    predicted: Num[np.ndarray, " calls"]
    share: Float[np.ndarray, " calls"]


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
    resampled: Float32[np.ndarray, "examples resamples"],
    n_classes: int,
    strata: Int[np.ndarray, " examples"] | None = None,
) -> Scored:
    """The clean predictions as one row, of which every metric can be taken.

    ``strata``: by what examples with sets of labels were resampled.
    """
    predicted = predictions.predicted
    kind, number = (ScoredSets, np.int64) if predictions.several else (Scored, np.uint16)
    return kind(
        labels=predictions.labels.astype(np.int64),
        clean=predicted.astype(np.int64),
        phases=Phases(predicted[None].astype(number)),
        kl=np.zeros((1, len(predicted)), dtype=np.float32),
        target=np.array([NO_CLASS]),
        source=np.array([NO_CLASS]),
        n_classes=n_classes,
        weights=weights.astype(np.float64)[:, None],
        resampled=resampled,
        strata=strata,
    )
