"""Ranking by activation times gradient."""

from __future__ import annotations

from synapse_audit.artifacts import Ranking
from synapse_audit.rankings.attributed import averaged, known
from synapse_audit.rankings.context import RankingContext


def rank_activation_gradient(context: RankingContext) -> Ranking:
    """For class c the mean of |h · ∂z_c/∂h| over its examples; global the mean over classes.

    z_c = logit of the true class, h = neuron of the pooled row. The first-order estimate of what
    zeroing the neuron does to that logit, so a large constant ranks high though it tells nothing
    (see load-bearing constants), and where softmax or LayerNorm saturate it misses what is there.
    Source: Shrikumar et al. 2016 (arXiv 1605.01713). Made from a part of ``fit``
    (:data:`synapse_audit.rankings.attributions.MOST_EXAMPLES`).

    Raises:
        UsageError: the context holds no attributions.
    """
    return averaged("activation_gradient", context, known(context, "activation_gradient").gradients)
