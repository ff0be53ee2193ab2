"""What is said of several actions' confidence: errors, averages, and their intervals.

In: confidences and who was right, on weighted examples. Out: one row per action.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from synapse_audit.effects import calibration as measures
from synapse_audit.effects.estimates import FEW, proportion
from synapse_audit.effects.exact_subsample import population
from synapse_audit.statistics import Interval, interval, weighted_shares
from synapse_audit.tables.calibration import MEASURES

SURE = 0.9
"""Confidence from which an answer counts as sure."""

NAMES = [column.name for column in MEASURES]


class Confidences(NamedTuple):
    """What the model says under some actions, on the same examples."""

    confidence: Float[np.ndarray, "rows examples"]
    right: Bool[np.ndarray, "rows examples"]
    probability: Float[np.ndarray, "rows examples"]
    """Of the true class."""

    def take(self, rows: Bool[np.ndarray, " rows"]) -> Confidences:
        """Some of the rows."""
        return Confidences(self.confidence[rows], self.right[rows], self.probability[rows])


def measured(
    said: Confidences,
    weights: Float[np.ndarray, "examples 1"],
    resampled: Float[np.ndarray, "examples resamples"],
    spread: Bool[np.ndarray, " rows"],
) -> dict[str, Shaped[np.ndarray, " rows"]]:
    """The columns ``MEASURES``; intervals for the rows marked by ``spread`` only."""
    values = _values(said, weights[:, 0])
    columns = {name: np.full(len(spread), np.nan) for name in NAMES} | values
    if spread.any():
        ends = _bounds(said.take(spread), values["ece"][spread], weights, resampled)
        for name, found in ends.items():
            columns[name][spread] = found
    return columns


def _values(
    said: Confidences, weights: Float[np.ndarray, " examples"]
) -> dict[str, Shaped[np.ndarray, " rows"]]:
    sure, wrong, total = said.confidence.astype(np.float64), ~said.right, weights.sum()
    bins, mass = measures.equal_width(sure), measures.equal_mass(sure, weights)
    column = weights[:, None]
    errors = wrong @ weights
    loss = -np.log(np.maximum(said.probability.astype(np.float64), measures.SMALLEST))
    return {
        "ece": measures.calibration_error(sure, said.right, bins, column)[:, 0],
        "chance_ece": measures.chance_error(sure, bins, weights),
        "ece_mass": measures.calibration_error(sure, said.right, mass, column)[:, 0],
        "confidence": sure @ weights / total,
        "accuracy": said.right @ weights / total,
        "overconfidence": (sure - said.right) @ weights / total,
        "n_wrong": wrong.sum(axis=1),
        "wrong_confidence": _ratio((sure * wrong) @ weights, errors),
        "sure_errors": _ratio((wrong & (sure >= SURE)) @ weights, errors),
        "brier": (sure - said.right) ** 2 @ weights / total,
        "log_loss": loss @ weights / total,
    }


def _bounds(
    said: Confidences,
    error: Float[np.ndarray, " rows"],
    weights: Float[np.ndarray, "examples 1"],
    resampled: Float[np.ndarray, "examples resamples"],
) -> dict[str, Float[np.ndarray, " rows"]]:
    """Interval ends; no interval of a mean over fewer than ``FEW`` wrong answers."""
    sure, wrong = said.confidence.astype(np.float64), ~said.right
    bins = measures.equal_width(sure)
    again = measures.calibration_error(sure, said.right, bins, resampled)
    over = weighted_shares(sure - said.right, resampled)
    meant = _ratio(weighted_shares(sure * wrong, resampled), weighted_shares(wrong, resampled))
    meant[wrong.sum(axis=1) < FEW] = np.nan
    found = proportion(population(weights, resampled), sure >= SURE, wrong)
    return {
        **_ends("ece", measures.reflected(error, again.astype(np.float64))),
        **_ends("overconfidence", interval(over)),
        **_ends("wrong_confidence", interval(meant)),
        **_ends("sure_errors", Interval(found.low, found.high)),
    }


def _ends(name: str, bounds: Interval) -> dict[str, Float[np.ndarray, " rows"]]:
    return {f"{name}_low": bounds.low, f"{name}_high": bounds.high}


def _ratio(
    part: Float[np.ndarray, "*#shape"], whole: Float[np.ndarray, "*#shape"]
) -> Float[np.ndarray, "*#shape"]:
    """NaN where the whole is 0."""
    shape = np.broadcast_shapes(part.shape, whole.shape)
    known = np.broadcast_to(whole > 0, shape)
    return np.divide(part, whole, out=np.full(shape, np.nan), where=known)
