"""The reweighted sample against the textbook formulas, and its behaviour at the edges."""

import numpy as np
import pytest

from synapse_audit.artifacts import Direct, Outcomes
from synapse_audit.metrics.two_phase import coefficient, groups, reweight, unseen_variance

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


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_class_totals_come_out_exactly(beta: float):
    weights = np.random.default_rng(1).uniform(0.5, 2, (60, 1))
    again = reweight(LABELS, weights, weights, known(), beta).weights
    for label in (0, 1):
        members = np.tile(label == LABELS, 2)
        assert again[members].sum() == pytest.approx(weights[label == LABELS].sum())


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_equals_the_regression_estimate_of_the_textbook(beta: float):
    generator = np.random.default_rng(2)
    x, y, mask = generator.random(60), generator.random(60), known()
    ones = np.ones((60, 1))
    again = reweight(LABELS, ones, ones, mask, beta).weights[:, 0]
    expected = 0.0
    for label in (0, 1):
        members = label == LABELS
        part = members & mask
        mean = y[part].mean() + beta * (x[members].mean() - x[part].mean())
        expected += members.sum() * mean
    assert again @ np.concatenate([x, y]) == pytest.approx(expected)


def test_unbiased_over_subsamples():
    generator = np.random.default_rng(3)
    y = generator.integers(0, 2, 60).astype(float)
    x = np.where(generator.random(60) < 0.2, 1 - y, y)
    ones = np.ones((60, 1))
    found = [
        (reweight(LABELS, ones, ones, known(seed), 1.0).weights[:, 0] @ np.concatenate([x, y])) / 60
        for seed in range(2000)
    ]
    # Three standard errors of the mean over 2,000 subsamples.
    assert abs(np.mean(found) - y.mean()) < 3 * np.std(found) / np.sqrt(len(found))


def test_a_resample_without_an_exact_example_keeps_the_stream_counts():
    mask = known()
    draws = np.ones((60, 1), dtype=np.float32)
    draws[mask & (LABELS == 1)] = 0
    again = reweight(LABELS, draws, draws, mask, 0.5).resampled[:, 0]
    ours = LABELS == 1
    assert again[:60][ours].tolist() == draws[ours, 0].tolist()
    assert not again[60:][ours].any()


def test_beta_is_one_without_disagreement_and_small_where_the_stream_says_nothing():
    generator = np.random.default_rng(4)
    mask = np.ones(60, dtype=bool)
    exact = generator.integers(0, 2, 60).astype(np.uint16)
    assert coefficient(exact, exact, LABELS, mask) == 1.0
    constant = np.zeros(60, dtype=np.uint16)
    labels = np.zeros(60, dtype=np.int64)
    assert coefficient(constant, exact, labels, mask) == 1.0
    noise = generator.integers(0, 2, 60).astype(np.uint16)
    assert coefficient(noise, exact, LABELS, mask) <= 0.25


def test_actions_share_a_sample_by_size_and_beta():
    mask = known()
    predicted = np.tile(LABELS, (3, 1))
    exact = np.stack([mask, mask, np.ones(60, dtype=bool)])
    found = groups(outcomes(predicted, predicted, exact), np.arange(3), LABELS)
    assert {key: places.tolist() for key, places in found.items()} == {
        (18, 1.0): [0, 1],
        (60, 1.0): [2],
    }


def test_only_disagreements_that_were_not_seen_widen():
    mask = known()
    predicted = np.tile(LABELS, (2, 1))
    direct = predicted.copy()
    direct[1, np.flatnonzero(mask)[:3]] = 9  # 3 of 18 seen, far above the smoothed rate of .01
    held = outcomes(predicted, direct, np.stack([mask, mask]))
    variance = unseen_variance(held, np.arange(2))
    assert variance.tolist() == pytest.approx([0.01 * (1 / 18 - 1 / 60), 0.0])
