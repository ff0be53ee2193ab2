import numpy as np
import pytest

from synapse_audit.effects.random_controls import combined, excess, half_width, prediction_band

FIVE = np.array([0.1, 0.2, 0.3, 0.4, 0.5])


def test_the_band_by_hand():
    # Mean .3, sd .1581, t = 2.776 with four degrees, √(6/5).
    low, high = prediction_band(FIVE)
    assert (low, high) == pytest.approx((0.3 - 0.4809, 0.3 + 0.4809), abs=1e-4)
    assert np.isnan(prediction_band(FIVE[:1])).all()
    assert np.isnan(half_width(1))


def test_excess_over_draws_and_examples():
    # Examples: a standard error of .02; draws: half width .4809.
    samples = np.tile([0.28, 0.32], 500)
    found = excess(0.6, FIVE, samples)
    half = np.hypot(0.4809, 1.959964 * 0.02)
    assert found == pytest.approx((0.3, 0.3 - half, 0.3 + half), abs=1e-4)


def test_an_excess_that_a_single_draw_has_too_holds_zero():
    draws = np.array([0.0] * 30 + [1.0])
    found = excess(0.9, draws, np.zeros(10))
    # t alone would end at .9 − .032 − .37.
    assert found.low == pytest.approx(-0.1)


def test_one_draw_carries_no_interval():
    found = excess(0.6, FIVE[:1], np.zeros(10))
    assert found.value == pytest.approx(0.5)
    assert np.isnan([found.low, found.high]).all()


def test_combined_errors_by_welch_and_satterthwaite():
    found = combined(np.array([0.3, 0.0]), np.array([0.4, 0.4]), 5)
    assert found.sd == pytest.approx([0.5, 0.4])
    # .5⁴ / (.4⁴ / 4), and four degrees where all comes from the draws.
    assert found.df == pytest.approx([0.0625 / (0.0256 / 4), 4.0])
    assert found.half[1] == pytest.approx(2.776445 * 0.4)
    assert found.p(np.array([0.0, 2.776445 * 0.4]))[1] == pytest.approx(0.05)
