"""Where a removal curve breaks: the end of its plateau, and where half is lost.

In: evidence and the actions of one curve. Out: :class:`~synapse_audit.effects.crossings.Crossing`
and figures of ``summary.json`` that say what grid and sample leave open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from synapse_audit.artifacts import Evidence
from synapse_audit.effects.crossings import (
    Losses,
    crossing,
    interpolated,
    needed_examples,
)
from synapse_audit.effects.curves import PLATEAU_LOSS, TOLERANCE
from synapse_audit.effects.resampled import accuracy, chance, clean_accuracy
from synapse_audit.effects.two_phase import phases
from synapse_audit.statistics import paired_interval
from synapse_audit.summary import Figure

Points = Float[np.ndarray, " points"]

NEVER = "never within the grid"
NOT_ABOVE_CHANCE = "clean accuracy is not above chance"

RARELY = 0.025
"""Share of resamples above which it is said that half may never be lost."""


class Half(NamedTuple):
    """Where half of the accuracy above chance is lost; NaN where unknown or never."""

    value: float
    """Linear between grid points: a convention within ``after`` to ``by``."""
    low: float
    """Largest fraction before which it is not lost, with 97.5 % confidence."""
    high: float
    """Smallest fraction by which it is lost, with 97.5 % confidence."""
    after: float
    """Last grid point before it was measured."""
    by: float
    """Grid point at which it was measured."""
    never_share: float
    """Share of resamples in which it is never lost."""


def effective_examples(evidence: Evidence) -> float:
    """Kish's (Σw)² / Σw² of the ``evaluate`` examples."""
    weights = evidence.weights.astype(np.float64)
    return float(weights.sum() ** 2 / (weights**2).sum())


def half_lost(evidence: Evidence, fractions: Points, actions: Sequence[str]) -> Half:
    """Where half of the way from clean accuracy to chance is lost; NaN where clean is at chance.

    Grid points bracket it; (low, high] holds it with 95 % confidence, the gap between grid points
    included.
    """
    clean, floor = clean_accuracy(evidence), chance(evidence)
    if clean.value[0] <= floor.value[0]:
        return Half(np.nan, np.nan, np.nan, np.nan, np.nan, np.nan)
    silenced = accuracy(evidence, actions)
    value = (clean.value + floor.value) / 2 - silenced.value
    samples = (clean.samples + floor.samples) / 2 - silenced.samples
    ends = paired_interval(value, samples, effective_examples(evidence))
    found = crossing(fractions, Losses(value, ends.low, ends.high), -TOLERANCE)
    level = float((clean.value[0] - floor.value[0]) / 2)
    at = interpolated(fractions, clean.value - silenced.value, level)
    never = float((samples < -TOLERANCE).all(axis=0).mean())
    at, high, by = (x if np.isfinite(x) else np.nan for x in (at, found.high, found.beyond))
    return Half(at, found.low, high, found.within, by, never)


def half_figure(found: Half) -> Figure:
    """The figure of ``summary.json``: ``between`` = the two grid points that bracket it.

    ``never_share`` is stated above 2.5 %.
    """
    if np.isnan(found.never_share):
        return Figure.unknown(NOT_ABOVE_CHANCE)
    beside: dict[str, Any] = {}
    if found.never_share > RARELY:
        beside["never_share"] = found.never_share
    if np.isnan(found.value):
        return Figure(found.value, found.low, found.high, reason=NEVER, beside=beside)
    beside["between"] = [found.after, found.by]
    return Figure(found.value, found.low, found.high, beside=beside)


def plateau_figure(
    evidence: Evidence, fractions: Points, actions: Sequence[str], losses: Losses
) -> Figure:
    """Largest fraction up to which accuracy stays within 0.02 at every point, and how surely.

    ``value``: by the measured losses. ``low``: by their upper 97.5 % bounds; null, with a reason,
    where the sample is too small to show so little at even the first point. ``high``: the first
    fraction that costs more with 97.5 % confidence; null where none does.
    """
    found = crossing(fractions, losses, PLATEAU_LOSS + TOLERANCE)
    if found.low > 0 or found.within == 0:
        return Figure(found.within, found.low, found.high)
    reason = _not_shown(evidence, actions[0], float(losses.value[0]))
    return Figure(found.within, high=found.high, reason=reason)


def _not_shown(evidence: Evidence, action: str, loss: float) -> str:
    needed = needed_examples(float(loss), changed_share(evidence, action), PLATEAU_LOSS)
    enough = f"; about {needed:,.0f} would" if np.isfinite(needed) else ""
    return f"{counted(evidence)} cannot show a loss below {PLATEAU_LOSS:g}{enough}"


def counted(evidence: Evidence) -> str:
    """``130 examples``, and how many of equal weight they are worth where that is fewer."""
    n, worth = len(evidence.weights), effective_examples(evidence)
    fewer = f", weighted and so worth {worth:,.0f}," if round(worth) < n else ""
    return f"{n:,} examples{fewer}"


def changed_share(evidence: Evidence, action: str) -> float:
    """Weighted share of examples that an action makes right or wrong."""
    clean = evidence.predictions
    right = clean.predicted == clean.labels
    both = phases(evidence.outcomes, evidence.outcomes.rows([action]))
    changed = both.of(lambda predicted: (predicted == clean.labels) != right)[0]
    return float(np.clip(changed @ evidence.weights / evidence.weights.sum(), 0.0, 1.0))
