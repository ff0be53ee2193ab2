"""Scores for neurons: one file per method, one line per method in :data:`RANKINGS`.

In: a :class:`RankingContext`. Out: a :class:`~synapse_audit.artifacts.Ranking`, for layers 0 to L.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Float

from synapse_audit.artifacts import Ranking
from synapse_audit.errors import UsageError, choices
from synapse_audit.neurons.addresses import DEFAULT_SITE
from synapse_audit.rankings.activation_gradient import rank_activation_gradient
from synapse_audit.rankings.conductance import rank_conductance
from synapse_audit.rankings.context import RankingContext
from synapse_audit.rankings.iou import rank_iou
from synapse_audit.rankings.mutual_information import rank_mutual_information
from synapse_audit.rankings.paper import rank_paper
from synapse_audit.rankings.probe import rank_probe
from synapse_audit.rankings.probeless import rank_probeless
from synapse_audit.rankings.random import rank_random

__all__ = ["ACROSS", "ATTRIBUTED", "RANKINGS", "RankingContext", "rank", "ranking_table"]

RANKINGS: dict[str, Callable[[RankingContext], Ranking]] = {
    "probe": rank_probe,
    "probeless": rank_probeless,
    "iou": rank_iou,
    "mutual_information": rank_mutual_information,
    "activation_gradient": rank_activation_gradient,
    "conductance": rank_conductance,
    "paper": rank_paper,
    "random": rank_random,
}

ATTRIBUTED = ("activation_gradient", "conductance")
"""Rankings that need gradients of the model."""

ACROSS = ("paper",)
"""Rankings whose scores compare across layers."""


def rank(method: str, context: RankingContext) -> Ranking:
    """Scores every neuron of every layer by one method of :data:`RANKINGS`.

    Raises:
        UsageError: no such method (the message names the choices), or one that does not give one
            score per neuron.
    """
    if method not in RANKINGS:
        raise UsageError(f"ranking '{method}' given; {choices(method, RANKINGS)}")
    found = replace(RANKINGS[method](context), method=method)
    for name, scores in found.scores.items():
        widths = tuple(len(layer) for layer in scores)
        if widths != context.activations.widths:
            whom = "all classes" if name is None else f"'{name}'"
            raise UsageError(
                f"ranking '{method}' gives scores for {widths} neurons for {whom}; expected "
                f"{context.activations.widths}, layer 0 first"
            )
    return found


def ranking_table(rankings: Sequence[Ranking], site: str = DEFAULT_SITE) -> pd.DataFrame:
    """``rankings.parquet``: one row per method, ranked_for (null = all classes), layer and neuron.

    ``rank`` counts from 1 = most important within method × ranked_for × layer; equal scores are
    ranked by neuron index, as :func:`synapse_audit.neurons.top` does. ``site`` is where the ranked
    neurons are; with layer and neuron it is their address
    (:func:`synapse_audit.neurons.addresses.neurons_of`).
    """
    parts = [
        pd.DataFrame(
            {
                "method": ranking.method,
                "ranked_for": pd.array([name] * len(scores), dtype="str"),
                "layer": layer,
                "neuron": np.arange(len(scores)),
                "score": scores,
                "rank": _ranks(scores),
                "site": site,
            }
        )
        for ranking in rankings
        for name, by_layer in ranking.scores.items()
        for layer, scores in enumerate(by_layer)
    ]
    return pd.concat(parts, ignore_index=True)


def _ranks(scores: Float[np.ndarray, " neurons"]) -> np.ndarray:
    ranks = np.empty(len(scores), dtype=np.int64)
    ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return ranks
