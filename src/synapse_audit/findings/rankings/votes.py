"""How far rankings of the same neurons agree: numbers of one layer.

In: one array of scores per method. Out: rank correlation, overlap of top sets, votes, and what
chance would give.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import hypergeom, rankdata

from synapse_audit.neurons import count, top

LIST_SHARE = 100 / 768
"""How long a voter's list is: Fan et al. take the first 100 of BERT's 768 neurons."""

NO_CLASS: frozenset[int] = frozenset()

LayerScores = Mapping[str, Float[np.ndarray, "_"]]
"""Method → scores of the neurons of one layer."""


def spearman(first: Float[np.ndarray, " neurons"], second: Float[np.ndarray, " neurons"]) -> float:
    """Rank correlation with ties at their middle; NaN where a ranking is constant."""
    one, two = (rankdata(s) - (len(s) + 1) / 2 for s in (first, second))
    scale = float(np.sqrt((one**2).sum() * (two**2).sum()))
    return float((one * two).sum()) / scale if scale > 0 else float("nan")


def leaders(scores: Float[np.ndarray, " neurons"], k: int) -> Int[np.ndarray, " leaders"]:
    """The first k neurons, most important first; ties go to the lower index."""
    return np.argsort(-scores, kind="stable")[:k]


def top_set(scores: Float[np.ndarray, " neurons"], fraction: float) -> frozenset[int]:
    """The neurons that a top cell of this fraction silences; none where all scores are equal.

    Such a cell takes the lowest indices, on which two constant rankings would seem to agree.
    """
    if np.ptp(scores) == 0:
        return NO_CLASS
    return frozenset(top([scores], fraction, [0]).by_layer.get(0, np.arange(0)).tolist())


def jaccard(first: frozenset[int], second: frozenset[int]) -> float:
    """Shared share of the union; NaN where either is empty."""
    if not first or not second:
        return float("nan")
    return len(first & second) / len(first | second)


def average_overlap(scores: LayerScores, method: str, fraction: float) -> float:
    """AvgOverlap: mean Jaccard index of a method's top set with that of every other method.

    Source: Fan et al. 2023 (arXiv 2301.12608), section 3. NaN without another method.
    """
    mine = top_set(scores[method], fraction)
    shares = [jaccard(mine, top_set(s, fraction)) for name, s in scores.items() if name != method]
    known = [share for share in shares if not np.isnan(share)]
    return float(np.mean(known)) if known else float("nan")


def neuron_vote(scores: LayerScores, method: str, fraction: float) -> float:
    """NeuronVote: Jaccard index of a method's top set with the one all others elect.

    Every other method gives its first neuron as many points as its list is long, the next one
    fewer, and so on; the k neurons with most points are elected. Lists are :data:`LIST_SHARE` of
    the layer, or k where that is more. Source: Fan et al. 2023 (arXiv 2301.12608) and their code,
    where the method under test may sit among the voters; here it never does, so that it cannot
    elect itself; a ranking whose scores are all equal has no vote. NaN without another method.
    """
    voters = [s for name, s in scores.items() if name != method and np.ptp(s) > 0]
    if not voters:
        return float("nan")
    width = len(scores[method])
    k = count(fraction, width)
    length = max(k, count(LIST_SHARE, width))
    points = np.zeros(width)
    for voter in voters:
        chosen = leaders(voter, length)
        points[chosen] += np.arange(length, length - len(chosen), -1)
    elected = frozenset(leaders(points, k).tolist())
    return jaccard(top_set(scores[method], fraction), elected)


def chance_jaccard(width: int, k: int) -> float:
    """Expected Jaccard index of two random sets of k of ``width`` neurons; NaN where k is 0."""
    if k == 0:
        return float("nan")
    shared = np.arange(max(0, 2 * k - width), k + 1)
    return float((hypergeom.pmf(shared, width, k, k) * shared / (2 * k - shared)).sum())
