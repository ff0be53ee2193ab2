"""Gradient rankings are weighted means of magnitudes over the examples of a class."""

from dataclasses import replace

import numpy as np

from synapse_audit.artifacts import Activations
from synapse_audit.rankings import rank

from .problems import attributed, context


def test_by_hand() -> None:
    plain = context()
    values = (np.array([[1.0, -2.0], [-3.0, 4.0], [5.0, 0.0], [7.0, 7.0]], dtype=np.float32),)
    setting = replace(
        plain,
        activations=Activations((np.zeros((4, 2), np.float32),), np.zeros((4, 2), np.float32)),
        labels=np.array([0, 0, 1, 2]),
        weights=np.array([1.0, 3.0, 2.0, 1.0]),
        attributions=attributed(np.arange(3), values),
    )
    gradient, conductance = (rank(m, setting) for m in ("activation_gradient", "conductance"))
    np.testing.assert_allclose(gradient.scores["a"][0], [2.5, 3.5])
    np.testing.assert_allclose(gradient.scores["b"][0], [5.0, 0.0])
    np.testing.assert_allclose(gradient.scores[None][0], [3.75, 1.75])
    np.testing.assert_allclose(conductance.scores[None][0], [7.5, 3.5])
    assert set(gradient.scores) == {None, "a", "b"}
