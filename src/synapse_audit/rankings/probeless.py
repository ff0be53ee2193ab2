"""Ranking by the distances between class means, without any probe."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from synapse_audit.artifacts import Ranking
from synapse_audit.rankings.context import RankingContext


def rank_probeless(context: RankingContext) -> Ranking:
    """Global Σ over class pairs |μ_a − μ_b|; for class c Σ over the others |μ_c − μ_other|.

    μ = weighted class means over ``fit`` of the standardised features. Source: Antverg & Belinkov
    2022 (arXiv 2110.07483), who do not standardise; without it the widest neurons always lead.
    Limits: sees each neuron alone, and only its mean. A class without a ``fit`` example has no
    scores and takes part in no pair.

    Where an example may have several labels, a label's score is |μ with it − μ without it|, and the
    global one the sum over labels.
    """
    if context.sets is not None:
        return _of_labels(context)
    layers = [
        context.by_neuron(layer, lambda values: _distances(context, values))
        for layer in range(len(context.activations.layers))
    ]
    # Every pair occurs twice in the sum over classes of the distances to the others.
    overall = [distances.sum(axis=0) / 2 for distances in layers]
    return context.ranking("probeless", layers, overall)


def _of_labels(context: RankingContext) -> Ranking:
    layers = [
        context.by_neuron(layer, lambda values: _contrasts(context, values))
        for layer in range(len(context.activations.layers))
    ]
    return context.ranking("probeless", layers, [contrasts.sum(axis=0) for contrasts in layers])


def _contrasts(
    context: RankingContext, features: Float[np.ndarray, "fit neurons"]
) -> Float[np.ndarray, "present neurons"]:
    weights = context.weights[context.splits.fit]
    own = context.members[list(context.present)] * weights
    other = ~context.members[list(context.present)] * weights
    means = [(part @ features) / part.sum(axis=1, keepdims=True) for part in (own, other)]
    return np.asarray(np.abs(means[0] - means[1]))


def _distances(
    context: RankingContext, features: Float[np.ndarray, "fit neurons"]
) -> Float[np.ndarray, "present neurons"]:
    labels, weights = context.fit_labels, context.weights[context.splits.fit]
    means = np.stack(
        [
            np.average(features[labels == label], axis=0, weights=weights[labels == label])
            for label in context.present
        ]
    )
    return np.stack([np.abs(mean - means).sum(axis=0) for mean in means])
