"""A value with its interval: paired bootstrap, or a closed form where the bootstrap degenerates.

The bootstrap degenerates where nothing varies (a width of 0) or where fewer than ``FEW``
effective examples are wrong, right or changed: resampling three errors says little about a
fourth. Proportions then take Wilson's interval, paired differences Bonett and Price's, both with
the effective sample size (Σw)² / Σw² (Kish 1965). That size counts examples as independent, so
these closed forms are too narrow where groups of examples move together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from synapse_audit.metrics.scored import Scored, ratio
from synapse_audit.statistics import Interval, bonett_price, interval, wilson

FEW = 5.0
"""Effective examples below which the bootstrap is not trusted (the usual np ≥ 5)."""

_NO_WIDTH = 1e-6  # float32 sums of equal weights differ by this much at most


class Estimates(NamedTuple):
    """One value per row with a 95 % interval; NaN where not applicable."""

    value: Float[np.ndarray, "*shape"]
    low: Float[np.ndarray, "*shape"]
    high: Float[np.ndarray, "*shape"]


def proportion(
    scored: Scored, hits: Bool[np.ndarray, "rows examples"], among: Bool[np.ndarray, "_ examples"]
) -> Estimates:
    """Share of ``among`` that are hits (hits outside ``among`` do not count); NaN if none is."""
    if not among.any():
        unknown = np.full(len(hits), np.nan)
        return Estimates(unknown, unknown, unknown)
    hits = hits & among
    # A reweighted sample has negative weights, so a share may leave [0, 1] by a hair.
    value = np.clip(ratio(hits @ scored.weights, among @ scored.weights)[:, 0], 0.0, 1.0)
    samples = ratio(_sums(hits, scored.resampled), _sums(among, scored.resampled))
    size = effective_size(scored, among)
    return bounded(value, samples, np.broadcast_to(size, value.shape))


def bounded(
    value: Float[np.ndarray, "*shape"],
    samples: Float[np.ndarray, "*shape resamples"],
    size: Float[np.ndarray, "*shape"],
) -> Estimates:
    """A value in [0, 1] with its percentile interval, or Wilson's where that degenerates."""
    few = np.minimum(value, 1.0 - value) * size < FEW
    return _mend(value, interval(samples), few, wilson(value * size, size))


def paired_drop(
    scored: Scored,
    before: Bool[np.ndarray, " examples"],
    after: Bool[np.ndarray, "rows examples"],
) -> Estimates:
    """Share ``before`` minus share ``after`` on the same examples, in [-1, 1]."""
    everyone = np.ones((1, len(before)), dtype=bool)
    total = (everyone @ scored.weights)[0, 0]
    lost = ((before & ~after) @ scored.weights)[:, 0] / total
    won = ((~before & after) @ scored.weights)[:, 0] / total
    change = before.astype(np.float32) - after.astype(np.float32)
    samples = (change @ scored.resampled) / _sums(everyone, scored.resampled)
    size = np.broadcast_to(effective_size(scored, everyone), lost.shape)
    few = (np.maximum(lost, 0) + np.maximum(won, 0)) * size < FEW
    closed = bonett_price(np.maximum(lost, 0) * size, np.maximum(won, 0) * size, size)
    return _mend(lost - won, interval(samples), few, closed)


def effective_size(
    scored: Scored, among: Bool[np.ndarray, "rows examples"]
) -> Float[np.ndarray, " rows"]:
    """Kish's (Σw)² / Σw² over the examples of each row; NaN for an empty row."""
    weights = scored.weights if scored.counted is None else scored.counted
    return ratio((among @ weights) ** 2, among @ weights**2)[:, 0]


def _sums(
    chosen: Bool[np.ndarray, "rows examples"], resampled: Float[np.ndarray, "examples resamples"]
) -> Float[np.ndarray, "rows resamples"]:
    return chosen.astype(resampled.dtype) @ resampled


def _mend(
    value: Float[np.ndarray, "*shape"],
    sampled: Interval,
    few: Bool[np.ndarray, "*shape"],
    closed: Interval,
) -> Estimates:
    degenerate = few | (sampled.high - sampled.low < _NO_WIDTH)
    low = np.where(degenerate, closed.low, sampled.low)
    return Estimates(value, low, np.where(degenerate, closed.high, sampled.high))
