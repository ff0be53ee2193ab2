"""Ranking by layer conductance."""

from __future__ import annotations

from synapse_audit.artifacts import Ranking
from synapse_audit.rankings.attributed import averaged, known
from synapse_audit.rankings.context import RankingContext


def rank_conductance(context: RankingContext) -> Ranking:
    """For class c the mean of |conductance| toward its logit over its examples; global as well,
    averaged over classes.

    Source and limits: see :func:`synapse_audit.rankings.attributions.attribute`. The magnitude is
    averaged because a neuron may push one example up and the next one down. A ranking of what the
    model uses, not of what can be read (Antverg & Belinkov 2022): disagreement with ``probe`` is a
    finding, not a fault of either.

    Raises:
        UsageError: the context holds no attributions.
    """
    return averaged("conductance", context, known(context, "conductance").conductances)
