"""Membership attackers: folds, what they find where there is something, and nothing else."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from synapse_audit.probes.membership import (
    BUCKETS,
    FOLDS,
    STRENGTH,
    cross_fitted,
    folds_of,
    hashed_words,
    telling_neurons,
)

N = 200
MEMBER = np.arange(N) % 2 == 1
LABELS = (np.arange(N) // 2) % 3


def _states(gap: float) -> np.ndarray:
    """Five neurons; members are ``gap`` standard deviations higher in neuron 3."""
    states = np.random.default_rng(0).normal(size=(N, 5)).astype(np.float32)
    states[:, 3] += gap * MEMBER
    states[:, 4] = 7.0  # a constant
    return states


def test_folds_hold_as_many_of_every_class_and_side() -> None:
    fold = folds_of(MEMBER, LABELS, 0)
    for label in range(3):
        for side in (True, False):
            sizes = np.bincount(fold[(label == LABELS) & (side == MEMBER)], minlength=FOLDS)
            assert sizes.max() - sizes.min() <= 1
    assert np.ptp(np.bincount(fold)) <= 6


def test_a_row_is_ranked_by_an_attacker_that_never_saw_it() -> None:
    states, fold = _states(1.0), folds_of(MEMBER, LABELS, 0)
    ranks = cross_fitted(states, MEMBER, fold)
    for number in range(FOLDS):
        here = fold == number
        scaler = StandardScaler().fit(states[~here])
        model = LogisticRegression(C=STRENGTH).fit(scaler.transform(states[~here]), MEMBER[~here])
        score = model.decision_function(scaler.transform(states[here]))
        mine = roc_auc_score(MEMBER[here], ranks[here])
        assert mine == pytest.approx(roc_auc_score(MEMBER[here], score), abs=0.02)
        assert sorted(ranks[here]) == pytest.approx((np.arange(here.sum()) + 0.5) / here.sum())
    same = cross_fitted(np.full((N, 2), 7.0, np.float32), MEMBER, fold)
    assert (same == 0.5).all()  # nothing to tell by: all are tied, whatever their fold


def test_the_neuron_that_tells_is_named_and_a_constant_never() -> None:
    scores = telling_neurons(_states(2.0), MEMBER)
    assert scores.argmax() == 3 and scores[4] == 0


def test_a_stale_attacker_is_one_that_was_fitted_before() -> None:
    fold = folds_of(MEMBER, LABELS, 0)
    clean, silenced = _states(3.0), _states(3.0)
    silenced[:, 3] = 0.0
    silenced[:, 2] -= 3.0 * MEMBER  # what is silenced in one neuron shows up in another
    fresh = cross_fitted(silenced, MEMBER, fold)
    stale = cross_fitted(silenced, MEMBER, fold, fitted_on=clean)
    assert roc_auc_score(MEMBER, fresh) > 0.95
    assert roc_auc_score(MEMBER, stale) < 0.75


def test_words_are_counted_without_a_model() -> None:
    one, same, other = hashed_words(["a b a", "A a B", ("c", "d")])
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    assert len(one) == BUCKETS + 1
    assert np.expm1(one[-1]) == pytest.approx(3) and np.expm1(other[-1]) == pytest.approx(2)
    assert np.expm1(one[:-1]).sum() == pytest.approx(3)
