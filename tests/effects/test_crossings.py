import numpy as np
import pytest
from scipy import stats

from synapse_audit.effects.crossings import Losses, crossing, interpolated, needed_examples
from synapse_audit.statistics import bonett_price

GRID = np.array([0.1, 0.2, 0.5, 0.8])


def losses(value, half=0.0) -> Losses:
    value = np.array(value)
    return Losses(value, value - half, value + half)


def test_grid_points_bracket_the_crossing():
    found = crossing(GRID, losses([0.0, 0.01, 0.2, 0.4]), 0.1)
    assert found == (0.2, 0.5, 0.2, 0.5)


def test_uncertain_points_widen_the_bracket():
    # .12 ± .05 may lie on either side of .1; .4 ± .05 does not.
    found = crossing(GRID, losses([0.0, 0.01, 0.12, 0.4], 0.05), 0.1)
    assert found == (0.2, 0.5, 0.2, 0.8)
    assert crossing(GRID, losses([0.0, 0.08, 0.4, 0.4], 0.05), 0.1) == (0.2, 0.5, 0.1, 0.5)


def test_upper_ends_hold_for_all_points_at_once():
    # One point: .16 ± .05 lies above .1. Among four, 2.50 / 1.96 times as wide, it does not.
    assert crossing(GRID[:1], losses([0.16], 0.05), 0.1).high == 0.1
    assert stats.norm.ppf(1 - 0.025 / 4) / 1.959964 * 0.05 > 0.06
    assert crossing(GRID, losses([0.16, 0.0, 0.0, 0.0], 0.05), 0.1).high == np.inf


def test_never_and_at_once():
    assert crossing(GRID, losses([0.0] * 4), 0.1) == (0.8, np.inf, 0.8, np.inf)
    assert crossing(GRID, losses([0.5] * 4), 0.1) == (0.0, 0.1, 0.0, 0.1)


def test_interpolation_between_grid_points():
    # A level of .25 lies a quarter of the way from .2 (at .5) to .4 (at .8), or halfway to .1.
    assert interpolated(GRID, np.array([0.0, 0.0, 0.2, 0.4]), 0.25) == pytest.approx(0.575)
    assert interpolated(GRID, np.array([0.5] * 4), 0.25) == pytest.approx(0.05)
    assert interpolated(GRID, np.zeros(4), 0.25) == np.inf
    assert interpolated(GRID, np.zeros(4), 0.0) == 0.0


@pytest.mark.parametrize(("lost", "won"), [(0, 0), (4, 2), (6, 2)])
def test_needed_examples_make_the_bound_small_enough(lost, won):
    # At the same shares, so many examples bring Bonett and Price's upper end to about the margin.
    n = needed_examples((lost - won) / 400, (lost + won) / 400, 0.02)
    high = bonett_price(lost * n / 400, won * n / 400, n).high
    assert high == pytest.approx(0.02, abs=0.004)


def test_no_number_of_examples_shows_a_loss_that_is_there():
    assert needed_examples(0.03, 0.03, 0.02) == np.inf
