"""Ranking by how well a single activation retrieves the examples of a class."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from synapse_audit.artifacts import Ranking
from synapse_audit.rankings.context import RankingContext


def rank_iou(context: RankingContext) -> Ranking:
    """For class c the average precision of the activation, or its negative, as a detector of c.

    The better of the two signs counts; global is the mean over classes. AP = Σ_n (R_n − R_{n−1})
    P_n over the distinct thresholds, weighted, on ``fit``. Source: the IoU ranker of Fan et al.
    2023 (arXiv 2301.12608) and NeuroX, which look at the positive sign only. Limits: sees each
    neuron alone; a useless neuron scores the share of the class, not 0; the better of two signs
    is above that by chance, the more so the rarer the class. A class without a ``fit`` example
    has no scores.
    """
    layers = [
        context.by_neuron(layer, lambda values: _precisions(context, values))
        for layer in range(len(context.activations.layers))
    ]
    return context.ranking("iou", layers, [precisions.mean(axis=0) for precisions in layers])


def _precisions(
    context: RankingContext, values: Float[np.ndarray, "fit neurons"]
) -> Float[np.ndarray, "present neurons"]:
    up, down = _retrievals(values, context.weights[context.splits.fit])
    rows = []
    for label in context.present:
        members = np.flatnonzero(context.members[label])
        rows.append(np.maximum(up.average_precision(members), down.average_precision(members)))
    return np.stack(rows)


class Retrieval(NamedTuple):
    """Examples in the order in which each neuron retrieves them, one neuron per row."""

    place: Int[np.ndarray, "neurons examples"]
    """When each example is retrieved, counted from 0."""
    weights: Float[np.ndarray, "neurons places"]
    seen: Float[np.ndarray, "neurons places"]
    """Weight retrieved so far."""
    ends: Int[np.ndarray, "neurons places"]
    """The last place with the same value: equal values are retrieved together."""

    def average_precision(self, members: Int[np.ndarray, " members"]) -> Float[np.ndarray, " _"]:
        """Average precision of each neuron for some of the examples, of which there is one.

        Only members are looked at: between two of them the recall stands still.
        """
        places = np.sort(self.place[:, members], axis=1)
        weights, ends = (_at(array, places) for array in (self.weights, self.ends))
        # Members of one group of equal values end it together.
        found = weights.cumsum(axis=1)
        precision = _at(found, _ends(ends[:, 1:] != ends[:, :-1])) / _at(self.seen, ends)
        return (weights * precision).cumsum(axis=1)[:, -1] / found[:, -1]


def _retrievals(
    values: Float[np.ndarray, "fit neurons"], weights: Float[np.ndarray, " fit"]
) -> tuple[Retrieval, Retrieval]:
    """From the lowest value up and from the highest down."""
    # One neuron per row, so that running sums read memory in order.
    columns, last = np.ascontiguousarray(values.T), len(values) - 1
    order = np.argsort(columns, axis=1, kind="stable")
    ordered, place = _at(columns, order), np.empty_like(order)
    np.put_along_axis(place, order, np.arange(len(values))[None], axis=1)
    differs, heavy = ordered[:, 1:] != ordered[:, :-1], weights[order]
    up = Retrieval(place, heavy, heavy.cumsum(axis=1), _ends(differs))
    # Read backwards, a group ends where it starts.
    heavy, ends = heavy[:, ::-1], last - _starts(differs)[:, ::-1]
    return up, Retrieval(last - place, heavy, heavy.cumsum(axis=1), ends)


def _at(
    array: Shaped[np.ndarray, "neurons places"], places: Int[np.ndarray, "neurons some"]
) -> Shaped[np.ndarray, "neurons some"]:
    return np.take_along_axis(array, places, axis=1)


def _ends(differs: Bool[np.ndarray, "neurons gaps"]) -> Int[np.ndarray, "neurons places"]:
    """For each place the last one with the same value."""
    n = differs.shape[1] + 1
    last = np.full((len(differs), n), n - 1)
    last[:, :-1] = np.where(differs, np.arange(n - 1), n - 1)
    return np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]


def _starts(differs: Bool[np.ndarray, "neurons gaps"]) -> Int[np.ndarray, "neurons places"]:
    """For each place the first one with the same value."""
    n = differs.shape[1] + 1
    first = np.zeros((len(differs), n), dtype=np.int64)
    first[:, 1:] = np.where(differs, np.arange(1, n), 0)
    return np.maximum.accumulate(first, axis=1)
