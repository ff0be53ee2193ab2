import numpy as np
import pytest
from scipy import stats

from synapse_audit.effects.selection import (
    Candidates,
    candidates,
    difference,
    largest,
    largest_of,
    smallest,
    widened,
)


def known(value, sd, df=1e9) -> Candidates:
    value = np.array(value, dtype=float)
    return Candidates(value, np.full(len(value), sd), np.full(len(value), df))


def test_arms_grow_by_the_quantile_for_so_many():
    low, high = widened(np.array([0.5]), np.array([0.4]), np.array([0.7]), among=5)
    # Bonferroni: 2.576 instead of 1.960.
    assert low[0] == pytest.approx(0.5 - 0.1 * 2.575829 / 1.959964, abs=1e-6)
    assert high[0] == pytest.approx(0.5 + 0.2 * 2.575829 / 1.959964, abs=1e-6)


def test_a_difference_holds_for_all_pairs():
    given = known([0.5, 0.2, 0.2, 0.1], 0.1)
    apart = difference(given, 0, 3)
    # Six pairs: 2.638 standard errors of .1 √2.
    half = stats.norm.ppf(1 - 0.025 / 6) * 0.1 * np.sqrt(2)
    assert apart == pytest.approx((0.4, 0.4 - half, 0.4 + half), abs=1e-6)


def test_ties_are_listed():
    pick = largest(known([0.9, 0.8, 0.1], 0.1))
    assert (pick.place, pick.tied.tolist(), pick.alone) == (0, [True, True, False], False)
    assert largest(known([0.9, 0.1, 0.1], 0.1)).alone
    assert smallest(known([0.9, 0.1, 0.1], 0.1)).tied.tolist() == [False, True, True]


def test_a_class_of_which_all_behave_the_same_has_a_spread():
    found = candidates(np.zeros(1), np.zeros((1, 50)), np.array([12]))
    assert found.sd[0] == pytest.approx(np.sqrt(2) / 14)
    assert found.df.tolist() == [11]


def test_the_spread_is_that_of_the_mean():
    samples = np.random.default_rng(0).normal(0.3, 0.05, size=(1, 4000))
    found = candidates(np.array([0.3]), samples, np.array([100.0]))
    assert found.sd[0] == pytest.approx(
        np.hypot(0.05 * np.sqrt(100 / 99), np.sqrt(2) / 102), rel=0.03
    )


def test_the_largest_of_values_with_intervals():
    value = np.array([0.30, 0.28, 0.0])
    found = largest_of(value, value - 0.05, value + 0.05)
    half = 0.05 * stats.norm.ppf(1 - 0.025 / 3) / 1.959964
    assert (found.place, found.tied.tolist()) == (0, [True, True, False])
    assert (found.low, found.high) == pytest.approx((0.3 - half, 0.3 + half))
