"""Ranking by chance: what any other ranking has to beat."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from synapse_audit.artifacts import GLOBAL, Ranking
from synapse_audit.rankings.context import RankingContext


def rank_random(context: RankingContext) -> Ranking:
    """Independent uniform scores in [0, 1), keyed by (seed, class, layer).

    A null for significance tests: its sets relate to nothing, so every finding about them is
    false. Global and each class with a ``fit`` example have their own scores.
    """
    names = [GLOBAL, *(context.classes[label] for label in context.present)]
    scores = {
        name: tuple(
            _uniform(width, context.seed, row, layer)
            for layer, width in enumerate(context.activations.widths)
        )
        for row, name in enumerate(names)
    }
    return Ranking("random", scores)


def _uniform(width: int, *key: int) -> Float[np.ndarray, " neurons"]:
    return np.random.default_rng(np.random.SeedSequence(list(key))).random(width)
