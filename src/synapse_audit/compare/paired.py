"""What changed between two models on the same examples, how surely, in which direction.

Intervals are paired bootstraps, widened where those degenerate; tests swap the two models' answers.
Over classes intervals hold jointly (Bonferroni) and tests are Holm's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from synapse_audit.compare.answers import Answers, measured
from synapse_audit.compare.swapping import Swaps, p_value, swapped
from synapse_audit.effects.estimates import bounded
from synapse_audit.statistics import (
    Interval,
    bonett_price,
    interval,
    mcnemar,
    weighted_shares,
    wilson,
)
from synapse_audit.summary import Figure

LEVEL = 0.05


class Change(NamedTuple):
    """A figure of two models; the difference is second minus first."""

    figure: str
    """accuracy, macro_f1, recall or precision."""
    name: str | None
    """The class, where it is a class's."""
    first: float
    second: float
    difference: Figure
    """Its interval holds jointly with those of the other classes."""
    p: float
    """Of the swap test, corrected over classes."""

    @property
    def significant(self) -> bool:
        """Whether the two models differ in it beyond chance."""
        return self.p <= LEVEL


class Flips(NamedTuple):
    """How often the second model names another class than the first, among some examples."""

    name: str | None
    """True class; None = all examples."""
    n: int
    flips: int
    rate: Figure
    lost: int
    """Right before, wrong now."""
    won: int
    """Wrong before, right now."""
    p: float
    """Of right against wrong, Holm over classes."""
    test: str = "McNemar"
    """Exact McNemar; of groups, which move together, ``swap test``."""


def changes(answers: Answers) -> list[Change]:
    """Accuracy, macro F1, and every class's recall and precision."""
    swaps = Swaps.of(answers)
    families = [["accuracy"], ["macro_f1"]]
    numbers = range(len(answers.classes))
    families += [[f"{name}:{c}" for c in numbers] for name in ("recall", "precision")]
    return [change for family in families for change in _family(answers, family, swaps)]


def flips(answers: Answers) -> list[Flips]:
    """All examples first, then each class that has some."""
    labels = answers.labels
    swaps = Swaps.of(answers) if answers.groups is not None else None
    kept = [c for c in range(len(answers.classes)) if (labels == c).any()]
    classes = [_flips(answers, labels == c, answers.classes[c], swaps) for c in kept]
    corrected = holm([one.p for one in classes])
    every = _flips(answers, np.ones(len(labels), dtype=bool), None, swaps)
    return [every, *(one._replace(p=p) for one, p in zip(classes, corrected, strict=True))]


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction: the chance of any false claim stays below the level.

    NaN stays NaN and is not counted. Source: Holm 1979, Scand. J. Statist. 6:65.

    >>> [round(value, 3) for value in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(given))
    order = known[np.argsort(given[known], kind="stable")]
    raised = given[order] * np.arange(len(order), 0, -1)
    found = np.full(len(given), np.nan)
    found[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return [float(value) for value in found]


def _family(answers: Answers, measures: Sequence[str], swaps: Swaps) -> list[Change]:
    """Measures that are claimed together, so corrected together."""
    pairs = [_values(answers, measure) for measure in measures]
    tested = [
        p_value(second - first, swapped(answers, measure, swaps))
        for measure, (first, second) in zip(measures, pairs, strict=True)
    ]
    level = 1.0 - LEVEL / len(measures)
    return [
        _change(answers, measure, pair, p=p, level=level)
        for measure, pair, p in zip(measures, pairs, holm(tested), strict=True)
    ]


def _values(answers: Answers, measure: str) -> tuple[float, float]:
    own = answers.weights.astype(np.float64)[:, None]
    first, second = (float(measured(measure, answers.labels, m, own)[0]) for m in answers.pair)
    return first, second


def _change(
    answers: Answers, measure: str, pair: tuple[float, float], *, p: float, level: float
) -> Change:
    name, _, number = measure.partition(":")
    value = pair[1] - pair[0]
    among = answers.labels == int(number) if name == "recall" else None
    n = len(answers.labels) if among is None else int(among.sum())
    if np.isfinite(value):
        difference = Figure(value, *_interval(answers, measure, p=p, level=level), n=n)
    else:
        nothing = "no example of the class" if name == "recall" else "a model never names it"
        difference = Figure.unknown(nothing)
    of = answers.classes[int(number)] if number else None
    return Change(name, of, *pair, difference, p)


def _interval(answers: Answers, measure: str, *, p: float, level: float) -> tuple[float, float]:
    """Paired bootstrap, made wider where few answers changed.

    It holds 0 unless the swap test excludes it, and Bonett and Price's interval of the share of
    right answers among the examples concerned, which does not shrink to a point where nothing
    changed.
    """
    samples = [measured(measure, answers.labels, m, answers.resampled) for m in answers.pair]
    ends = interval((samples[1] - samples[0])[None, :], level)
    lows, highs = [float(ends.low[0])], [float(ends.high[0])]
    low, high = _bonett_price(answers, _among(answers, measure), level)
    lows, highs = [*lows, low], [*highs, high]
    if not p <= LEVEL:
        lows, highs = [*lows, 0.0], [*highs, 0.0]
    return min(lows), max(highs)


def _among(answers: Answers, measure: str) -> Bool[np.ndarray, " examples"]:
    """The examples that a measure is about: of the class, named so by either model, or all."""
    name, _, number = measure.partition(":")
    if name == "recall":
        return np.asarray(answers.labels == int(number))
    if name == "precision":
        return np.asarray((answers.first == int(number)) | (answers.second == int(number)))
    return np.ones(len(answers.labels), dtype=bool)


def _bonett_price(
    answers: Answers, among: Bool[np.ndarray, " examples"], level: float
) -> tuple[float, float]:
    weights = answers.weights * among
    before, after = (m == answers.labels for m in answers.pair)
    size = float(weights.sum() ** 2 / (weights**2).sum())
    won, lost = (
        float(one @ weights / weights.sum()) * size for one in (after & ~before, before & ~after)
    )
    ends = bonett_price(won, lost, size, level)
    return float(ends.low), float(ends.high)


def _flips(
    answers: Answers, among: Bool[np.ndarray, " examples"], name: str | None, swaps: Swaps | None
) -> Flips:
    """Args: swaps: of groups, which are then swapped and resampled as wholes."""
    before, after = (m == answers.labels for m in answers.pair)
    n = int(among.sum())
    if swaps is None:
        p, test = float(mcnemar(before[among], after[None, among])[0]), "McNemar"
    else:
        gained = (after[swaps.places].astype(np.float64) - before[swaps.places]) * among[
            swaps.places
        ]
        p, test = p_value(float(gained.sum()), swaps.signs @ gained), "swap test"
    return Flips(
        name=name,
        n=n,
        flips=int((answers.differ & among).sum()),
        rate=_rate(answers, among),
        lost=int((before & ~after & among).sum()),
        won=int((~before & after & among).sum()),
        p=p,
        test=test,
    )


def _rate(answers: Answers, among: Bool[np.ndarray, " examples"]) -> Figure:
    """Weighted share of some examples whose answers differ.

    Wilson's interval; of groups, the bootstrap's where that is not degenerate.
    """
    weights = answers.weights * among
    share = float(answers.differ @ weights / weights.sum())
    n = int(among.sum())
    if answers.groups is None:
        size = float(weights.sum() ** 2 / (weights**2).sum())
        ends = wilson(share * size, size)
    else:
        drawn = answers.resampled * among[:, None]
        size = float(len(np.unique(answers.groups[among])))
        samples = weighted_shares(answers.differ[None, :], drawn)
        _, low, high = bounded(np.array([share]), samples, np.array([size]))
        ends = Interval(low[0], high[0])
    return Figure(share, float(ends.low), float(ends.high), n=n)
