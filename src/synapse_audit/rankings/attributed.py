"""From attributions per example to scores per class: what the gradient rankings share."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from synapse_audit.artifacts import Ranking
from synapse_audit.errors import UsageError
from synapse_audit.rankings.attributions import Attributions
from synapse_audit.rankings.context import RankingContext


def known(context: RankingContext, method: str) -> Attributions:
    """The attributions of a context.

    Raises:
        UsageError: it has none.
    """
    if context.attributions is None:
        raise UsageError(
            f"ranking '{method}' given without attributions; expected a context with "
            "`attributions`, see synapse_audit.rankings.attributions.attribute"
        )
    return context.attributions


def averaged(
    method: str, context: RankingContext, values: tuple[Float[np.ndarray, "examples _"], ...]
) -> Ranking:
    """Class c: the weighted mean of |value| over its examples; global: the mean over classes.

    A class of which no example was attributed has no scores.

    Raises:
        UsageError: there are no attributions.
    """
    rows = known(context, method).rows
    labels, weights = context.labels[rows], context.weights[rows]
    present = [int(label) for label in np.unique(labels)]
    layers = [
        np.stack(
            [
                np.average(np.abs(layer[labels == c]), axis=0, weights=weights[labels == c])
                for c in present
            ]
        )
        for layer in values
    ]
    return context.ranking(method, layers, [means.mean(axis=0) for means in layers], present)
