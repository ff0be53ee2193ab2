"""Rates and areas under the curve with intervals, examples resampled whole.

In: per example and draw what happened. Out: value, low, high at 95 %. Draws of an attack share
their examples, so the bootstrap draws examples; where it degenerates (all or none), Wilson's
interval of as many examples stands in its place. Where draws are random the interval also holds the
variance between them, with Student's t for how few they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped
from scipy import stats

from synapse_audit.statistics import wilson

RESAMPLES = 400


class Rate(NamedTuple):
    """A share with its interval; NaN where unknown."""

    value: float
    low: float
    high: float


UNKNOWN = Rate(np.nan, np.nan, np.nan)


def named_rates(rates: Mapping[str, Rate]) -> dict[str, float]:
    """Value, low and high under the table's names."""
    ends = ("", "_low", "_high")
    return {
        f"{name}{end}": part
        for name, rate in rates.items()
        for end, part in zip(ends, rate, strict=True)
    }


class Sample:
    """Some examples, their weights, and one set of resamples for all their figures."""

    def __init__(self, weights: Float[np.ndarray, " examples"], seed: int) -> None:
        n = len(weights)
        drawn = np.random.default_rng([seed, 47]).multinomial(n, np.full(n, 1 / n), RESAMPLES)
        self.weights = np.asarray(weights, np.float64)
        self.resampled = drawn * self.weights  # (resamples, examples)

    def rate(
        self,
        happened: Shaped[np.ndarray, "draws examples"],
        among: Shaped[np.ndarray, "draws examples"] | None = None,
    ) -> Rate:
        """Share of the examples, over all draws; of those ``among`` which it is counted.

        Draws are random where nothing is said of ``among``; with it they are all targets there are.
        """
        counted = np.ones(happened.shape) if among is None else np.asarray(among, np.float64)
        hits, base = (happened * counted).sum(axis=0), counted.sum(axis=0)
        if not (base @ self.weights) > 0:
            return UNKNOWN
        value = float(hits @ self.weights / (base @ self.weights))
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = self.resampled @ hits / (self.resampled @ base)
        low, high = np.nanquantile(shares, [0.025, 0.975])
        if low == high:  # all or none
            n = int((base > 0).sum())
            ends = wilson(value * n, n)
            low, high = float(ends.low), float(ends.high)
        found = Rate(value, float(low), float(high))
        if among is not None:
            return found
        return over_draws(found, happened @ self.weights / self.weights.sum())

    def area(
        self,
        attacked: Float[np.ndarray, "draws examples"],
        clean: Float[np.ndarray, " examples"],
    ) -> Rate:
        """How often an attacked input scores more than a clean one; ties count half."""
        if len(attacked) * len(clean) == 0:
            return UNKNOWN
        each = [(s[:, None] > clean) + 0.5 * (s[:, None] == clean) for s in attacked]
        above = np.mean(each, axis=0)
        total = self.weights.sum()
        value = float(self.weights @ above @ self.weights / total**2)
        sums = self.resampled.sum(axis=1)
        areas = np.einsum("be,ef,bf->b", self.resampled, above, self.resampled, optimize=True)
        low, high = np.quantile(areas / sums**2, [0.025, 0.975])
        if low == high:
            ends = wilson(value * len(clean), len(clean))
            low, high = float(ends.low), float(ends.high)
        per_draw = np.array([self.weights @ one @ self.weights for one in each]) / total**2
        return over_draws(Rate(value, float(low), float(high)), per_draw)


def over_draws(rate: Rate, each: Float[np.ndarray, " draws"]) -> Rate:
    """The interval over examples, widened by what the mean over so few draws leaves open."""
    if len(each) < 2:
        return rate
    error = float(each.std(ddof=1)) / np.sqrt(len(each))
    open_ = error * float(stats.t.ppf(0.975, len(each) - 1))
    low = max(0.0, rate.value - float(np.hypot(rate.value - rate.low, open_)))
    return Rate(
        rate.value, low, min(1.0, rate.value + float(np.hypot(rate.high - rate.value, open_)))
    )


def of_draws(caught: Shaped[np.ndarray, " draws"]) -> Rate:
    """Share of draws, with Wilson's interval."""
    n = len(caught)
    if not n:
        return UNKNOWN
    ends = wilson(float(np.sum(caught)), n)
    return Rate(float(np.mean(caught)), float(ends.low), float(ends.high))
