"""The two-phase estimate as a reweighted sample, so that every metric serves it unchanged.

With x the stream outcome of an example, y the exact one (known on a subsample S), and W_c, W_Sc the
weight of class c in all examples and in S, the regression estimate of any count over class c is

    Σ_S g_c w y + β (Σ_all w x − Σ_S g_c w x),   g_c = W_c / W_Sc,

which is a weighted count over 2N examples: the stream ones with weight β w (1 − g_c 1_S), the exact
ones with weight g_c w 1_S. Class totals come out exactly as W_c. For β = 1 it is the difference
estimate, unbiased whatever the disagreement; β is chosen per action to minimise the variance of
accuracy (Cochran 1977, 7.4 and 12.9).

Resampling (x, y, membership in S) together gives the variance of both phases: Var(ȳ_N) plus
(1/n − 1/N) Var(y − βx). β is held fixed in it; its own noise is of smaller order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt16

from synapse_audit.artifacts import Outcomes

BETAS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""β is rounded to these, so that actions can share one reweighted sample."""


class Reweighted(NamedTuple):
    """Weights of the doubled sample: stream examples first, exact ones after."""

    weights: Float[np.ndarray, "doubled 1"]
    resampled: Float[np.ndarray, "doubled resamples"]


def coefficient(
    direct: UInt16[np.ndarray, " examples"],
    exact: UInt16[np.ndarray, " examples"],
    labels: Int[np.ndarray, " examples"],
    known: Bool[np.ndarray, " examples"],
) -> float:
    """β of accuracy on the subsample, clipped to [0, 1] and rounded to ``BETAS``.

    1 where the routes agree throughout, or where the stream is right (or wrong) on all of it.
    """
    x = (direct == labels)[known].astype(np.float64)
    y = (exact == labels)[known].astype(np.float64)
    if (x == y).all() or x.std() == 0:
        return 1.0
    slope = float(np.clip(np.cov(x, y, ddof=0)[0, 1] / x.var(), 0.0, 1.0))
    return min(BETAS, key=lambda beta: abs(beta - slope))


def reweight(
    labels: Int[np.ndarray, " examples"],
    weights: Float[np.ndarray, "examples 1"],
    resampled: Float[np.ndarray, "examples resamples"],
    known: Bool[np.ndarray, " examples"],
    beta: float,
) -> Reweighted:
    """The doubled sample of one subsample and one β.

    A resample that holds no exact example of a class keeps that class's stream counts.
    """
    return Reweighted(
        _doubled(labels, weights, known, beta), _doubled(labels, resampled, known, beta)
    )


def _doubled(
    labels: Int[np.ndarray, " examples"],
    weights: Float[np.ndarray, "examples draws"],
    known: Bool[np.ndarray, " examples"],
    beta: float,
) -> Float[np.ndarray, "doubled draws"]:
    members = np.equal.outer(np.unique(labels), labels).astype(weights.dtype)
    whole, part = members @ weights, members @ (weights * known[:, None])
    there = part > 0
    growth = np.divide(whole, part, out=np.zeros_like(whole), where=there)
    ours = np.searchsorted(np.unique(labels), labels)
    grown = (growth[ours] * known[:, None]).astype(weights.dtype)
    share = np.where(there[ours], beta, 1.0).astype(weights.dtype)
    return np.concatenate([share * weights * (1 - grown), weights * grown])


def groups(
    outcomes: Outcomes, rows: Int[np.ndarray, " rows"], labels: Int[np.ndarray, " examples"]
) -> dict[tuple[int, float], Int[np.ndarray, " chosen"]]:
    """(examples that are exact, β) → positions in ``rows``; (N, 1.0) for actions that are exact.

    Subsamples are nested, so their size tells them apart.
    """
    found: dict[tuple[int, float], list[int]] = {}
    for place, row in enumerate(rows):
        key = (len(labels), 1.0)
        if outcomes.direct is not None and not outcomes.direct.exact[row].all():
            known = outcomes.direct.exact[row]
            beta = coefficient(
                outcomes.direct.predicted[row], outcomes.predicted[row], labels, known
            )
            key = (int(known.sum()), beta)
        found.setdefault(key, []).append(place)
    return {key: np.array(places, dtype=np.int64) for key, places in found.items()}


def unseen_variance(
    outcomes: Outcomes, rows: Int[np.ndarray, " rows"]
) -> Float[np.ndarray, " rows"]:
    """Variance that disagreements expected but not seen on the subsample add to a proportion.

    A subsample without a disagreement has no second-phase variance of its own; the smoothed rate
    r says what may have been missed: max(0, r − seen) (1/n − 1/N).
    """
    if outcomes.direct is None:
        return np.zeros(len(rows))
    known = outcomes.direct.exact[rows]
    n, total = known.sum(axis=1), known.shape[1]
    differ = (outcomes.direct.predicted[rows] != outcomes.predicted[rows]) & known
    missing = np.maximum(0.0, outcomes.direct.disagreement[rows] - differ.sum(axis=1) / n)
    return missing * (1 / n - 1 / total)
