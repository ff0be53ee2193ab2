"""What the examples of a subsample weigh: every class, or stratum, as much as among all."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.artifacts import Direct


class PoststratifiedWeights(NamedTuple):
    """Weights in one or many draws, and how to raise those of a subsample to their totals."""

    weights: Float[np.ndarray, "examples draws"]
    members: Float[np.ndarray, "classes examples"]
    """1 where an example is of a class."""
    totals: Float[np.ndarray, "classes draws"]

    @classmethod
    def of(
        cls, labels: Int[np.ndarray, " examples"], weights: Float[np.ndarray, "examples draws"]
    ) -> PoststratifiedWeights:
        """For these weights."""
        members = np.equal.outer(np.unique(labels), labels).astype(weights.dtype)
        return cls(weights, members, members @ weights)

    def exact(
        self, design_weight: Float[np.ndarray, " examples"]
    ) -> Float[np.ndarray, "exact draws"]:
        """Weights of the exact examples: times what each stands for, then every class to its total.

        A class without an exact example in a draw is left out of that draw.
        """
        known = np.flatnonzero(design_weight)
        mine = self.weights[known] * design_weight[known, None].astype(self.weights.dtype)
        members = self.members[:, known]
        part = members @ mine
        up = np.divide(self.totals, part, out=np.zeros_like(part), where=part > 0)
        return np.asarray(mine * (members.T @ up))

    def of_many(
        self, design_weights: Float[np.ndarray, "subsamples examples"]
    ) -> Float[np.ndarray, "subsamples examples"]:
        """The same of many subsamples at once, in the first draw; 0 where an example is not in."""
        mine = self.weights[:, 0] * design_weights
        part = mine @ self.members.T
        up = np.divide(self.totals[:, 0], part, out=np.zeros_like(part), where=part > 0)
        return np.asarray(mine * (up @ self.members))


class SampleWeights(NamedTuple):
    """Examples of a stratified sample and what they weigh: every stratum as much as among all."""

    known: Int[np.ndarray, " sampled"]
    weights: Float[np.ndarray, "sampled 1"]
    resampled: Float[np.ndarray, "sampled resamples"]


def sample_weights(
    direct: Direct,
    number: int,
    weights: Float[np.ndarray, "examples 1"],
    resampled: Float[np.ndarray, "examples resamples"],
) -> SampleWeights:
    """Those of the sample with this number."""
    if direct.strata is None or direct.inclusion is None:
        raise ValueError("no action ran on a sample")
    design_weight, strata = direct.inclusion[number], direct.strata[number]
    value, samples = (PoststratifiedWeights.of(strata, w) for w in (weights, resampled))
    known = np.flatnonzero(design_weight)
    return SampleWeights(known, value.exact(design_weight), samples.exact(design_weight))
