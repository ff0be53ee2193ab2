"""Ranking by the SYNAPSE paper's own probe: one linear layer over all blocks at once."""

from __future__ import annotations

import numpy as np

from synapse_audit.artifacts import GLOBAL, Ranking, ScoresFor
from synapse_audit.probes.paper import fit_published, side_by_side
from synapse_audit.rankings.context import RankingContext


def rank_paper(context: RankingContext) -> Ranking:
    """Global Σ_c |W_cj|; for class c |W_cj|, of the probe of :mod:`synapse_audit.probes.paper`.

    One probe reads all blocks, so scores compare **across** layers. Source: SYNAPSE (arXiv
    2603.08424). Limits: features are not standardised, so a neuron that varies widely gets little
    weight for what it says; on few examples the order is largely that of the random start, from
    which each weight moves at most 0.001 per step. Layer 0 is not read: its scores are 0. A class
    without a ``fit`` example has no scores.
    """
    held, fit = context.activations, context.splits.fit
    ends = np.cumsum([held.widths[m] for m in held.blocks])
    joint = side_by_side(held, fit, context.allocate)
    labels = np.searchsorted(context.present, context.fit_labels)
    found = fit_published(joint, labels, len(context.present), seed=context.seed)
    weights = np.split(np.abs(found.weights), ends[:-1], axis=1)
    layers = [np.zeros((len(context.present), held.widths[0])), *weights]
    scores: ScoresFor = {GLOBAL: tuple(layer.sum(axis=0) for layer in layers)}
    for row, label in enumerate(context.present):
        scores[context.classes[label]] = tuple(layer[row] for layer in layers)
    return Ranking("paper", scores, across=True)
