"""Figures that were picked: the most fragile class, the best ranking, the largest error.

The largest of many estimates is large partly by luck, so its interval must hold for whichever was
picked: intervals here hold for all candidates at once. What is indistinguishable from the winner is
listed with it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Num
from scipy import stats

from synapse_audit.statistics import Z_975, Interval


class Pick(NamedTuple):
    """The candidate with the largest value."""

    place: int
    tied: Bool[np.ndarray, " candidates"]
    """Indistinguishable from it; itself included."""

    @property
    def alone(self) -> bool:
        """Whether it differs from every other candidate."""
        return int(self.tied.sum()) == 1


class Difference(NamedTuple):
    """One candidate minus another, with an interval that holds for all pairs at once."""

    value: float
    low: float
    high: float


class Largest(NamedTuple):
    """The largest of several values that carry intervals."""

    place: int
    value: float
    low: float
    high: float
    tied: Bool[np.ndarray, " candidates"]
    """Indistinguishable from it; itself included."""


class Candidates(NamedTuple):
    """Independent estimates of the same quantity, such as the recall lost by each class."""

    value: Float[np.ndarray, " candidates"]
    sd: Float[np.ndarray, " candidates"]
    """Standard error of each."""
    df: Float[np.ndarray, " candidates"]
    """Degrees of freedom of each standard error."""


def widened(
    value: Float[np.ndarray, "*shape"],
    low: Float[np.ndarray, "*shape"],
    high: Float[np.ndarray, "*shape"],
    *,
    among: int,
) -> Interval:
    """95 % intervals made to hold for ``among`` candidates at once (Bonferroni, normal tails).

    Each arm grows by z(1 − .025 / among) / z(.975), so the shape of the interval stays.

    >>> widened(np.array([0.5]), np.array([0.4]), np.array([0.7]), among=1).low.round(6).tolist()
    [0.4]
    """
    grown = float(stats.norm.ppf(1 - 0.025 / max(among, 1))) / Z_975
    return Interval(value - (value - low) * grown, value + (high - value) * grown)


def largest_of(
    value: Float[np.ndarray, " candidates"],
    low: Float[np.ndarray, " candidates"],
    high: Float[np.ndarray, " candidates"],
    *,
    least: float = -1.0,
) -> Largest:
    """The largest of values with 95 % intervals, its own widened to hold for all at once.

    Values lie within [``least``, 1]; NaN is not among them. Two values are distinguished where
    they differ by more than their half widths added in squares, as independent estimates would;
    paired ones rarely differ by less.
    """
    wide = widened(value, low, high, among=len(value))
    place, half = int(np.argmax(value)), (wide.high - wide.low) / 2
    apart = value[place] - value > np.hypot(half[place], half)
    ends = (max(float(wide.low[place]), least), min(float(wide.high[place]), 1.0))
    return Largest(place, float(value[place]), *ends, ~apart)


def candidates(
    value: Float[np.ndarray, " candidates"],
    samples: Float[np.ndarray, "candidates resamples"],
    sizes: Num[np.ndarray, " candidates"],
) -> Candidates:
    """Standard errors of paired losses from resamples, for any number of examples.

    One example lost and one won are added (Bonett & Price 2012), so that a class of which every
    example behaves the same has a spread as well; n / (n − 1) undoes the bootstrap's bias.

    Args:
        value: mean over each candidate's examples of something within [−1, 1].
        samples: the same in every resample; NaN is passed over.
        sizes: effective number of examples of each.
    """
    n = np.maximum(sizes, 2.0)
    seen = np.nanvar(samples, axis=1) * n / (n - 1)
    return Candidates(value, np.sqrt(seen + 2.0 / (n + 2.0) ** 2), n - 1)


def largest(given: Candidates) -> Pick:
    """The largest candidate, and all that are indistinguishable from it at 95 % confidence."""
    place = int(np.argmax(given.value))
    differs = np.array([difference(given, place, j).low > 0 for j in range(len(given.value))])
    return Pick(place, ~differs)


def smallest(given: Candidates) -> Pick:
    """The smallest candidate, and all that are indistinguishable from it at 95 % confidence."""
    return largest(given._replace(value=-given.value))


def difference(given: Candidates, one: int, other: int) -> Difference:
    """Candidate ``one`` minus ``other``; the interval holds for all pairs of candidates at once.

    Welch's t with his degrees of freedom, corrected for the number of pairs (Bonferroni; Games &
    Howell 1976 use the studentized range, which is a little narrower). So whichever pair is looked
    at afterwards, 0 is excluded in at most 5 % of audits whose candidates are all the same.
    """
    count = len(given.value)
    pairs = max(count * (count - 1) // 2, 1)
    variances = given.sd[[one, other]] ** 2
    total = float(variances.sum())
    df = total**2 / float((variances**2 / given.df[[one, other]]).sum())
    half = float(stats.t.ppf(1 - 0.025 / pairs, df)) * np.sqrt(total)
    value = float(given.value[one] - given.value[other])
    return Difference(value, value - half, value + half)
