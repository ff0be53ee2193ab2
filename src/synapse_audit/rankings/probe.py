"""Ranking by the weights of the per-layer linear probes."""

from __future__ import annotations

import numpy as np

from synapse_audit.artifacts import GLOBAL, Ranking, ScoresFor
from synapse_audit.rankings.context import RankingContext


def rank_probe(context: RankingContext) -> Ranking:
    """Global Σ_c |W_cj|; for class c |W_cj|, W centred over classes, features standardised.

    Source: Dalvi et al. 2019 (arXiv 1812.09355) and SYNAPSE (arXiv 2603.08424); here one probe per
    layer, so scores of different layers do not compare. Limits: a probe spreads weight over
    correlated neurons, and its quality is not the quality of its ranking (Antverg & Belinkov
    2022). A class without a ``fit`` example has no scores.
    """
    by_scope = {probe.scope: np.abs(probe.weights) for probe in context.probes}
    layers = [by_scope[str(layer)] for layer in range(len(context.activations.layers))]
    scores: ScoresFor = {GLOBAL: tuple(weights.sum(axis=0) for weights in layers)}
    for label in context.present:
        scores[context.classes[label]] = tuple(weights[label] for weights in layers)
    return Ranking("probe", scores)
