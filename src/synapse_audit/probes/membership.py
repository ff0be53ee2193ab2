"""Attackers that tell training rows from held-out ones by what a layer says of them.

In: states of rows, who was trained on, and folds. Out: for every row the rank of its score among
those of its fold, from an attacker that was fitted on the other folds. An attacker is an
L2-regularised logistic regression on standardised features.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

FOLDS = 5

STRENGTH = 0.01
"""scikit-learn's C, stated beforehand: as many features as rows need a strong penalty."""

BUCKETS = 512
"""Numbers that the words of an input are counted in."""

States = Float[np.ndarray, "rows neurons"]
Members = Bool[np.ndarray, " rows"]


def folds_of(
    member: Members, labels: Int[np.ndarray, " rows"], seed: int
) -> Int[np.ndarray, " rows"]:
    """Fold of each row; members and others of every class are dealt evenly."""
    generator = np.random.default_rng([seed, 8])
    fold = np.zeros(len(member), dtype=np.int64)
    start = 0
    for label in np.unique(labels):
        for side in (False, True):
            rows = generator.permutation(np.flatnonzero((labels == label) & (member == side)))
            fold[rows] = (start + np.arange(len(rows))) % FOLDS
        start += len(rows)
    return fold


def cross_fitted(
    states: States,
    member: Members,
    fold: Int[np.ndarray, " rows"],
    *,
    fitted_on: States | None = None,
) -> Float[np.ndarray, " rows"]:
    """Rank of each row's score within its fold, in (0, 1), higher for members; all have mean ½.

    Args:
        fitted_on: what the attackers saw, where that is not what they judge: those of a model
            before something was done to it are stale.
    """
    seen = states if fitted_on is None else fitted_on
    ranks = np.zeros(len(member))
    for number in np.unique(fold):
        here = fold == number
        weights, bias = _attacker(seen[~here], member[~here])
        score = states[here].astype(np.float64) @ weights + bias
        ranks[here] = (rankdata(np.nan_to_num(score)) - 0.5) / here.sum()
    return ranks


def telling_neurons(states: States, member: Members) -> Float[np.ndarray, " neurons"]:
    """|Weight| of every neuron in one attacker, in units of the neuron's standard deviation."""
    weights, _ = _attacker(states, member)
    spread: Float[np.ndarray, " neurons"] = states.astype(np.float64).std(axis=0)
    return np.asarray(np.abs(weights) * spread)


def hashed_words(inputs: Sequence[Any]) -> States:
    """Log counts of the words of every text in ``BUCKETS`` numbers, and of its words: no model."""
    counts = np.zeros((len(inputs), BUCKETS + 1))
    for row, text in enumerate(inputs):
        words = (text if isinstance(text, str) else " ".join(text)).split()
        for word in words:
            counts[row, zlib.crc32(word.lower().encode()) % BUCKETS] += 1
        counts[row, BUCKETS] = len(words)
    return np.log1p(counts).astype(np.float32)


def _attacker(states: States, member: Members) -> tuple[Float[np.ndarray, " neurons"], float]:
    """Weights and bias on the features as they are."""
    x = states.astype(np.float64)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    scale = np.where(spread > 1e-9, spread, np.inf)  # a constant says nothing
    model = LogisticRegression(C=STRENGTH, max_iter=1000).fit((x - mean) / scale, member)
    weights = model.coef_[0] / scale
    return weights, float(model.intercept_[0] - mean @ weights)
