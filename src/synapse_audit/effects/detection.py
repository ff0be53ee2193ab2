"""A classifier seen as a detector: alarm or no alarm, and at which threshold.

In: an alarm score per example (higher = more alarming), who is an attack, and weights in one or
many draws (resamples). Out: ROC curves and what is read off them. Numbers in, numbers out.

Weights count throughout, and equal scores are one step of the curve.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from synapse_audit.effects.scored import ratio

ROUNDING = 1e-6
"""How far a weighted rate may exceed its limit by rounding."""


class Roc(NamedTuple):
    """Points from (0, 0) to (1, 1): the first ``k`` distinct scores raise the alarm at point k."""

    scores: Float[np.ndarray, " steps"]
    """Distinct scores, descending; one fewer than points."""
    false: Float[np.ndarray, "points draws"]
    """Share of benign examples flagged; NaN in a draw without any."""
    true: Float[np.ndarray, "points draws"]
    """Share of attacks flagged; NaN in a draw without any."""


def roc(
    score: Float[np.ndarray, " examples"],
    attack: Bool[np.ndarray, " examples"],
    weights: Float[np.ndarray, "examples draws"],
) -> Roc:
    """Both rates at every threshold; checked against scikit-learn's ``roc_curve``."""
    order = np.argsort(-score, kind="stable")
    ranked, hostile = score[order], attack[order, None]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(score) else order
    heavy = weights[order]
    return Roc(ranked[ends], _share(heavy * ~hostile, ends), _share(heavy * hostile, ends))


def _share(
    weights: Float[np.ndarray, "examples draws"], ends: np.ndarray
) -> Float[np.ndarray, "points draws"]:
    running = np.cumsum(weights, axis=0)[ends]
    running = np.concatenate([np.zeros((1, weights.shape[1]), running.dtype), running])
    return ratio(running, running[-1:])


def area(curve: Roc) -> Float[np.ndarray, " draws"]:
    """ROC-AUC: the chance that an attack scores above a benign example, ties counting half."""
    width = np.diff(curve.false, axis=0)
    return (width * (curve.true[1:] + curve.true[:-1])).sum(axis=0) / 2


def equal_error(curve: Roc) -> Float[np.ndarray, " draws"]:
    """Equal error rate: where false and missed alarms are as frequent, linear between points."""
    gap = curve.false - (1.0 - curve.true)
    draws = np.arange(gap.shape[1])
    # The gap climbs from −1 to 1, so the first point at or above 0 is never the first of all.
    right = np.maximum((gap >= 0).argmax(axis=0), 1)
    below, above = gap[right - 1, draws], gap[right, draws]
    part = ratio(-below, above - below)
    start, end = curve.false[right - 1, draws], curve.false[right, draws]
    return start + part * (end - start)


def caught(curve: Roc, limit: float) -> Float[np.ndarray, " draws"]:
    """Largest share of attacks flagged where at most ``limit`` of the benign are flagged too."""
    steps = (curve.false <= limit + ROUNDING).sum(axis=0)
    found = curve.true[np.maximum(steps - 1, 0), np.arange(curve.true.shape[1])]
    return np.where(steps > 0, found, np.nan)


def threshold(curve: Roc, limit: float) -> float:
    """The alarm is raised above it: the lowest one that flags at most ``limit`` of the benign.

    Halfway between two scores that occur (in the first draw), so that rounding decides nothing.
    """
    steps = int((curve.false[:, 0] <= limit + ROUNDING).sum()) - 1
    if steps < 0:
        return float("nan")
    if steps == 0:
        return float(np.nextafter(curve.scores[0], np.inf)) if len(curve.scores) else float("nan")
    if steps == len(curve.scores):
        return float(np.nextafter(curve.scores[-1], -np.inf))
    return float((np.float64(curve.scores[steps - 1]) + np.float64(curve.scores[steps])) / 2)


def resolvable(limit: float, size: float) -> bool:
    """Whether ``size`` (effective) benign examples can tell a false-alarm rate of ``limit`` from 0.

    At least one of them must be allowed to be flagged.
    """
    return bool(size * limit >= 1.0 - 1e-9)
