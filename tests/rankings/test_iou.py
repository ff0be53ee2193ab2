"""Average precision against scikit-learn, weights and ties included."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from synapse_audit.artifacts import Activations
from synapse_audit.rankings import RankingContext, rank

from .problems import CLASSES, context


def _oracle(setting: RankingContext, layer: int, neuron: int, label: int) -> float:
    fit = setting.splits.fit
    values = setting.activations.layers[layer][fit, neuron].astype(np.float64)
    own, weights = setting.labels[fit] == label, setting.weights[fit]
    return max(
        float(average_precision_score(own, sign * values, sample_weight=weights))
        for sign in (1, -1)
    )


@pytest.mark.parametrize("rounded", [False, True])
def test_scores_are_those_of_scikit_learn(rounded: bool) -> None:
    # Rounded activations have many ties, which must be retrieved together.
    plain = context()
    weights = np.random.default_rng(3).gamma(2.0, size=len(plain.labels))
    layers = tuple(np.round(v) if rounded else v for v in plain.activations.layers)
    setting = replace(plain, activations=Activations(layers, layers[-1]), weights=weights)
    found = rank("iou", setting)
    for label, name in enumerate(CLASSES):
        for neuron in range(12):
            wanted = _oracle(setting, 1, neuron, label)
            assert found.scores[name][1][neuron] == pytest.approx(wanted, abs=1e-12)
    mean = np.mean([found.scores[name][2] for name in CLASSES], axis=0)
    np.testing.assert_allclose(found.scores[None][2], mean)


def test_a_neuron_and_its_negative_score_the_same() -> None:
    plain = context()
    layers = tuple(-layer for layer in plain.activations.layers)
    other = replace(plain, activations=Activations(layers, layers[-1]))
    for one, two in zip(
        rank("iou", plain).scores["b"], rank("iou", other).scores["b"], strict=True
    ):
        np.testing.assert_allclose(one, two, atol=1e-12)


def test_a_constant_scores_the_share_of_the_class() -> None:
    plain = context()
    layers = tuple(layer.copy() for layer in plain.activations.layers)
    layers[0][:, 4] = 3.0
    found = rank("iou", replace(plain, activations=Activations(layers, layers[-1])))
    for label, name in enumerate(CLASSES):
        share = (plain.fit_labels == label).mean()
        assert found.scores[name][0][4] == pytest.approx(share)
