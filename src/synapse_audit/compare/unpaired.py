"""Differences of figures that are not paired example by example."""

from __future__ import annotations

import math

from scipy import stats

from synapse_audit.summary import Figure


def difference(first: Figure, second: Figure, *, of: int = 1) -> Figure:
    """Second minus first, with the interval that two independent figures would have.

    Figures of the same examples mostly vary together, and then it is too wide between such runs;
    of two that vary against each other it would be too narrow. Source: Zou & Donner 2008, Stat.
    Med. 27:1693 (recovery of variance estimates).

    Args:
        of: how many differences are claimed together; the interval is widened so that all hold
            jointly, as if figures were normal (Bonferroni).

    >>> found = difference(Figure(0.5, 0.4, 0.6), Figure(0.8, 0.7, 0.9))
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.3, 0.159, 0.441)
    """
    value = second.value - first.value
    reason = first.reason or second.reason
    if not (first.bounded and second.bounded):
        return Figure(value, reason=reason or "one of the two figures has no interval")
    wider = float(stats.norm.ppf(1 - 0.025 / of) / stats.norm.ppf(0.975))
    below = wider * math.hypot(second.value - second.low, first.high - first.value)
    above = wider * math.hypot(second.high - second.value, first.value - first.low)
    known = [figure.n for figure in (first, second) if figure.n is not None]
    return Figure(value, value - below, value + above, reason, min(known) if known else None)
