"""Ranking by the distances between class means, without any probe."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from synapse_audit.artifacts import GLOBAL, Ranking, ScoresFor
from synapse_audit.rankings.context import RankingContext


def rank_probeless(context: RankingContext) -> Ranking:
    """Global Σ over class pairs |μ_a − μ_b|; for class c Σ over the others |μ_c − μ_other|.

    μ = weighted class means over ``fit`` of the standardised features. Source: Antverg & Belinkov
    2022 (arXiv 2110.07483), who do not standardise; without it the widest neurons always lead.
    Limits: sees each neuron alone, and only its mean. A class without a ``fit`` example has no
    scores and takes part in no pair.
    """
    layers = [
        context.by_neuron(layer, lambda values: _distances(context, values))
        for layer in range(len(context.activations.layers))
    ]
    # Every pair occurs twice in the sum over classes of the distances to the others.
    scores: ScoresFor = {GLOBAL: tuple(distances.sum(axis=0) / 2 for distances in layers)}
    for row, label in enumerate(context.present):
        scores[context.classes[label]] = tuple(distances[row] for distances in layers)
    return Ranking("probeless", scores)


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
