"""A test of whether two models differ: their answers to each example, swapped at random.

Where the models are exchangeable every swap is as likely as what was seen, whatever the measure, so
the test is exact for small classes too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from synapse_audit.compare.answers import Answers

SWAPS = 4999
"""Random swaps: p cannot go below 1/5,000."""

Marks = Bool[np.ndarray, " examples"]


class Swaps(NamedTuple):
    """Which answers change places. Only examples on which the models differ matter."""

    places: Int[np.ndarray, " changed"]
    signs: Float[np.ndarray, "swaps changed"]
    """1 where they stay, -1 where they are swapped."""
    weights: Float[np.ndarray, " examples"]

    @classmethod
    def of(cls, answers: Answers) -> Swaps:
        """Random swaps; groups are swapped as wholes."""
        places = np.flatnonzero(answers.differ)
        members = places if answers.groups is None else answers.groups[places]
        names, member = np.unique(members, return_inverse=True)
        generator = np.random.default_rng([answers.seed, 1])
        signs = generator.integers(0, 2, (SWAPS, len(names))) * 2.0 - 1.0
        return cls(places, signs[:, member.reshape(-1)], answers.weights)

    def totals(self, first: Marks, second: Marks) -> Float[np.ndarray, "2 swaps"]:
        """Weight marked for each model under every swap."""
        middle = float(first @ self.weights + second @ self.weights) / 2
        apart = second[self.places].astype(np.float64) - first[self.places]
        half = self.signs @ (apart * self.weights[self.places] / 2)
        return np.stack([middle - half, middle + half])


def swapped(answers: Answers, measure: str, swaps: Swaps) -> Float[np.ndarray, " swaps"]:
    """Second minus first of a measure under every swap; NaN where it is undefined."""
    labels, name = answers.labels, measure.partition(":")[0]
    if name == "macro_f1":
        return np.asarray(np.mean([_f1(answers, int(c), swaps) for c in np.unique(labels)], axis=0))
    c = int(measure.partition(":")[2] or -1)
    members = np.ones(len(labels), bool) if name == "accuracy" else labels == c
    hits = swaps.totals(*((m == labels) & members for m in answers.pair))
    if name == "precision":
        base = swaps.totals(*(m == c for m in answers.pair))
    else:
        base = np.full((2, 1), float(members @ swaps.weights))
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = hits / base
    return np.asarray(rates[1] - rates[0])


def p_value(observed: float, draws: Float[np.ndarray, " swaps"]) -> float:
    """Two-sided share of swaps at least as far from 0, the observed one counted."""
    if not np.isfinite(observed):
        return float("nan")
    known = draws[np.isfinite(draws)]
    beyond = int(np.count_nonzero(np.abs(known) >= abs(observed) - 1e-12))
    return (1 + beyond) / (1 + len(known))


def _f1(answers: Answers, c: int, swaps: Swaps) -> Float[np.ndarray, " swaps"]:
    members = answers.labels == c
    hits = swaps.totals(*((m == c) & members for m in answers.pair))
    called = swaps.totals(*(m == c for m in answers.pair))
    f1 = 2 * hits / (called + float(members @ swaps.weights))
    return np.asarray(f1[1] - f1[0])
