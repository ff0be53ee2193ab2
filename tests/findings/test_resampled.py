import numpy as np
import pytest
from sklearn.metrics import accuracy_score, recall_score

from synapse_audit.effects.resampled import (
    accuracy,
    chance,
    clean_accuracy,
    clean_recalls,
    direct_accuracy,
    recalls,
    supported,
)
from synapse_audit.statistics import interval

from .evidence import make_evidence, silence


def noisy(seed: int = 0):
    """60 weighted examples of three classes, and one cell that predicts at random."""
    generator = np.random.default_rng(seed)
    labels = np.repeat([0, 1, 2], 20)
    guess = generator.integers(0, 3, 60)
    logits = np.eye(3)[np.where(generator.random(60) < 0.8, labels, guess)]
    cell = silence("top", 0.5)
    weights = generator.uniform(0.5, 2.0, 60)
    return make_evidence(list(labels), [(cell, list(guess))], logits=logits, weights=weights), cell


def test_values_and_resamples_agree_with_scikit_learn():
    evidence, cell = noisy()
    labels, weights = evidence.predictions.labels, evidence.weights
    guess = evidence.outcomes.predicted[0]
    sampled = accuracy(evidence, [cell.action])
    recall = recalls(evidence, [cell.action], supported(evidence))
    base = clean_accuracy(evidence)
    clean = evidence.predictions.predicted
    for w, at in [(weights, None), *((evidence.resampled[:, b], b) for b in (0, 7, 199))]:
        pick = (lambda s: s.value) if at is None else (lambda s, at=at: s.samples[..., at])
        expected = accuracy_score(labels, guess, sample_weight=w)
        assert pick(sampled) == pytest.approx([expected])
        assert pick(base) == pytest.approx([accuracy_score(labels, clean, sample_weight=w)])
        per_class = recall_score(labels, guess, sample_weight=w, average=None)
        assert pick(recall)[0] == pytest.approx(per_class)
        best = max(accuracy_score(labels, np.full(60, c), sample_weight=w) for c in range(3))
        assert pick(chance(evidence)) == pytest.approx([best])


def estimated(seed: int = 0, parted: float = 0.2):
    """120 weighted examples, two cells with subsamples of 40 and 80, and one that is exact."""
    generator = np.random.default_rng(seed)
    labels, order = np.repeat([0, 1, 2], 40), generator.permutation(120)
    trials, stream = [], []
    for n in (40, 80, 120):
        direct = np.where(generator.random(120) < 0.7, labels, generator.integers(0, 3, 120))
        exact = np.where(generator.random(120) < parted, (direct + 1) % 3, direct)
        trials.append((silence("top", n / 120), exact.tolist()))
        stream.append((direct.tolist(), (order < n).tolist()))
    weights = generator.uniform(0.5, 2.0, 120)
    return make_evidence(labels.tolist(), trials, weights=weights, stream=stream, resamples=500)


def test_two_phase_values_are_those_of_the_tables():
    evidence = estimated()
    actions = list(evidence.effects["action"])
    assert evidence.effects["n_exact"].tolist() == [40, 80, 120]
    found = accuracy(evidence, actions)
    assert found.value == pytest.approx(evidence.effects["accuracy"])
    drop = clean_accuracy(evidence).value - direct_accuracy(evidence, actions).value
    assert drop == pytest.approx(evidence.effects["direct_drop"])
    recall = recalls(evidence, actions, supported(evidence))
    assert recall.value.ravel() == pytest.approx(evidence.class_effects["recall"])


def test_two_phase_samples_are_wider_than_those_of_mixed_outcomes():
    evidence = estimated()
    actions = list(evidence.effects["action"])
    found = accuracy(evidence, actions)
    low, high = interval(found.samples)
    assert low == pytest.approx(evidence.effects["accuracy_low"], abs=0.03)
    assert high == pytest.approx(evidence.effects["accuracy_high"], abs=0.03)
    mixed = evidence.outcomes.predicted == evidence.predictions.labels
    weights = evidence.resampled.T
    plain = (weights @ mixed.T / weights.sum(axis=1, keepdims=True)).std(axis=0)
    spread = found.samples.std(axis=1)
    assert spread[0] > 1.2 * plain[0]
    assert spread[2] == pytest.approx(plain[2], rel=1e-5)


def test_clean_recalls_and_no_action():
    evidence, cell = noisy()
    kept = supported(evidence)
    clean = evidence.predictions
    expected = recall_score(
        clean.labels, clean.predicted, sample_weight=evidence.weights, average=None
    )
    assert clean_recalls(evidence, kept).value == pytest.approx(expected)
    assert accuracy(evidence, []).samples.shape == (0, 200)
    assert np.isnan(direct_accuracy(evidence, [cell.action]).value).all()
