from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.preprocessing import StandardScaler

from synapse_audit import memory
from synapse_audit.artifacts import Splits
from synapse_audit.errors import DataError
from synapse_audit.probes import Scaler, fit_probe, fit_probes, probe_table
from synapse_audit.probes.fit import ABSENT_BIAS, STRENGTHS

from .problems import activations, labelled, planted, thirds


def test_scopes_shapes_and_table() -> None:
    probes = fit_probes(*planted(), seed=0)
    assert [probe.scope for probe in probes] == ["0", "1", "2", "joint", "head_input"]
    assert [probe.weights.shape for probe in probes] == [(2, n) for n in (20, 20, 20, 40, 20)]
    table = probe_table(probes)
    assert list(table) == [
        "scope",
        "accuracy",
        "macro_f1",
        "majority_accuracy",
        "fit_accuracy",
        "control_accuracy",
        "selectivity",
        "null_accuracy",
        "strength",
    ]
    assert not table.isna().any().any()
    assert set(table["strength"]) <= set(STRENGTHS)


def test_the_planted_layer_is_read_and_noise_is_not() -> None:
    by_scope = {probe.scope: probe for probe in fit_probes(*planted(), seed=0)}
    assert by_scope["2"].accuracy == 1.0
    assert by_scope["joint"].accuracy > 0.95
    assert by_scope["0"].accuracy < 0.65


def test_probe_equals_scikit_learn_on_the_same_features() -> None:
    held, data, splits = planted()
    weights = np.random.default_rng(5).uniform(0.2, 2.0, len(data))
    data = replace(data, weights=weights)
    features = held.layers[2][:, :5].astype(np.float64)
    probe = fit_probe("some", features, data, splits, seed=0)
    scaler = StandardScaler().fit(features[splits.fit])
    # With two classes scikit-learn fits one row v; two rows ±v/2 pay half its penalty ‖v‖²/2.
    oracle = LogisticRegression(C=2 * probe.strength, tol=1e-10, max_iter=5000)
    oracle.fit(scaler.transform(features[splits.fit]), data.labels[splits.fit])
    np.testing.assert_allclose(probe.weights[1] - probe.weights[0], oracle.coef_[0], atol=1e-4)
    predicted = oracle.predict(scaler.transform(features[splits.evaluate]))
    truth, mass = data.labels[splits.evaluate], weights[splits.evaluate]
    assert probe.accuracy == pytest.approx(accuracy_score(truth, predicted, sample_weight=mass))
    assert probe.macro_f1 == pytest.approx(
        f1_score(truth, predicted, average="macro", sample_weight=mass)
    )
    shares = np.bincount(truth, mass) / mass.sum()
    assert probe.majority_accuracy == pytest.approx(shares.max())


def test_weights_are_centred_over_classes() -> None:
    for probe in fit_probes(*planted(), seed=0):
        np.testing.assert_allclose(probe.weights.sum(axis=0), 0.0, atol=1e-9)
        assert probe.bias.sum() == pytest.approx(0.0, abs=1e-9)


def test_the_strength_is_the_best_on_select() -> None:
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 3, 240)
    features = generator.normal(size=(240, 60)) + 0.6 * np.eye(3)[labels] @ generator.normal(
        size=(3, 60)
    )
    data, splits = labelled(labels, 3), thirds(240)
    probe = fit_probe("some", features, data, splits, seed=0)
    scaler = StandardScaler().fit(features[splits.fit])
    fit, select = (scaler.transform(features[rows]) for rows in (splits.fit, splits.select))
    accuracies = [
        LogisticRegression(C=c, tol=1e-6, max_iter=5000)
        .fit(fit, labels[splits.fit])
        .score(select, labels[splits.select])
        for c in STRENGTHS
    ]
    assert probe.strength == STRENGTHS[int(np.argmax(accuracies))]


def test_control_task_is_memorised_on_fit_and_chance_on_evaluate() -> None:
    generator = np.random.default_rng(1)
    labels = generator.permutation(np.arange(900) % 2)
    features = generator.normal(size=(900, 600))  # twice as many features as fit examples
    features[:, :300] += 0.12 * (2 * labels - 1)[:, None]
    probe = fit_probe("some", features, labelled(labels, 2), thirds(900), seed=3)
    assert probe.control_accuracy > 0.95
    assert abs(probe.null_accuracy - 0.5) < 0.12  # four standard errors of 300 coin flips
    assert probe.accuracy > 0.9
    assert probe.selectivity == pytest.approx(probe.fit_accuracy - probe.control_accuracy)


def test_the_control_task_depends_on_the_seed_alone() -> None:
    problem = planted()
    first, again, other = (
        probe_table(fit_probes(*problem, seed=seed))["null_accuracy"].tolist() for seed in (1, 1, 2)
    )
    assert first == again != other


def test_constant_features_are_left_alone() -> None:
    # Near 9.3 neighbouring float32 numbers lie 1e-6 apart: rounding, not information.
    values = np.array([[9.3, 1.0], [9.300001, 2.0], [9.3, 3.0]], dtype=np.float32)
    scaler = Scaler.of(values)
    assert scaler.scale[0] == 1.0
    assert scaler.scale[1] == pytest.approx(np.sqrt(2 / 3))
    assert np.abs(scaler(values)[:, 0]).max() < 1e-5


def test_a_class_without_fit_examples_is_never_predicted() -> None:
    held, data, splits = planted()
    data = replace(data, classes=("class 0", "class 1", "absent"))
    probe = fit_probes(held, data, splits, seed=0)[2]
    assert probe.accuracy == 1.0
    np.testing.assert_array_equal(probe.weights[2], 0.0)
    assert probe.bias[2] == ABSENT_BIAS


def test_one_class_alone_is_refused() -> None:
    held, data, splits = planted()
    zeros = np.flatnonzero(data.labels == 0)
    with pytest.raises(DataError, match="1 of 2 classes"):
        fit_probes(held, data, Splits(zeros, splits.select, splits.evaluate), seed=0)


def test_inputs_are_not_changed() -> None:
    held, data, splits = planted()
    before = [layer.copy() for layer in held.layers]
    fit_probes(held, data, splits, seed=0)
    for layer, copy in zip(held.layers, before, strict=True):
        np.testing.assert_array_equal(layer, copy)


def test_layers_may_differ_in_width() -> None:
    generator = np.random.default_rng(0)
    held = activations([generator.normal(size=(90, width)) for width in (4, 6, 3)])
    probes = fit_probes(held, labelled(np.arange(90) // 3 % 2, 2), thirds(90), seed=0)
    assert [probe.weights.shape[1] for probe in probes] == [4, 6, 3, 9, 3]


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = planted()
    whole = fit_probes(*problem, seed=0)
    monkeypatch.setattr(memory, "NUMBERS", 200)  # seven rows of the joint probe at a time
    for probe, before in zip(fit_probes(*problem, seed=0), whole, strict=True):
        assert (probe.scope, probe.strength) == (before.scope, before.strength)
        np.testing.assert_allclose(probe.weights, before.weights, atol=1e-5)
        np.testing.assert_allclose(probe.mean, before.mean)
        np.testing.assert_allclose(probe.scale, before.scale)
        assert probe.control_accuracy == before.control_accuracy
        assert probe.accuracy == before.accuracy
