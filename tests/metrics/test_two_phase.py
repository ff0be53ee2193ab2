"""The reweighted sample against the textbook formulas, and its behaviour at the edges."""

from dataclasses import replace

import numpy as np
import pytest

from synapse_audit.artifacts import Direct, Outcomes
from synapse_audit.metrics.two_phase import groups, phase_error, reweight

LABELS = np.array([0] * 40 + [1] * 20)


def known(seed: int = 0) -> np.ndarray:
    mask = np.zeros(60, dtype=bool)
    generator = np.random.default_rng(seed)
    mask[generator.permutation(40)[:10]] = True
    mask[40 + generator.permutation(20)[:8]] = True
    return mask


def outcomes(predicted: np.ndarray, direct: np.ndarray, exact: np.ndarray) -> Outcomes:
    zero = np.zeros(predicted.shape, dtype=np.float32)
    held = Direct(exact, direct.astype(np.uint16), zero, np.full(len(predicted), 0.01))
    names = tuple(str(i) for i in range(len(predicted)))
    return Outcomes(names, predicted.astype(np.uint16), zero, zero, zero, zero, direct=held)


def test_class_totals_come_out_exactly():
    weights = np.random.default_rng(1).uniform(0.5, 2, (60, 1))
    again = reweight(LABELS, weights, weights, known()).weights
    for label in (0, 1):
        members = np.tile(label == LABELS, 2)
        assert again[members].sum() == pytest.approx(weights[label == LABELS].sum())


def test_equals_the_difference_estimate_of_the_textbook():
    generator = np.random.default_rng(2)
    x, y, mask = generator.random(60), generator.random(60), known()
    ones = np.ones((60, 1))
    again = reweight(LABELS, ones, ones, mask).weights[:, 0]
    expected = 0.0
    for label in (0, 1):
        members = label == LABELS
        part = members & mask
        mean = y[part].mean() + x[members].mean() - x[part].mean()
        expected += members.sum() * mean
    assert again @ np.concatenate([x, y]) == pytest.approx(expected)


def test_unbiased_over_subsamples():
    generator = np.random.default_rng(3)
    y = generator.integers(0, 2, 60).astype(float)
    x = np.where(generator.random(60) < 0.2, 1 - y, y)
    ones = np.ones((60, 1))
    found = [
        (reweight(LABELS, ones, ones, known(seed)).weights[:, 0] @ np.concatenate([x, y])) / 60
        for seed in range(2000)
    ]
    # Three standard errors of the mean over 2,000 subsamples.
    assert abs(np.mean(found) - y.mean()) < 3 * np.std(found) / np.sqrt(len(found))


def test_a_resample_without_an_exact_example_keeps_the_stream_counts():
    mask = known()
    draws = np.ones((60, 1), dtype=np.float32)
    draws[mask & (LABELS == 1)] = 0
    again = reweight(LABELS, draws, draws, mask).resampled[:, 0]
    ours = LABELS == 1
    assert again[:60][ours].tolist() == draws[ours, 0].tolist()
    assert not again[60:][ours].any()


def test_actions_share_a_sample_by_size():
    mask = known()
    predicted = np.tile(LABELS, (3, 1))
    exact = np.stack([mask, np.ones(60, dtype=bool), mask])
    held = outcomes(predicted, predicted, exact)
    found = groups(held, np.array([2, 1, 0]))
    assert {size: places.tolist() for size, places in found.items()} == {18: [0, 2], 60: [1]}
    assert {k: v.tolist() for k, v in groups(replace(held, direct=None), np.arange(2)).items()} == {
        60: [0, 1]
    }


def test_the_second_phase_error_is_the_spread_over_subsamples():
    """Against brute force: the standard deviation of the estimate itself, weights included."""
    generator = np.random.default_rng(5)
    exact = generator.integers(0, 2, 60)
    direct = np.where(generator.random(60) < 0.3, 1 - exact, exact)
    weights = np.where(LABELS == 0, 1.3, 0.4)
    values, errors = [], []
    for seed in range(1500):
        mask = known(seed)
        held = outcomes(np.where(mask, exact, direct)[None], direct[None], mask[None])
        again = reweight(LABELS, weights[:, None], weights[:, None], mask).weights[:, 0]
        right = np.concatenate([direct == LABELS, exact == LABELS])
        values.append(again @ right / weights.sum())
        errors.append(phase_error(held, LABELS, weights)[0])
    truth = weights @ (exact == LABELS) / weights.sum()
    assert np.mean(values) == pytest.approx(truth, abs=4 * np.std(values) / np.sqrt(1500))
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(values), rel=0.06)


def test_no_second_phase_has_no_error():
    predicted, whole = np.tile(LABELS, (2, 1)), np.ones((2, 60), dtype=bool)
    held = outcomes(predicted, predicted, np.stack([known(), whole[0]]))
    error = phase_error(held, LABELS, np.ones(60))
    assert error[0] == 0 and np.isnan(error[1])
    assert np.isnan(phase_error(replace(held, direct=None), LABELS, np.ones(60))).all()
