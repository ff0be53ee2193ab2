"""What is said of several actions' confidence: errors, averages, and their intervals.

In: confidences and who was right, on weighted examples. Out: one row per action. Averages are taken
of many actions at once, each on its own examples; resampling goes action by action where these
differ, and the intervals of many are read off together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from synapse_audit.effects import calibration as measures
from synapse_audit.effects.estimates import FEW
from synapse_audit.effects.populations import OutcomeSums, joined
from synapse_audit.effects.scored import ratio
from synapse_audit.memory import gathered
from synapse_audit.statistics import Interval, interval, weighted_shares
from synapse_audit.tables.calibration import MEASURES

SURE = 0.9
"""Confidence from which an answer counts as sure."""

NAMES = [column.name for column in MEASURES]

RESAMPLED = 4
"""Arrays of resampled values that are held of each action."""


class Confidences(NamedTuple):
    """What the model says under some actions, on the same examples or each on its own."""

    confidence: Float[np.ndarray, "rows examples"]
    right: Bool[np.ndarray, "rows examples"]
    probability: Float[np.ndarray, "rows examples"]
    """Of the true class."""


# ---- averages ------------------------------------------------------------------------------------


def averages(
    said: Confidences,
    weights: Float[np.ndarray, "rows examples"],
    met: Bool[np.ndarray, "rows examples"],
) -> dict[str, Shaped[np.ndarray, " rows"]]:
    """The columns ``MEASURES`` without the ends of intervals.

    Args:
        weights: 0 where a row has no example.
        met: where it has one.
    """
    sure, wrong, total = said.confidence.astype(np.float64), ~said.right & met, weights.sum(axis=1)
    bins, mass = measures.equal_width(sure), measures.equal_mass(sure, weights)
    loss = -np.log(np.maximum(said.probability.astype(np.float64), measures.SMALLEST))
    errors, over = (wrong * weights).sum(axis=1), sure - said.right

    def mean(values: Shaped[np.ndarray, "rows examples"]) -> Float[np.ndarray, " rows"]:
        return (values * weights).sum(axis=1) / total

    return {
        "ece": measures.binned_error(over, bins, weights),
        "chance_ece": measures.binned_chance(sure, bins, weights),
        "ece_mass": measures.binned_error(over, mass, weights),
        "confidence": mean(sure),
        "accuracy": mean(said.right),
        "overconfidence": mean(over),
        "n_wrong": wrong.sum(axis=1),
        "wrong_confidence": ratio((sure * wrong * weights).sum(axis=1), errors),
        "sure_errors": ratio(((wrong & (sure >= SURE)) * weights).sum(axis=1), errors),
        "brier": mean(over**2),
        "log_loss": mean(loss),
    }


# ---- intervals -----------------------------------------------------------------------------------


class Resampled(NamedTuple):
    """Measures of some actions in every resample, and what intervals of shares need beside them."""

    places: Int[np.ndarray, " chosen"]
    """Positions in the list of actions."""
    error: Float[np.ndarray, "chosen resamples"]
    over: Float[np.ndarray, "chosen resamples"]
    """Overconfidence."""
    wrong_confidence: Float[np.ndarray, "chosen resamples"]
    """NaN where too few answers are wrong for a mean over them."""
    sure_errors: OutcomeSums


def resample(
    places: Int[np.ndarray, " chosen"],
    said: Confidences,
    weights: Float[np.ndarray, "examples 1"],
    resampled: Float[np.ndarray, "examples resamples"],
) -> Resampled:
    """Measures of actions on the same examples; no mean over fewer than ``FEW`` wrong answers."""
    sure, wrong = said.confidence.astype(np.float64), ~said.right
    error = measures.calibration_error(sure, said.right, measures.equal_width(sure), resampled)
    # One product for all: the matrix of weights is read once.
    over, part, whole = np.split(
        weighted_shares(np.concatenate([sure - said.right, sure * wrong, wrong]), resampled), 3
    )
    meant = np.where(wrong.sum(axis=1, keepdims=True) < FEW, np.nan, ratio(part, whole))
    return Resampled(
        places,
        error.astype(np.float64),
        over,
        meant,
        OutcomeSums.of_shares(sure >= SURE, weights, resampled, wrong),
    )


def in_blocks(parts: Iterable[Resampled]) -> Iterator[Resampled]:
    """The same actions, as many at a time as memory is meant for."""
    for some in gathered(parts, lambda part: RESAMPLED * part.error.size):
        *arrays, shares = zip(*some, strict=True)
        places, error, over, wrong = map(np.concatenate, arrays)
        yield Resampled(places, error, over, wrong, joined(shares))


def bounds(
    found: Resampled, error: Float[np.ndarray, " chosen"]
) -> dict[str, Float[np.ndarray, " chosen"]]:
    """The ends of intervals among the columns ``MEASURES``.

    Args:
        error: the calibration error itself.
    """
    return {
        **_ends("ece", measures.reflected(error, found.error)),
        **_ends("overconfidence", interval(found.over)),
        **_ends("wrong_confidence", interval(found.wrong_confidence)),
        **_ends("sure_errors", Interval(*found.sure_errors.estimates()[1:])),
    }


def _ends(name: str, ends: Interval) -> dict[str, Float[np.ndarray, " rows"]]:
    return {f"{name}_low": ends.low, f"{name}_high": ends.high}
