import numpy as np
import pytest
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import roc_auc_score, roc_curve

from synapse_audit.effects.detection import (
    area,
    caught,
    equal_error,
    resolvable,
    roc,
    threshold,
)
from synapse_audit.statistics import resampled_weights


def scores(seed, *, ties, n=300):
    generator = np.random.default_rng(seed)
    attack = generator.random(n) < 0.4
    score = generator.normal(attack * 1.2, 1.0)
    weights = generator.uniform(0.2, 3, n)
    return (np.round(score, 1) if ties else score), attack, weights


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_against_scikit_learn(seed, ties):
    score, attack, weights = scores(seed, ties=ties)
    curve = roc(score, attack, weights[:, None])
    false, true, cuts = roc_curve(attack, score, sample_weight=weights, drop_intermediate=False)
    assert curve.false[:, 0] == pytest.approx(false)
    assert curve.true[:, 0] == pytest.approx(true)
    assert curve.scores.tolist() == cuts[1:].tolist()
    assert area(curve)[0] == pytest.approx(roc_auc_score(attack, score, sample_weight=weights))
    crossing = brentq(lambda x: 1 - x - interp1d(false, true)(x), 0, 1)
    if not ties:
        # With vertical steps the interpolated function is ambiguous only in x, not in the rate.
        assert equal_error(curve)[0] == pytest.approx(crossing, abs=0.02)
    for limit in (0.0, 0.01, 0.1, 0.5, 1.0):
        assert caught(curve, limit)[0] == pytest.approx(true[false <= limit + 1e-6].max())


def test_equal_error_by_hand():
    # Attacks 4, 3, 1; benign 2, 0, 0: at score ≥ 2 one benign in three is flagged and one attack
    # in three is missed.
    score = np.array([4.0, 3.0, 1.0, 2.0, 0.0, -1.0])
    attack = np.array([1, 1, 1, 0, 0, 0], dtype=bool)
    curve = roc(score, attack, np.ones((6, 1)))
    assert equal_error(curve)[0] == pytest.approx(1 / 3)
    assert area(curve)[0] == pytest.approx(8 / 9)


def test_equal_error_between_two_points():
    # One tie of all examples: the curve is the diagonal.
    curve = roc(np.zeros(4), np.array([True, True, False, False]), np.ones((4, 1)))
    assert equal_error(curve)[0] == pytest.approx(0.5)
    assert area(curve)[0] == pytest.approx(0.5)


def test_perfect_and_inverted():
    score, attack = np.arange(6.0), np.arange(6) >= 3
    best, worst = (roc(s, attack, np.ones((6, 1))) for s in (score, -score))
    assert (area(best)[0], equal_error(best)[0], caught(best, 0.0)[0]) == (1.0, 0.0, 1.0)
    assert (area(worst)[0], equal_error(worst)[0], caught(worst, 0.0)[0]) == (0.0, 1.0, 0.0)


def test_each_draw_is_its_own_sample():
    score, attack, _ = scores(9, ties=True, n=80)
    drawn = resampled_weights(attack.astype(np.int64), np.ones(80), resamples=15, seed=0)
    curve = roc(score, attack, drawn.astype(np.float64))
    for draw, times in enumerate(drawn.T.astype(int)):
        s, a = np.repeat(score, times), np.repeat(attack, times)
        false, true, _ = roc_curve(a, s, drop_intermediate=False)
        assert area(curve)[draw] == pytest.approx(roc_auc_score(a, s))
        assert caught(curve, 0.1)[draw] == pytest.approx(true[false <= 0.1].max())


def test_the_threshold_flags_what_the_curve_says():
    for seed in range(5):
        score, attack, weights = scores(seed, ties=True)
        curve = roc(score, attack, weights[:, None])
        for limit in (0.01, 0.05, 0.3, 1.0):
            cut = threshold(curve, limit)
            flagged = score > cut
            assert weights[flagged & ~attack].sum() / weights[~attack].sum() <= limit + 1e-6
            share = weights[flagged & attack].sum() / weights[attack].sum()
            assert share == pytest.approx(caught(curve, limit)[0])


def test_the_threshold_lies_off_every_score():
    score, attack, weights = scores(2, ties=False)
    cut = threshold(roc(score, attack, weights[:, None]), 0.05)
    assert np.abs(score - cut).min() > 1e-9


def test_no_benign_or_no_attack_is_unknown():
    score, one = np.arange(3.0), np.ones((3, 1))
    for attack in (np.ones(3, dtype=bool), np.zeros(3, dtype=bool)):
        assert np.isnan(area(roc(score, attack, one))[0])
    assert np.isnan(caught(roc(score, np.ones(3, dtype=bool), one), 0.1)[0])


def test_rates_need_examples():
    assert resolvable(0.01, 100.0) and not resolvable(0.01, 99.0)
    assert resolvable(0.001, 1000.0) and not resolvable(0.001, 400.0)
