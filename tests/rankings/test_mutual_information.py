"""Mutual information against scikit-learn's, on the same bins."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mutual_info_score

from synapse_audit.artifacts import Activations
from synapse_audit.rankings import rank
from synapse_audit.rankings.mutual_information import quantile_bins

from .problems import CLASSES, context


def test_scores_are_those_of_scikit_learn() -> None:
    plain = context()
    # scikit-learn takes whole counts only.
    weights = np.random.default_rng(3).integers(1, 6, size=len(plain.labels)).astype(np.float64)
    setting = replace(plain, weights=weights)
    found, fit = rank("mutual_information", setting), plain.splits.fit
    for neuron in range(12):
        bins = pd.qcut(plain.activations.layers[1][fit, neuron], 10, labels=False)
        for name, labels in ((None, plain.fit_labels), ("b", plain.fit_labels == 1)):
            table = pd.crosstab(bins, labels, values=weights[fit], aggfunc="sum").fillna(0)
            wanted = mutual_info_score(None, None, contingency=table.to_numpy())
            assert found.scores[name][1][neuron] == pytest.approx(wanted, abs=1e-9)


def test_bins_hold_equal_shares_and_ties_stay_together() -> None:
    values = np.column_stack([np.arange(100.0), np.repeat([1.0, 2.0], 50), np.full(100, 5.0)])
    bins = quantile_bins(values)
    assert np.bincount(bins[:, 0]).tolist() == [10] * 10
    assert len(set(bins[:50, 1])) == len(set(bins[50:, 1])) == 1
    assert set(bins[:, 2]) == {0}


def test_by_hand() -> None:
    # Two values that are the class itself carry its whole entropy; a constant carries nothing.
    plain = context()
    layers = tuple(layer.copy() for layer in plain.activations.layers)
    layers[0][:, 0], layers[0][:, 1] = plain.labels, 1.0
    found = rank("mutual_information", replace(plain, activations=Activations(layers, layers[0])))
    shares = np.bincount(plain.fit_labels) / len(plain.fit_labels)
    assert found.scores[None][0][0] == pytest.approx(-(shares * np.log(shares)).sum())
    assert found.scores[None][0][1] == 0.0
    assert found.scores["a"][0][0] == pytest.approx(
        -(shares[0] * np.log(shares[0]) + (1 - shares[0]) * np.log(1 - shares[0]))
    )
    assert set(found.scores) == {None, *CLASSES}


def test_a_monotone_rewrite_changes_nothing() -> None:
    plain = context()
    layers = tuple(np.exp(layer) for layer in plain.activations.layers)
    other = replace(plain, activations=Activations(layers, layers[-1]))
    one, two = (rank("mutual_information", c).scores[None] for c in (plain, other))
    np.testing.assert_allclose(one[1], two[1])
