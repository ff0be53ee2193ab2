"""Ranking by the SYNAPSE paper's own probe: one linear layer over all blocks at once."""

from __future__ import annotations

import numpy as np

from synapse_audit.artifacts import GLOBAL, Ranking
from synapse_audit.probes.paper import fit_published
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
    joint = np.concatenate([held.layers[m][fit] for m in held.blocks], axis=1).astype(np.float32)
    labels = np.searchsorted(context.present, context.fit_labels)
    found = fit_published(joint, labels, len(context.present), seed=context.seed)
    ends = np.cumsum([held.widths[m] for m in held.blocks])[:-1]
    blocks = np.split(np.abs(found.weights), ends, axis=1)
    layers = [np.zeros((len(context.present), held.widths[0])), *blocks]
    scores = {GLOBAL: tuple(weights.sum(axis=0) for weights in layers)}
    for row, label in enumerate(context.present):
        scores[context.classes[label]] = tuple(weights[row] for weights in layers)
    return Ranking("paper", scores, across=True)
