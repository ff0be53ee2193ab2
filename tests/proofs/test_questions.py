"""Curves of one question, tested in a fixed order beside 20 random controls: errors and power.

Areas between curves and random controls are simulated; all curves share the same draws, as in an
audit. Takes a few seconds.
"""

import numpy as np
import pandas as pd
import pytest

from synapse_audit.effects.questions import in_order
from synapse_audit.statistics import benjamini_yekutieli, curve_test

from .judging import Tell, generators, judge

pytestmark = pytest.mark.proof

CURVES, DRAWS = 8, 20


def p_values(
    generator: np.random.Generator, shape: str, shift: np.ndarray, shared: float
) -> np.ndarray:
    """One p per curve; ``shared`` = how far the curves move together."""
    draw = generator.normal if shape == "normal" else generator.exponential
    random = draw(size=DRAWS)
    own, common = draw(size=len(shift)), draw()
    # The same law as one more draw, whether all curves are one or each is its own.
    tops = np.where(generator.random(len(shift)) < shared, common, own) + shift
    return np.array([curve_test(top - random).p for top in tops])


def adjusted(p: np.ndarray) -> np.ndarray:
    names = [str(place) for place in range(len(p))]
    table = pd.DataFrame({"layers": "all", "ranked_for": None, "ranking": names, "p_value": p})
    return in_order(table.assign(position="pooled"))


@pytest.mark.parametrize("shape", ["normal", "skewed"])
@pytest.mark.parametrize("shared", [0.0, 0.8])
def test_random_rankings_are_not_called_better(shape: str, shared: float, tell: Tell) -> None:
    wrong = []
    for generator in generators(2000):
        p = adjusted(p_values(generator, shape, np.zeros(CURVES), shared))
        wrong.append(bool((p < 0.05).any()))
    what = f"{CURVES} random rankings, {DRAWS} {shape} draws, {shared:.0%} alike"
    judge(f"any curve of a question is significant: none differs ({what})", wrong, 0.05, tell)


def test_what_is_random_behind_what_is_not(tell: Tell) -> None:
    """Three rankings that really differ stand before five random ones."""
    wrong = []
    for generator in generators(2000):
        shift = np.array([6.0] * 3 + [0.0] * 5)
        p = adjusted(p_values(generator, "normal", shift, 0.0))
        wrong.append(bool((p[3:] < 0.05).any()))
    judge("a random ranking behind three that differ is significant", wrong, 0.05, tell)


def test_power(tell: Tell) -> None:
    """Where all differ by five standard deviations, nearly all are found; before, none was."""
    found, before = [], []
    for generator in generators(500):
        p = p_values(generator, "normal", np.full(CURVES, 5.0), 0.0)
        found.append(float((adjusted(p) < 0.05).mean()))
        before.append(float((benjamini_yekutieli(p) < 0.05).mean()))
    tell(
        f"8 rankings that differ by 5 sd: found {np.mean(found):.1%}, before {np.mean(before):.1%}"
    )
    assert np.mean(before) == 0.0
    assert np.mean(found) > 0.6
