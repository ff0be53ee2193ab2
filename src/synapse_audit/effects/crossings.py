"""Where a curve crosses a level, and what a grid and a sample leave open about it.

In: losses at some fractions, each with its 95 % interval. Out: a :class:`Crossing`. A curve is
known at its grid points alone, so where it crosses is known between two of them; a sample adds
that neighbouring points may lie on either side of the level.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from synapse_audit.effects.selection import widened
from synapse_audit.statistics import Z_975

Points = Float[np.ndarray, " points"]

ROUNDING = 1e-6
"""By which a loss may miss the level that it reaches."""

LEAST_CHANGED = 2.0
"""Discordant examples that a paired interval adds (one lost, one won): none seen is not none."""


class Losses(NamedTuple):
    """What is lost at each point of a curve, with a 95 % interval each."""

    value: Points
    low: Points
    high: Points


class Crossing(NamedTuple):
    """Where losses first exceed a level, from two sides; 0 = before the first grid point."""

    within: float
    """Largest fraction up to which every measured loss is at most the level."""
    beyond: float
    """The next fraction of the grid, where the measured loss exceeds it; infinity: none does."""
    low: float
    """Largest fraction up to which every loss is at most the level with 97.5 % confidence."""
    high: float
    """Smallest fraction at which the loss exceeds it with 97.5 % confidence; infinity: none."""


def crossing(fractions: Points, losses: Losses, level: float) -> Crossing:
    """Brackets the fraction at which a loss first exceeds ``level``.

    The true crossing lies in (low, high] with at least 95 % confidence. Low errs only where the
    first truly exceeding point looks safe: one comparison. High errs where any point before it
    looks exceeded, so those bounds are widened for all points of the grid (Bonferroni). Limits:
    between grid points the curve is taken to cross once.

    Args:
        fractions: ascending.
    """
    surely = widened(losses.value, losses.low, losses.high, among=len(fractions)).low
    return Crossing(
        within=_up_to(fractions, losses.value <= level),
        beyond=_first(fractions, losses.value > level),
        low=_up_to(fractions, losses.high <= level),
        high=_first(fractions, surely > level),
    )


class Enough(NamedTuple):
    """The smallest size that is enough, from two sides; NaN where none is."""

    value: float
    """By what was measured."""
    low: float
    """Smallest size that may be enough: with 97.5 % confidence no smaller one tried is."""
    high: float
    """Smallest size that surely is, with 97.5 % confidence."""


def smallest_enough(sizes: Points, reached: Losses, level: float) -> Enough:
    """The smallest of the sizes tried at which at least ``level`` is reached.

    Low errs only where the one that truly is the smallest looks too weak: one comparison. High
    errs where any that is not enough looks so, and the smallest is taken of all that do; so those
    bounds are widened for all sizes tried (Bonferroni).

    Args:
        sizes: of every experiment, in any order.
    """
    surely = widened(reached.value, reached.low, reached.high, among=len(sizes)).low
    enough = [sizes[part >= level - ROUNDING] for part in (reached.value, reached.high, surely)]
    return Enough(*(float(found.min()) if len(found) else float("nan") for found in enough))


def interpolated(fractions: Points, losses: Points, level: float) -> float:
    """Where a straight line between grid points reaches the level; infinity where it never does.

    From a loss of 0 at fraction 0. A convention within the bracket, not knowledge of the curve.
    """
    x, y = np.concatenate([[0.0], fractions]), np.concatenate([[0.0], losses])
    reached = y >= level - ROUNDING
    if not reached.any():
        return float("inf")
    right = int(reached.argmax())
    if right == 0:
        return 0.0
    share = (level - y[right - 1]) / (y[right] - y[right - 1])
    return float(x[right - 1] + min(share, 1.0) * (x[right] - x[right - 1]))


def needed_examples(loss: float, changed: float, margin: float) -> float:
    """Examples with which an upper confidence bound of a paired loss would be at most ``margin``.

    The bound is loss + 1.96 √(changed − loss²) / √n, with one example lost and one won added where
    nothing changed (Bonett & Price 2012): even without any change 1.96 √2 / (n + 2) must be small.
    Infinite where the measured loss itself is not below the margin.

    Args:
        changed: share of examples that were lost or won.

    >>> round(needed_examples(0.0, 0.0, 0.02))
    137
    """
    if loss >= margin:
        return float("inf")
    unseen = Z_975 * np.sqrt(LEAST_CHANGED) / margin - LEAST_CHANGED
    spread = max(changed - loss**2, 0.0)
    return float(np.ceil(max(unseen, Z_975**2 * spread / (margin - loss) ** 2)))


def _up_to(fractions: Points, held: Bool[np.ndarray, " points"]) -> float:
    steps = int(np.cumprod(held).sum())
    return float(np.concatenate([[0.0], fractions])[steps])


def _first(fractions: Points, there: Bool[np.ndarray, " points"]) -> float:
    return float(fractions[there.argmax()]) if there.any() else float("inf")
