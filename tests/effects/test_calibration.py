from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss as sklearn_log_loss

from synapse_audit.effects.calibration import (
    BINS,
    answers,
    calibration_error,
    chance_error,
    equal_mass,
    equal_width,
    fit_temperature,
    log_loss,
    reflected,
    reliability,
)
from synapse_audit.statistics import resampled_weights


def ece(confidence, right, weights=None, bins=equal_width):
    confidence, right = np.atleast_2d(confidence), np.atleast_2d(right).astype(bool)
    weights = np.ones(confidence.shape[1]) if weights is None else weights
    cut = bins(confidence) if bins is equal_width else bins(confidence, weights)
    return calibration_error(confidence, right, cut, weights[:, None])[:, 0]


def formula(confidence, right, n_bins=BINS):
    """The formula of torchmetrics' and of Guo's own code: a loop over right-closed bins."""
    confidence, right = torch.tensor(confidence), torch.tensor(right, dtype=torch.float64)
    edges, total = torch.linspace(0, 1, n_bins + 1, dtype=torch.float64), 0.0
    for lower, upper in pairwise(edges):
        inside = confidence.gt(lower) & confidence.le(upper)
        if inside.any():
            gap = (confidence[inside].mean() - right[inside].mean()).abs()
            total += float(gap * inside.double().mean())
    return total


def said(n=400, seed=0):
    generator = np.random.default_rng(seed)
    confidence = generator.beta(5, 1.5, size=n)
    return confidence, generator.random(n) < confidence**2


def test_by_hand():
    # Two bins: 0.95 and 0.99 (half right, mean 0.97), 0.5 and 0.5 (all right).
    confidence, right = [0.95, 0.99, 0.5, 0.5], [1, 0, 1, 1]
    assert ece(confidence, right)[0] == pytest.approx(0.5 * 0.47 + 0.5 * 0.5)
    # Weight 3 on the wrong one: (3 · 0.97… ) by hand: bin weights 4 and 2 of 6.
    weighted = ece(confidence, right, np.array([1.0, 3.0, 1.0, 1.0]))
    assert weighted[0] == pytest.approx((abs(1 - 0.95 + 3 * (0 - 0.99)) + 2 * 0.5) / 6)


def test_against_an_independent_loop_and_scikit_learn():
    for seed in range(5):
        confidence, right = said(seed=seed)
        assert ece(confidence, right)[0] == pytest.approx(formula(confidence, right), abs=1e-12)
        true, mean = calibration_curve(right, confidence, n_bins=BINS, strategy="uniform")
        counts = np.bincount(equal_width(confidence[None])[0], minlength=BINS)
        shares = counts[counts > 0] / len(right)
        assert ece(confidence, right)[0] == pytest.approx(float(shares @ np.abs(true - mean)))


def test_equal_mass_against_scikit_learn():
    confidence, right = said(n=BINS * 20)
    true, mean = calibration_curve(right, confidence, n_bins=BINS, strategy="quantile")
    found = ece(confidence, right, bins=equal_mass)[0]
    assert found == pytest.approx(float(np.abs(true - mean).mean()), abs=2e-3)
    counts = np.bincount(equal_mass(confidence[None], np.ones(len(right)))[0])
    assert counts.tolist() == [20] * BINS


def test_equal_mass_keeps_ties_together_and_counts_weight():
    confidence = np.array([[0.2, 0.9, 0.9, 0.9, 0.9, 1.0]])
    bins = equal_mass(confidence, np.ones(6))[0]
    assert len(set(bins[1:5])) == 1
    heavy = equal_mass(confidence, np.array([14.0, 0.25, 0.25, 0.25, 0.25, 0.0]))[0]
    assert heavy.tolist() == [7, 14, 14, 14, 14, 14]


def test_edges_belong_to_the_lower_bin():
    assert equal_width(np.array([[0.0, 1 / 15, 1 / 15 + 1e-9, 1.0]]))[0].tolist() == [0, 0, 1, 14]


def test_weights_are_repeats():
    confidence, right = said(60)
    times = np.random.default_rng(1).integers(0, 4, 60)
    repeated = ece(np.repeat(confidence, times), np.repeat(right, times))
    assert ece(confidence, right, times.astype(float))[0] == pytest.approx(repeated[0])


def test_resamples_are_the_error_of_each_resample():
    confidence, right = said(50)
    drawn = resampled_weights(np.zeros(50, dtype=np.int64), np.ones(50), resamples=20, seed=0)
    bins = equal_width(confidence[None])
    found = calibration_error(confidence[None], right[None], bins, drawn.astype(float))
    for draw, row in enumerate(drawn.T.astype(int)):
        again = formula(np.repeat(confidence, row), np.repeat(right, row))
        assert found[0, draw] == pytest.approx(again)


def test_chance_error_is_what_calibrated_models_show():
    generator = np.random.default_rng(3)
    confidence = generator.uniform(0.3, 1.0, size=600)
    right = generator.random((400, 600)) < confidence
    every = np.broadcast_to(confidence, right.shape)
    seen = calibration_error(every, right, equal_width(every), np.ones((600, 1))).mean()
    expected = chance_error(confidence[None], equal_width(confidence[None]), np.ones(600))[0]
    assert expected == pytest.approx(seen, rel=0.05)


def test_reflected_intervals_cover_the_true_error():
    """A model overconfident by 0.1 everywhere: its true error is 0.1."""
    generator = np.random.default_rng(4)
    drawn = resampled_weights(np.zeros(500, dtype=np.int64), np.ones(500), resamples=200, seed=1)
    held = []
    for _ in range(60):
        confidence = generator.uniform(0.6, 1.0, size=500)
        right = generator.random(500) < confidence - 0.1
        bins = equal_width(confidence[None])
        value = ece(confidence, right)
        samples = calibration_error(confidence[None], right[None], bins, drawn.astype(float))
        bounds = reflected(value, samples)
        assert bounds.low[0] <= value[0] <= bounds.high[0]
        held.append(bounds.low[0] <= 0.1 <= bounds.high[0])
    assert np.mean(held) >= 0.9


def test_reliability_against_scikit_learn():
    confidence, right = said()
    true, mean = calibration_curve(right, confidence, n_bins=BINS)
    found = reliability(confidence, right, np.ones((400, 1)))
    full = found.share > 0
    assert found.accuracy[full] == pytest.approx(true)
    assert found.confidence[full] == pytest.approx(mean)
    assert np.isnan(found.accuracy[~full]).all()
    assert found.share.sum() == pytest.approx(1.0)


def test_log_loss_and_confidence_against_other_implementations():
    generator = np.random.default_rng(5)
    logits = generator.normal(0, 3, size=(50, 4)).astype(np.float32)
    labels, weights = generator.integers(0, 4, 50), generator.uniform(0.5, 2, 50)
    shares = softmax(logits.astype(np.float64) / 2, axis=1)
    expected = sklearn_log_loss(labels, shares, sample_weight=weights, labels=range(4))
    assert log_loss(logits, labels, weights, 2.0) == pytest.approx(expected)
    assert answers(logits, 2.0).confidence == pytest.approx(shares.max(axis=1))


def test_the_temperature_that_was_planted_is_found():
    generator = np.random.default_rng(6)
    calibrated = generator.normal(0, 2, size=(20000, 3))
    labels = (calibrated + generator.gumbel(size=calibrated.shape)).argmax(axis=1)
    weights = np.ones(20000)
    assert fit_temperature(2.5 * calibrated, labels, weights) == pytest.approx(2.5, rel=0.03)


def test_the_best_temperature_has_the_least_loss():
    generator = np.random.default_rng(7)
    logits, labels = generator.normal(0, 3, size=(80, 3)), generator.integers(0, 3, 80)
    labels[:60] = logits[:60].argmax(axis=1)
    weights = generator.uniform(0.5, 2, 80)
    best = fit_temperature(logits, labels, weights)
    least = min(log_loss(logits, labels, weights, t) for t in np.geomspace(0.1, 20, 2000))
    assert log_loss(logits, labels, weights, best) <= least + 1e-9


def test_no_temperature_is_best_where_all_is_right_or_nothing_there():
    logits = np.eye(3) * 2
    assert np.isnan(fit_temperature(logits, np.arange(3), np.ones(3)))
    assert np.isnan(fit_temperature(logits[:0], np.arange(0), np.ones(0)))
