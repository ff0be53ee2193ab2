"""Top-ranked neurons against their random controls: the comparison that several sections quote.

In: ``redundancy.removal`` and ``redundancy.tests`` of a run. Out: numbers and careful sentences.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Result
from synapse_audit.summary import Figure
from synapse_audit.tables.redundancy import REMOVAL, TESTS


class Gap(NamedTuple):
    """Top against random controls at one fraction."""

    fraction: float
    top: float
    random: float
    low: float
    high: float
    excess: float
    """Top minus random, averaged over all fractions."""


def all_removal_curves(result: Result) -> pd.DataFrame:
    """``redundancy.removal``: every ranking."""
    return saved.frame(result, REMOVAL)


def removal_curves(result: Result) -> pd.DataFrame:
    """The same for the headline ranking and the shared random controls alone."""
    return saved.headline(all_removal_curves(result), saved.facts(result).ranking)


def curve_tests(result: Result) -> pd.DataFrame:
    """``redundancy.tests``: one row per curve."""
    return saved.frame(result, TESTS)


def gap(table: pd.DataFrame, operator: str) -> Gap | None:
    """Top against random controls with about half of every layer silenced; None without both."""
    rows = saved.rows(table, operator=operator)
    top, random_control = (saved.rows(rows, selection=name) for name in ("top", "random"))
    both = top.merge(random_control, on="fraction", suffixes=("", "_random_control"))
    both = both.dropna(subset=["accuracy_drop", "accuracy_drop_random_control"])
    if not len(both):
        return None
    at = saved.nearest(both["fraction"].tolist(), 0.5)
    row = saved.rows(both, fraction=at).iloc[0]
    drops = (row["accuracy_drop"], row["accuracy_drop_random_control"])
    excess = (both["accuracy_drop"] - both["accuracy_drop_random_control"]).mean()
    return Gap(
        at,
        *map(
            float, (*drops, row["drop_low_random_control"], row["drop_high_random_control"], excess)
        ),
    )


def headline_p(result: Result) -> float:
    """Adjusted p of the headline curve against its random controls; NaN without tests."""
    facts = saved.facts(result)
    tests = saved.headline(curve_tests(result), facts.ranking)
    found = saved.rows(tests, operator="mean", layers="all", position="pooled", ranked_for=None)
    return float(found["p_adjusted"].iloc[0]) if facts.tests and len(found) else float("nan")


def compare(found: Gap, p: float, tests: bool) -> str:
    """The sentence that sets the ranking against chance, as careful as the evidence."""
    if p != p:
        return _untested(found, tests)
    if p > prose.SIGNIFICANT:
        verdict = "hurt no more than equally many random ones, as far as the test can tell"
    else:
        verdict = f"hurt {'more' if found.excess > 0 else 'less'} than equally many random ones"
    return (
        f"With {prose.percent(found.fraction)} of all neurons silenced, the top-ranked neurons "
        f"{verdict}: accuracy {prose.falls(found.top)}, with random ones it {_by_chance(found)}; "
        f"over the whole curve {prose.p_phrase(p)}."
    )


def _untested(found: Gap, tests: bool) -> str:
    """Where the top-ranked drop lies among the draws, when no test can be quoted."""
    place = "inside" if found.low <= found.top <= found.high else "outside"
    why = "the draws allow none" if tests else "this preset has too few draws"
    return (
        f"With {prose.percent(found.fraction)} of all neurons silenced, top-ranked first, accuracy "
        f"{prose.falls(found.top)}; with equally many random neurons it {_by_chance(found)}. The "
        f"first figure lies {place} the band of one more draw. No test is reported: {why}."
    )


def _by_chance(found: Gap) -> str:
    return prose.falls(found.random, found.low, found.high, bounds="one more draw")


def plateau_sentence(result: Result) -> str:
    """How far the curve stays flat, and where half of the accuracy above chance is gone."""
    plateau = saved.estimate(result.summary, "redundancy", "plateau")
    half = saved.estimate(result.summary, "redundancy", "half_point")
    return f"{_flat(plateau)}; {_half(half)}."


def _flat(plateau: Figure) -> str:
    if not plateau.known:
        return f"How far accuracy stays flat is unknown{_because(plateau)}"
    if plateau.value <= 0:
        return "Even the smallest share tried costs more than 0.02 of accuracy"
    return (
        f"Accuracy stays within 0.02 up to {prose.percent(plateau.value)} of the neurons silenced "
        f"(held at their average), top-ranked first{_shown(plateau)}"
    )


def _shown(plateau: Figure) -> str:
    """Up to where that is shown, and not only measured."""
    if not math.isnan(plateau.low):
        return f"; that it does is shown up to {prose.percent(plateau.low)}"
    return f"; it is measured, not shown{_because(plateau)}"


def _half(half: Figure) -> str:
    if half.known:
        return f"half of the accuracy above chance is gone {_between(half)}"
    if half.reason.startswith("never"):
        return "half of the accuracy above chance is not gone at any share tried"
    return f"where half of the accuracy above chance is gone is unknown{_because(half)}"


def _between(half: Figure) -> str:
    """The shares between which it lies: the gap of the grid, and what the sample leaves open."""
    if math.isnan(half.high):
        return f"beyond {prose.percent(half.low)}"
    return f"between {prose.percent(half.low)} and {prose.percent(half.high)}"


def _because(figure: Figure) -> str:
    return f" ({prose.plain(figure.reason)})" if figure.reason else ""
