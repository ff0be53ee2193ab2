"""Ranking by how well a single activation retrieves the examples of a class."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from synapse_audit.artifacts import GLOBAL, Ranking, ScoresFor
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
    scores: ScoresFor = {GLOBAL: tuple(precisions.mean(axis=0) for precisions in layers)}
    for row, label in enumerate(context.present):
        scores[context.classes[label]] = tuple(precisions[row] for precisions in layers)
    return Ranking("iou", scores)


def _precisions(
    context: RankingContext, values: Float[np.ndarray, "fit neurons"]
) -> Float[np.ndarray, "present neurons"]:
    weights = context.weights[context.splits.fit]
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    ends = _ends(ordered[1:] != ordered[:-1])
    # Read backwards, the ascending order is the descending one.
    ends_down = len(order) - 1 - _starts(ordered[1:] != ordered[:-1])[::-1]
    rows = []
    for label in context.present:
        own = np.where(context.members[label], weights, 0.0)
        up = average_precision(own[order], weights[order], ends)
        down = average_precision(own[order][::-1], weights[order][::-1], ends_down)
        rows.append(np.maximum(up, down))
    return np.stack(rows)


def average_precision(
    own: Float[np.ndarray, "examples neurons"],
    weights: Float[np.ndarray, "examples neurons"],
    ends: np.ndarray,
) -> Float[np.ndarray, " neurons"]:
    """Average precision of each column, whose rows run from the first retrieved to the last.

    Args:
        own: the weight where an example belongs to the class, else 0.
        ends: for each row the last row of its group of equal values.
    """
    precision = np.cumsum(own, axis=0) / np.cumsum(weights, axis=0)
    at_end = np.take_along_axis(precision, ends, axis=0)
    return np.asarray((own * at_end).sum(axis=0) / own.sum(axis=0))


def _ends(differs: Bool[np.ndarray, "gaps neurons"]) -> np.ndarray:
    """For each row the last row with the same value."""
    n = len(differs) + 1
    last = np.full((n, differs.shape[1]), n - 1)
    last[:-1] = np.where(differs, np.arange(n - 1)[:, None], n - 1)
    return np.minimum.accumulate(last[::-1], axis=0)[::-1]


def _starts(differs: Bool[np.ndarray, "gaps neurons"]) -> np.ndarray:
    """For each row the first row with the same value."""
    n = len(differs) + 1
    first = np.zeros((n, differs.shape[1]), dtype=np.int64)
    first[1:] = np.where(differs, np.arange(1, n)[:, None], 0)
    return np.maximum.accumulate(first, axis=0)
