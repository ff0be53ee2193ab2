"""Ranking by what a binned activation tells about the label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.artifacts import GLOBAL, Ranking, ScoresFor
from synapse_audit.rankings.context import RankingContext

BINS = 10
"""Quantile bins per neuron."""


def rank_mutual_information(context: RankingContext) -> Ranking:
    """Global I(bin; label); for class c I(bin; label is c); in nats, weighted, on ``fit``.

    Bins are cut at the unweighted deciles, so any monotone rewrite of a neuron scores the same.
    The plug-in estimate: about (bins − 1)(classes − 1) / 2n too high, the same for every neuron, so
    ranks hardly suffer, but scores of few examples are no amounts of information. Limits: sees
    each neuron alone; two copies of one neuron both score high. A class without a ``fit`` example
    has no scores.

    Where an example may have several labels, global is Σ over labels of I(bin; has the label).
    """
    layers = [
        context.by_neuron(layer, lambda values: joint_shares(context, values))
        for layer in range(len(context.activations.layers))
    ]
    if context.sets is not None:
        return _of_labels(context, layers)
    scores: ScoresFor = {GLOBAL: tuple(information(shares) for shares in layers)}
    for row, label in enumerate(context.present):
        scores[context.classes[label]] = tuple(
            information(_one_against_rest(shares, row)) for shares in layers
        )
    return Ranking("mutual_information", scores)


def quantile_bins(
    values: Float[np.ndarray, "examples neurons"], bins: int = BINS
) -> Int[np.ndarray, "examples neurons"]:
    """Bin of each value, 0 to bins − 1, cut at the quantiles of its column; ties share a bin."""
    edges = np.quantile(values, np.arange(1, bins) / bins, axis=0)
    found = np.zeros(values.shape, dtype=np.int64)
    for edge in edges:
        found += values > edge
    return found


def joint_shares(
    context: RankingContext, values: Float[np.ndarray, "fit neurons"]
) -> Float[np.ndarray, "bins present neurons"]:
    """Weighted share of ``fit`` in each bin and class; of labels in each bin and with each label,
    the share of the bin itself last."""
    binned, weights = quantile_bins(values), context.weights[context.splits.fit][:, None]
    if context.sets is None:
        mass = weights * (context.fit_labels[:, None] == np.asarray(context.present))
        total = mass.sum()
    else:
        mass = np.column_stack([weights * context.members[list(context.present)].T, weights])
        total = weights.sum()
    tables = [mass.T @ (binned == b).astype(np.float64) for b in range(BINS)]
    return np.stack(tables) / total


def information(joint: Float[np.ndarray, "bins labels neurons"]) -> Float[np.ndarray, " neurons"]:
    """Mutual information of bin and label, in nats; never below 0."""
    apart = joint.sum(axis=0, keepdims=True) * joint.sum(axis=1, keepdims=True)
    ratio = np.divide(joint, apart, out=np.ones_like(joint), where=joint > 0)
    return np.maximum((joint * np.log(ratio)).sum(axis=(0, 1)), 0.0)


def _of_labels(
    context: RankingContext, layers: Sequence[Float[np.ndarray, "bins tables neurons"]]
) -> Ranking:
    found = [
        np.stack([information(np.stack([part[:, row], part[:, -1] - part[:, row]], axis=1))
                  for row in range(len(context.present))])
        for part in layers
    ]  # fmt: skip
    return context.ranking("mutual_information", found, [rows.sum(axis=0) for rows in found])


def _one_against_rest(
    joint: Float[np.ndarray, "bins present neurons"], row: int
) -> Float[np.ndarray, "bins 2 neurons"]:
    own = joint[:, row]
    return np.stack([own, joint.sum(axis=1) - own], axis=1)
