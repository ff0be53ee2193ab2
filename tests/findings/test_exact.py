"""Exact examples stand for as many as they were drawn for, and every class for all of its own."""

import numpy as np
import pytest

from synapse_audit.effects.exact_subsample import PoststratifiedWeights


def test_weights_by_hand() -> None:
    """Class 0 weighs 3: one of its examples stands for itself, one for four, one is not known."""
    raised = PoststratifiedWeights.of(
        np.array([0, 0, 0, 1]), np.array([[1.0, 2.0], [1, 0], [1, 1], [1, 5]])
    )
    found = raised.exact(np.array([1, 4, 0, 1], dtype=np.float32))
    assert found[:, 0] == pytest.approx([3 / 5, 12 / 5, 1])
    assert found[:, 1] == pytest.approx([3, 0, 5])


def test_everybody_exact_keeps_the_weights() -> None:
    weights = np.random.default_rng(0).uniform(0.5, 2, (6, 3))
    raised = PoststratifiedWeights.of(np.array([0, 0, 1, 1, 1, 2]), weights)
    assert raised.exact(np.ones(6, dtype=np.float32)) == pytest.approx(weights)


def test_a_class_without_an_exact_example_is_left_out() -> None:
    raised = PoststratifiedWeights.of(np.array([0, 0, 1]), np.ones((3, 1)))
    assert raised.exact(np.array([2, 0, 0], dtype=np.float32)).tolist() == [[2.0]]
