"""Means over parts of the examples, inside and outside of each, with their spreads.

In: a number per example and which examples each part has. Out: the mean over each part and over all
other examples, in the data and in every resample.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped
from scipy import stats

from synapse_audit.artifacts import Evidence
from synapse_audit.effects.scored import ratio
from synapse_audit.effects.selection import Candidates, candidates
from synapse_audit.memory import row_chunks
from synapse_audit.statistics import Interval, paired_interval

Marks = Bool[np.ndarray, "parts examples"]


class PartMeans(NamedTuple):
    """The mean of something over each part."""

    inside: Candidates
    outside: Candidates
    """Over all other examples."""
    samples: Float[np.ndarray, "parts resamples"]
    sizes: Float[np.ndarray, " parts"]
    """Effective number of examples, or of groups."""

    @property
    def interval(self) -> Interval:
        """Of each part by itself, for a mean of differences."""
        return paired_interval(self.inside.value, self.samples, self.sizes)

    @property
    def difference(self) -> Float[np.ndarray, "3 parts"]:
        """Inside minus outside with both ends; intervals hold for all parts at once.

        Welch's t, corrected for the number of parts (Bonferroni). NaN where nothing is outside.
        """
        one, other = self.inside, self.outside
        value, total = one.value - other.value, one.sd**2 + other.sd**2
        df = total**2 / (one.sd**4 / one.df + other.sd**4 / other.df)
        level = 1 - 0.025 / max(len(value), 1)
        half = stats.t.ppf(level, np.where(np.isnan(df), 1.0, df)) * np.sqrt(total)
        return np.stack([value, value - half, value + half])


def part_means(
    evidence: Evidence, values: Shaped[np.ndarray, " examples"], members: Marks
) -> PartMeans:
    """Means of ``values``, each within [−1, 1].

    Where groups were resampled a part is as large as the number of its groups: examples of one
    group may be right or wrong together.
    """
    own = evidence.weights.astype(np.float64)[:, None]
    value, samples = (_means(values, members, w) for w in (own, evidence.resampled))
    sizes = [_effective(evidence, side, own[:, 0]) for side in (members, ~members)]
    inside, outside = (_spread(value[i][:, 0], samples[i], sizes[i]) for i in (0, 1))
    return PartMeans(inside, outside, samples[0], sizes[0])


def groups_of(evidence: Evidence, members: Bool[np.ndarray, " examples"]) -> int | None:
    """How many groups some examples are of; None where no groups were given."""
    return None if evidence.groups is None else len(np.unique(evidence.groups[members]))


def _means(
    values: Shaped[np.ndarray, " examples"],
    members: Marks,
    weights: Float[np.ndarray, "examples draws"],
) -> tuple[Float[np.ndarray, "parts draws"], Float[np.ndarray, "parts draws"]]:
    """Inside and outside of each part, in every draw of the weights."""
    everyone = np.ones((1, members.shape[1]))
    rows = np.concatenate([members, everyone])
    whole = np.zeros((len(rows), weights.shape[1]))
    sums = np.zeros_like(whole)
    for some in row_chunks(len(values), weights.shape[1]):
        part = weights[some].astype(np.float64)
        whole += rows[:, some] @ part
        sums += (rows[:, some] * values[some]) @ part
    inside = ratio(sums[:-1], whole[:-1])
    left = whole[-1] - whole[:-1]
    # What rounding leaves where a part is all of the examples counts as no example.
    empty = left <= 1e-9 * whole[-1]
    return inside, np.where(empty, np.nan, ratio(sums[-1] - sums[:-1], left))


def _spread(
    value: Float[np.ndarray, " parts"],
    samples: Float[np.ndarray, "parts draws"],
    sizes: Float[np.ndarray, " parts"],
) -> Candidates:
    """As for candidates; unknown where there is no example."""
    known = ~np.isnan(value)
    found = candidates(value, np.where(known[:, None], samples, 0.0), sizes)
    return found._replace(sd=np.where(known, found.sd, np.nan))


def _effective(
    evidence: Evidence, members: Marks, weights: Float[np.ndarray, " examples"]
) -> Float[np.ndarray, " parts"]:
    """Effective number of examples, at most as many as there are groups."""
    sizes = np.nan_to_num(ratio((members @ weights) ** 2, members @ weights**2))
    groups = [groups_of(evidence, part) for part in members]
    most = [np.inf if count is None else float(count) for count in groups]
    return np.asarray(np.minimum(sizes, most))
