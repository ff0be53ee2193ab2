"""Intervals of a share of bits, from a random sample of them.

In: how many faults of how many broke the model. Out: 95 % intervals over which faults were drawn;
the examples stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from synapse_audit.effects.estimates import clopper_pearson
from synapse_audit.summary import Figure

TAIL = 0.025

MANY = 1000
"""Bits per fault drawn from which a sample without replacement is one with replacement."""


def sampled_share(broken: int, drawn: int, population: int) -> Figure:
    """Share of a finite population, from a sample without replacement; exact.

    The ends are the smallest and the largest number of breaking bits under which as many as were
    seen, or as few, are not rarer than 2.5 % (hypergeometric); where the population is more than
    ``MANY`` times the sample, Clopper and Pearson's, which is no narrower. A population that was
    drawn as a whole has no margin.

    Source: Clopper & Pearson 1934; Buonaccorsi 1987 (Am. Stat. 41:215) for the finite form.

    >>> whole, half = sampled_share(0, 3, 3), sampled_share(1, 2, 4)
    >>> whole.value, whole.low, whole.high
    (0.0, 0.0, 0.0)
    >>> half.value, half.low, half.high
    (0.5, 0.25, 0.75)
    """
    if not drawn:
        return Figure.unknown("no fault was drawn")
    if population > MANY * drawn:
        ends = clopper_pearson(broken, drawn, level=1 - 2 * TAIL)
        return Figure(broken / drawn, float(ends.low), float(ends.high), n=drawn)

    def possible_low(marked: int) -> bool:
        return bool(stats.hypergeom.sf(broken - 1, population, marked, drawn) > TAIL)

    def impossible_high(marked: int) -> bool:
        return bool(stats.hypergeom.cdf(broken, population, marked, drawn) <= TAIL)

    least, most = broken, population - (drawn - broken)
    low = _first(possible_low, least, most)
    high = _first(impossible_high, least, most + 1) - 1
    return Figure(broken / drawn, low / population, high / population, n=drawn)


def weighted_share(
    broken: Sequence[int], drawn: Sequence[int], population: Sequence[int]
) -> Figure:
    """Share of several populations together, each sampled by itself.

    The interval is Fay and Feuer's for a weighted sum of counts, from the gamma distribution: it
    keeps its width where no fault broke anything, as a normal one does not, and covers at least
    95 % in their simulations. It takes no account of populations being finite (conservative).

    Source: Fay & Feuer 1997, Stat. Med. 16:791.
    """
    hits, size = np.asarray(broken, dtype=np.float64), np.asarray(drawn, dtype=np.float64)
    share = np.asarray(population, dtype=np.float64) / max(1, sum(population))
    if not len(size) or (size == 0).any():
        return Figure.unknown("no fault was drawn of some kind of bit")
    weight = share / size
    value, variance, most = (float(n) for n in (weight @ hits, weight**2 @ hits, weight.max()))
    low = 0.0
    if value > 0:
        low = variance / (2 * value) * float(stats.chi2.ppf(TAIL, 2 * value**2 / variance))
    wider, centre = variance + most**2, value + most
    high = wider / (2 * centre) * float(stats.chi2.ppf(1 - TAIL, 2 * centre**2 / wider))
    return Figure(value, low, min(1.0, high), n=int(size.sum()))


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The smallest whole number from which ``holds`` is true; ``high`` where it never is."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
