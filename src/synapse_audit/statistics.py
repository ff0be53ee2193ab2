"""Resampling, intervals, tests and corrections; numbers in, numbers out.

| function | answers |
|---|---|
| resampled_weights | what each example weighs in each bootstrap resample |
| weighted_shares | how much of the weight is marked |
| interval | percentile interval of resampled values |
| wilson | interval of a proportion where the bootstrap degenerates |
| bonett_price | interval of a paired difference where the bootstrap degenerates |
| paired_interval | percentile interval of a paired difference, whatever was not seen |
| mcnemar | does the error rate differ from that of a paired prediction? |
| curve_test | does one curve differ from random curves? |
| draw_position | where does one value lie among random draws? |
| benjamini_yekutieli | correction for many tests under any dependence |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Num, Shaped
from scipy import stats

from synapse_audit.errors import DataError, UsageError
from synapse_audit.memory import Allocate, in_memory, row_chunks

Numbers = Num[np.ndarray, "*#shape"] | float | int
"""An array that broadcasts against its neighbours, or one number."""


Z_975 = 1.959964
"""97.5 % point of the standard normal."""


class Interval(NamedTuple):
    """Bounds of an interval, elementwise; NaN where unknown."""

    low: Float[np.ndarray, "*shape"]
    high: Float[np.ndarray, "*shape"]


class CurveTest(NamedTuple):
    """Result of :func:`curve_test`."""

    area: float
    """Mean area between the curve and the random curves, in the units of the areas."""
    t: float
    df: int
    p: float


class DrawPosition(NamedTuple):
    """Result of :func:`draw_position`."""

    z: float
    p: float


def resampled_weights(
    labels: Int[np.ndarray, " examples"],
    weights: Float[np.ndarray, " examples"],
    *,
    groups: Int[np.ndarray, " examples"] | None = None,
    resamples: int = 1000,
    seed: int = 0,
    allocate: Allocate = in_memory,
) -> Float32[np.ndarray, "examples resamples"]:
    """What each example weighs in each bootstrap resample: how often it was drawn × its weight.

    Without groups each class is resampled within itself, so class counts are the same in every
    resample. With groups whole groups are resampled and nothing is stratified by label: a class
    confined to few groups may be absent from a resample. Of few groups fewer are drawn
    (:func:`drawn_groups`), since percentiles of ordinary resamples are too narrow there: of 10
    groups they held a share in 89 % of simulated samples, now in 95 %. One matrix serves every
    statistic of a run; that is what makes them paired. Single precision is enough for intervals.

    Args:
        allocate: where the matrix lies.

    Raises:
        DataError: no example.

    Source: Efron & Tibshirani 1993, chapters 8 (strata) and 7 (clusters); Rao & Wu 1988 for the
    number of groups.
    """
    if len(labels) == 0:
        raise DataError("0 examples given to resample; expected at least 1")
    resampled = allocate("resampled", (len(labels), resamples), np.float32)
    times, scaled = None, weights
    if groups is not None:
        n = len(np.unique(groups))
        times = drawn_groups(n)
        scaled = weights * (n / times)  # the mean weight stays
    for rows, some, drawn in _dealt(labels, groups, times, resamples, seed):
        resampled[rows, some] = drawn * scaled[rows, None]
    return resampled


def resampled_counts(
    labels: Int[np.ndarray, " examples"],
    *,
    groups: Int[np.ndarray, " examples"] | None = None,
    resamples: int,
    seed: int = 0,
) -> Int[np.ndarray, "examples resamples"]:
    """How often each example is drawn in an ordinary bootstrap, for what is fitted again on it.

    Within each class, or as many whole groups as there are; unlike :func:`resampled_weights` of few
    groups no fewer are drawn, as a refit wants as many rows as the first fit had.
    """
    counts = np.zeros((len(labels), resamples), dtype=np.int64)
    for rows, some, drawn in _dealt(labels, groups, None, resamples, seed):
        counts[rows, some] = drawn
    return counts


def _dealt(
    labels: Int[np.ndarray, " examples"],
    groups: Int[np.ndarray, " examples"] | None,
    times: int | None,
    resamples: int,
    seed: int,
) -> Iterator[tuple[Any, slice, Int[np.ndarray, "rows some"]]]:
    """Rows, some of the resamples, and how often these rows are drawn in them.

    ``times`` = how many groups are drawn; None: as many as there are.
    """
    generator = np.random.default_rng(seed)
    if groups is not None:
        names, member = np.unique(groups, return_inverse=True)
        n = len(names)
        for some, drawn in _multiplicities(n, times or n, resamples, generator, each=len(labels)):
            yield slice(None), some, drawn[member.reshape(-1)]
        return
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        n = len(rows)
        for some, drawn in _multiplicities(n, n, resamples, generator, each=n):
            yield rows, some, drawn


def drawn_groups(groups: int) -> int:
    """How many groups a resample draws, so that percentiles are as wide as Student's t.

    (G − 1) (z / t)² with G − 1 degrees of freedom, rounded down, at least 1: drawing G − 1 makes
    the resamples' variance unbiased (Rao & Wu 1988, JASA 83:231), and the rest turns the normal
    quantile into that of t.

    >>> [drawn_groups(groups) for groups in (2, 10, 25, 1000)]
    [1, 6, 21, 996]
    """
    if groups < 3:
        return 1
    ratio = Z_975 / float(stats.t.ppf(0.975, groups - 1))
    return max(1, int((groups - 1) * ratio**2))


def weighted_shares(
    hits: Shaped[np.ndarray, "rows examples"],
    weights: Float[np.ndarray, "examples *draws"],
    among: Bool[np.ndarray, " examples"] | None = None,
) -> Float[np.ndarray, "rows *draws"]:
    """Weighted share of hits, of all examples or of some; NaN where there is no weight.

    Summed in double precision whatever the weights are in: where every resample gives the same
    share, rounding must not pass for variance.
    """
    # One product for hits and total: adding up the weights alone takes ten times as long.
    both = np.concatenate([hits, np.ones((1, len(weights)), dtype=hits.dtype)])
    found = np.zeros((len(both), *weights.shape[1:]))
    # Blocks that stay in the processor's cache while they are converted and multiplied.
    for some in row_chunks(len(weights), 8 * found[0].size):
        here = np.flatnonzero(among[some]) if among is not None else slice(None)
        found += both[:, some][:, here] @ weights[some][here].astype(np.float64)
    total = found[-1]
    return found[:-1] / np.where(total > 0, total, np.nan)


def interval(samples: Float[np.ndarray, "*shape resamples"], level: float = 0.95) -> Interval:
    """Percentile interval over the last axis (Efron 1979), linear between order statistics.

    NaN samples (statistics that a resample leaves undefined) are passed over; where all are NaN
    the bounds are NaN.

    Raises:
        UsageError: no resample.
    """
    if samples.shape[-1] == 0:
        raise UsageError("0 resamples given to an interval; expected at least 1")
    ordered = np.sort(samples, axis=-1)  # NaN goes last
    valid = np.asarray(np.count_nonzero(~np.isnan(ordered), axis=-1))
    tail = (1.0 - level) / 2.0
    return Interval(_quantile(ordered, valid, tail), _quantile(ordered, valid, 1.0 - tail))


def wilson(successes: Numbers, n: Numbers, level: float = 0.95) -> Interval:
    """Wilson score interval of a proportion; n may be an effective (fractional) sample size.

    Arguments broadcast. NaN where n is 0 or unknown. Source: Wilson 1927, JASA 22:209.
    """
    z = _normal_quantile(0.5 + level / 2.0)
    size = np.where(np.asarray(n) > 0, n, np.nan)
    share = successes / size
    centre = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    spread = np.sqrt(np.maximum(share * (1 - share), 0.0) / size + z**2 / (4 * size**2))
    half = z * spread / (1 + z**2 / size)
    # Rounding must not move a bound past 0, 1 or the share itself.
    low = np.clip(np.minimum(centre - half, share), 0.0, 1.0)
    return Interval(low, np.clip(np.maximum(centre + half, share), 0.0, 1.0))


def bonett_price(
    losses: Numbers,
    gains: Numbers,
    n: Numbers,
    level: float = 0.95,
) -> Interval:
    """Adjusted Wald interval of (losses - gains) / n for paired yes/no outcomes.

    One discordant pair is added in each direction, so that it keeps a width where nothing changed.
    n may be an effective sample size; NaN where n is 0.
    Source: Bonett & Price 2012, J. Educ. Behav. Stat. 37:479, equation 8.
    """
    z = _normal_quantile(0.5 + level / 2.0)
    size = np.where(np.asarray(n) > 0, n, np.nan) + 2.0
    lost, won = (losses + 1.0) / size, (gains + 1.0) / size
    half = z * np.sqrt(np.maximum(lost + won - (lost - won) ** 2, 0.0) / size)
    return Interval(np.maximum(lost - won - half, -1.0), np.minimum(lost - won + half, 1.0))


def paired_interval(
    value: Float[np.ndarray, "*shape"],
    samples: Float[np.ndarray, "*shape resamples"],
    n: Numbers,
) -> Interval:
    """Percentile interval of a paired mean difference, with one loss and one gain added.

    The added pair is Bonett and Price's: where no example changed, the percentiles have no width,
    although one change in n more examples may have been missed. Its half width z √2 / (n + 2) is
    added in squares to each arm, and Student's t stands in place of z. NaN where n is 0 or
    unknown, or no resample knows the value.

    Args:
        value: mean over examples of something within [−1, 1].
        n: effective number of examples.
    """
    size = np.where(np.asarray(n) > 0, n, np.nan)
    found, unseen = interval(samples), Z_975 * np.sqrt(2.0) / (size + 2.0)
    wider = stats.t.ppf(0.975, np.maximum(size - 1.0, 1.0)) / Z_975
    low = value - wider * np.hypot(np.maximum(value - found.low, 0.0), unseen)
    high = value + wider * np.hypot(np.maximum(found.high - value, 0.0), unseen)
    return Interval(np.maximum(low, -1.0), np.minimum(high, 1.0))


def mcnemar(
    before: Bool[np.ndarray, " examples"], after: Bool[np.ndarray, "cells examples"]
) -> Float[np.ndarray, " cells"]:
    """Exact two-sided McNemar test of each row against ``before``; 1 where nothing changed.

    Unweighted: under the null each discordant example is a fair coin whatever its weight.
    Examples count as independent, so it is too small where groups of examples move together.
    Source: McNemar 1947; exact form: binomial test on the discordant pairs.
    """
    lost = (before & ~after).sum(axis=1)
    won = (~before & after).sum(axis=1)
    # A fair coin is symmetric: both tails are equal, and overlap where lost == won.
    tail = stats.binom.cdf(np.minimum(lost, won), lost + won, 0.5)
    return np.minimum(1.0, 2.0 * np.asarray(tail, dtype=np.float64))


def curve_test(areas: Float[np.ndarray, " draws"]) -> CurveTest:
    """Tests whether one curve is just another random curve.

    ``areas[b]`` = area between the curve under test and random curve b. With B draws,
    t = mean / (sd √(1 + 1/B)) on B − 1 degrees of freedom, two-sided: the prediction form, as the
    curve itself is one draw under the null. p is never smaller than :func:`least_p`, so that no
    tail is claimed that B draws cannot show: of skewed draws t alone called up to 8 % significant
    at .05 and 2.7 % at .001 (20 draws), with it at most 5 % and none. t and p are NaN with fewer
    than two draws or where all random curves coincide (sd 0): then there is no spread to compare
    with.

    Raises:
        UsageError: no draw.
    """
    draws = len(areas)
    if draws == 0:
        raise UsageError("0 random curves given to a curve test; expected at least 2")
    area = float(areas.mean(dtype=np.float64))
    spread = _spread(areas)
    if np.isnan(spread):
        return CurveTest(area, np.nan, draws - 1, np.nan)
    t = area / (spread * np.sqrt(1.0 + 1.0 / draws))
    p = max(float(2.0 * stats.t.sf(abs(t), draws - 1)), least_p(areas))
    return CurveTest(area, float(t), draws - 1, p)


def least_p(areas: Float[np.ndarray, " draws"]) -> float:
    """(1 + random curves at least as extreme) / (B + 1), on the side on which the curve lies.

    Random curves with an area of the other sign (or 0) lie beyond the curve under test.
    """
    beyond = areas <= 0 if areas.mean() >= 0 else areas >= 0
    return (1 + int(np.count_nonzero(beyond))) / (len(areas) + 1)


def draw_position(value: float, draws: Float[np.ndarray, " draws"]) -> DrawPosition:
    """Where a value lies among random draws of the same statistic.

    z = (value − mean) / sd, NaN with fewer than two draws or sd 0;
    p = (1 + #{draw ≥ value}) / (B + 1), which cannot go below 1/(B + 1): it describes, it does
    not test (Phipson & Smyth 2010).

    Raises:
        UsageError: no draw.
    """
    if len(draws) == 0:
        raise UsageError("0 random draws given; expected at least 1")
    z = (value - float(draws.mean(dtype=np.float64))) / _spread(draws)
    at_least = int(np.count_nonzero(draws >= value))
    return DrawPosition(z, (1 + at_least) / (len(draws) + 1))


def benjamini_yekutieli(p: Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """False-discovery-adjusted p-values, valid under any dependence.

    NaN (no test was possible) stays NaN and is not counted.
    Source: Benjamini & Yekutieli 2001, Ann. Stat. 29:1165.
    """
    adjusted = np.full(len(p), np.nan)
    known = ~np.isnan(p)
    if known.any():
        adjusted[known] = stats.false_discovery_control(p[known], method="by")
    return adjusted


def _multiplicities(
    size: int, times: int, resamples: int, generator: np.random.Generator, *, each: int
) -> Iterator[tuple[slice, Int[np.ndarray, "size some"]]]:
    """How often each of ``size`` is drawn in ``times`` draws, some resamples at a time.

    ``each``: examples that one resample fills, of which a group may hold many.
    """
    shares = np.full(size, 1.0 / size)
    for some in row_chunks(resamples, each):
        drawn = len(range(*some.indices(resamples)))
        yield some, generator.multinomial(times, shares, size=drawn).T


@cache
def _normal_quantile(share: float) -> float:
    """Kept: SciPy takes as long for one number as for a thousand, and intervals ask often."""
    return float(stats.norm.ppf(share))


def _quantile(
    ordered: Float[np.ndarray, "*shape resamples"], valid: Int[np.ndarray, "*shape"], share: float
) -> Float[np.ndarray, "*shape"]:
    last = np.maximum(valid - 1, 0)
    position = np.asarray(share * last)
    below = np.floor(position).astype(np.int64)
    left = np.take_along_axis(ordered, below[..., None], axis=-1)[..., 0]
    above = np.minimum(below + 1, last)
    right = np.take_along_axis(ordered, above[..., None], axis=-1)[..., 0]
    return np.asarray(left + (position - below) * (right - left))


def _spread(draws: Float[np.ndarray, " draws"]) -> float:
    """Sample standard deviation; NaN where it is undefined or no more than rounding."""
    if len(draws) < 2:
        return float("nan")
    spread = float(draws.std(ddof=1, dtype=np.float64))
    return spread if spread > 1e-12 * max(1.0, float(np.abs(draws).max())) else float("nan")


def weighted_quantiles(
    values: Float[np.ndarray, " examples"],
    weights: Float[np.ndarray, "examples draws"],
    shares: Sequence[float],
    among: Bool[np.ndarray, " examples"] | None = None,
) -> Float[np.ndarray, "draws shares"]:
    """Smallest value at or below which each share of the weight lies; NaN without weight.

    Of all examples or of some.
    """
    known = np.arange(len(values)) if among is None else np.flatnonzero(among)
    order = known[np.argsort(values[known], kind="stable")]
    found = np.full((weights.shape[1], len(shares)), np.nan)
    if not len(order):
        return found
    for some in row_chunks(len(found), len(order)):
        cumulative = np.cumsum(weights[order, some], axis=0, dtype=np.float64)
        total = cumulative[-1]
        places = [(cumulative < share * total * (1 - 1e-12)).sum(axis=0) for share in shares]
        reached = values[order][np.stack(places, axis=1)]
        found[some] = np.where(total[:, None] > 0, reached, np.nan)
    return found
