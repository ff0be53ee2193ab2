"""A set of neurons beside random sets of the same size: how far apart, and how surely.

A few random sets were drawn, and another few would have given other values. So the interval of an
excess holds for one more random set: it covers 0 in 95 of 100 audits in which the ranked set is
nothing but one more random set, whatever the examples say.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from synapse_audit.statistics import Z_975, Interval, Numbers


class Excess(NamedTuple):
    """What a set costs more than random sets of the same size."""

    value: float
    low: float
    high: float


def prediction_band(draws: Float[np.ndarray, "draws *shape"]) -> Interval:
    """Where one more random set would lie with 95 %: mean ± t s √(1 + 1/B), B − 1 degrees.

    Exact for normal draws; widened to hold the draws themselves, which helps where they are
    skewed. NaN with fewer than two draws. Source: Hahn & Meeker 1991, 4.7.
    """
    count, mean = len(draws), draws.mean(axis=0)
    if count < 2:
        return Interval(np.asarray(mean * np.nan), np.asarray(mean * np.nan))
    half = half_width(count) * draws.std(axis=0, ddof=1)
    low, high = np.minimum(mean - half, draws.min(axis=0)), mean + half
    return Interval(np.asarray(low), np.asarray(np.maximum(high, draws.max(axis=0))))


def half_width(count: Numbers) -> Float[np.ndarray, "*shape"]:
    """Half width of the band in standard deviations of ``count`` draws; NaN below two.

    >>> half_width(np.array([5, 20])).round(2).tolist()
    [3.04, 2.14]
    """
    known = np.where(np.asarray(count) > 1, count, np.nan)
    return np.asarray(stats.t.ppf(0.975, known - 1) * np.sqrt(1 + 1 / known))


class Combined(NamedTuple):
    """A standard error over examples and draws together, and its degrees of freedom."""

    sd: Float[np.ndarray, "*shape"]
    df: Float[np.ndarray, "*shape"]

    @property
    def half(self) -> Float[np.ndarray, "*shape"]:
        """Half width of a 95 % interval."""
        return np.asarray(stats.t.ppf(0.975, self.df) * self.sd)

    def p(self, value: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Two-sided p of value / sd; NaN where the sd is unknown."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.abs(value) / self.sd  # 0 / 0, nothing seen to vary: NaN, no test
        return np.asarray(2 * stats.t.sf(ratio, self.df))


def combined(
    examples: Float[np.ndarray, "*#shape"], draws: Float[np.ndarray, "*#shape"], count: int
) -> Combined:
    """Standard errors over examples and over ``count`` draws, added in squares.

    That over examples is taken as known, that over draws has count − 1 degrees of freedom
    (Welch–Satterthwaite). NaN with fewer than two draws.
    """
    variance = examples**2 + draws**2
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 / 0: nothing varied
        df = np.asarray(variance**2 / (draws**4 / max(count - 1, 1)))
    df = np.where(draws == 0, np.inf, df)  # draws that agree leave the examples' variance alone
    known = count > 1
    return Combined(
        np.where(known, np.sqrt(variance), np.nan), np.where(known, np.minimum(df, 1e9), np.nan)
    )


def excess(
    value: float,
    draws: Float[np.ndarray, " draws"],
    samples: Float[np.ndarray, " resamples"],
) -> Excess:
    """What a set costs beyond the mean of random sets, over draws *and* examples.

    Half widths of both add in squares: that of one more draw, t s √(1 + 1/B), and 1.96 times the
    standard error over examples. Where the draws' own values carry examples' noise, it counts
    twice, so the interval is rather too wide than too narrow. It also holds the differences to
    the draws themselves, so 0 wherever a single draw costs as much: skewed draws would otherwise
    exclude it too often (8 % of 20 bimodal draws, with it 3 %). NaN with fewer than two draws.

    Args:
        value: what the set costs.
        draws: what each random set costs.
        samples: the difference between set and mean of draws in every resample of the examples.
    """
    found = float(value - draws.mean())
    if len(draws) < 2:
        return Excess(found, float("nan"), float("nan"))
    spread = half_width(len(draws)) * float(draws.std(ddof=1))
    half = float(np.hypot(spread, Z_975 * np.nanstd(samples)))
    low, high = float(value - draws.max()), float(value - draws.min())
    return Excess(found, min(found - half, low), max(found + half, high))
