"""Where two rankings part, by hand."""

import numpy as np
import pytest

from synapse_audit.neurons.dissociation import contrast, contrasts, percentiles, used


def test_percentiles_share_ties() -> None:
    found = percentiles(np.array([5.0, 1.0, 5.0, 9.0]))
    np.testing.assert_allclose(found, [0.5, 0.125, 0.5, 0.875])


def test_contrast_is_the_strictest_threshold_met_by_both() -> None:
    high, low = np.array([4.0, 3.0, 2.0, 1.0]), np.array([1.0, 4.0, 2.0, 3.0])
    np.testing.assert_allclose(contrast(high, low), [0.875, 0.125, 0.375, 0.125])


def test_equal_rankings_part_nowhere() -> None:
    scores = np.random.default_rng(0).normal(size=101)
    assert contrast(scores, scores).max() <= 0.5


def test_unrelated_rankings_leave_the_square_above_a_threshold() -> None:
    generator = np.random.default_rng(0)
    found = contrast(generator.normal(size=100_000), generator.normal(size=100_000))
    assert (found >= 0.7).mean() == pytest.approx(0.09, abs=0.005)


def test_both_directions() -> None:
    first, second = [np.array([1.0, 2.0])], [np.array([2.0, 1.0])]
    found = contrasts(first, second)
    np.testing.assert_allclose(found["readable_unused"][0], [0.25, 0.75])
    np.testing.assert_allclose(found["used_unreadable"][0], [0.75, 0.25])


def test_the_first_ranking_of_use_that_is_there_counts() -> None:
    assert used({"probe": 0, "conductance": 0, "activation_gradient": 0}) == "conductance"
    assert used({"probe": 0, "activation_gradient": 0}) == "activation_gradient"
    assert used({"probe": 0, "iou": 0}) is None
    assert used({"conductance": 0}) is None
