"""The two-phase estimate as a reweighted sample, so that every metric serves it unchanged.

With x the stream outcome of an example, y the exact one (known on a subsample S), and W_c, W_Sc the
weight of class c in all examples and in S, the difference estimate of any count over class c is

    Σ_S g_c w y + Σ_all w x − Σ_S g_c w x,   g_c = W_c / W_Sc,

which is a weighted count over 2N examples: the stream ones with weight w (1 − g_c 1_S), the exact
ones with weight g_c w 1_S. Class totals come out exactly as W_c. It is unbiased however often the
routes disagree, as long as who is in S depends on neither (Cochran 1977, 7.4 and 12.9). A
coefficient β of x, chosen on S, would be a little more precise where x says little of y; but where
disagreements are rare it moves exactly when S holds one, which biases the estimate.

Resampling (x, y, membership in S) together gives the variance of both phases: Var(ȳ_N) plus
(1/n − 1/N) Var(y − x). A subsample that holds no disagreement shows no second-phase variance. What
was missed then moves the estimate by the rate of disagreement in the other examples, which is small
beside the first phase (docs/proofs.md gives the coverage).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from synapse_audit.artifacts import Outcomes


class Reweighted(NamedTuple):
    """Weights of the doubled sample: stream examples first, exact ones after."""

    weights: Float[np.ndarray, "doubled 1"]
    resampled: Float[np.ndarray, "doubled resamples"]


def reweight(
    labels: Int[np.ndarray, " examples"],
    weights: Float[np.ndarray, "examples 1"],
    resampled: Float[np.ndarray, "examples resamples"],
    known: Bool[np.ndarray, " examples"],
) -> Reweighted:
    """The doubled sample of one subsample.

    A resample that holds no exact example of a class keeps that class's stream counts.
    """
    return Reweighted(_doubled(labels, weights, known), _doubled(labels, resampled, known))


def _doubled(
    labels: Int[np.ndarray, " examples"],
    weights: Float[np.ndarray, "examples draws"],
    known: Bool[np.ndarray, " examples"],
) -> Float[np.ndarray, "doubled draws"]:
    classes, ours = np.unique(labels, return_inverse=True)
    members = np.equal.outer(np.arange(len(classes)), ours).astype(weights.dtype)
    whole, part = members @ weights, members @ (weights * known[:, None])
    growth = np.divide(whole, part, out=np.zeros_like(whole), where=part > 0)
    out = np.empty((2 * len(labels), weights.shape[1]), dtype=weights.dtype)
    stream, exact = out[: len(labels)], out[len(labels) :]
    np.multiply(growth[ours], known[:, None], out=exact, casting="same_kind")
    exact *= weights
    np.subtract(weights, exact, out=stream)
    return out


def groups(
    outcomes: Outcomes, rows: Int[np.ndarray, " rows"]
) -> dict[int, Int[np.ndarray, " chosen"]]:
    """Number of examples that are exact → positions in ``rows``.

    Subsamples are nested, so their size tells them apart.
    """
    if outcomes.direct is None:
        sizes = np.full(len(rows), outcomes.predicted.shape[1])
    else:
        sizes = outcomes.direct.exact[rows].sum(axis=1)
    return {int(n): np.flatnonzero(sizes == n) for n in dict.fromkeys(sizes.tolist())}


def phase_error(
    outcomes: Outcomes,
    labels: Int[np.ndarray, " examples"],
    weights: Float[np.ndarray, " examples"],
) -> Float[np.ndarray, " actions"]:
    """Standard error that the second phase adds to each action's accuracy; NaN where all is exact.

    √ Σ_c (W_c / W)² (1/n_c − 1/N_c) s_c², with s_c² the variance of y − x within class c of the
    subsample, the weights of a class taken as equal. 0 where the subsample shows no disagreement.
    """
    error = np.full(len(outcomes.actions), np.nan)
    if outcomes.direct is None:
        return error
    exact, total = outcomes.direct.exact, weights.sum()
    right, direct = outcomes.predicted == labels, outcomes.direct.predicted == labels
    variance = np.zeros(len(outcomes.actions))
    for label in np.unique(labels):
        mine = labels == label
        known = exact[:, mine]
        n, size = known.sum(axis=1), int(mine.sum())
        gained = (right[:, mine] & ~direct[:, mine] & known).sum(axis=1)
        lost = (~right[:, mine] & direct[:, mine] & known).sum(axis=1)
        spread = (gained + lost - (gained - lost) ** 2 / np.maximum(n, 1)) / np.maximum(n - 1, 1)
        share = weights[mine].sum() / total
        variance += share**2 * (1 / np.maximum(n, 1) - 1 / size) * spread
    return np.where(exact.all(axis=1), np.nan, np.sqrt(variance))
