"""Stability of rankings over resamples of ``fit``."""

from dataclasses import replace

import numpy as np
import pytest

from synapse_audit.artifacts import Activations
from synapse_audit.rankings import RANKINGS, rank
from synapse_audit.rankings.stability import stability
from synapse_audit.tables.run import STABILITY

from .problems import context

METHODS = sorted(set(RANKINGS) - {"random", "paper"})
"""On so few examples the paper's ranking is its random start."""


def test_a_planted_neuron_is_found_in_every_resample_and_noise_is_not() -> None:
    setting = context()
    table = stability(setting, {m: rank(m, setting) for m in (*METHODS, "random")}, resamples=12)
    assert list(table) == STABILITY.names
    assert sorted(set(table["method"])) == METHODS
    assert (table["k"] == 1).all()
    assert (table["resamples"] == 12).all()
    assert table["chance"].to_numpy() == pytest.approx(1 / 12)
    planted = table[table["layer"] == 1]
    assert (planted["overlap"] == 1.0).all()
    noise = table[table["layer"] != 1]
    assert noise["overlap"].mean() < 0.8
    assert (table["overlap_low"] <= table["overlap"]).all()
    assert (table["overlap"] <= table["overlap_high"]).all()


def test_it_is_keyed_by_the_seed() -> None:
    setting = context()
    rankings = {"probeless": rank("probeless", setting)}
    one, two = (stability(setting, rankings, resamples=5) for _ in range(2))
    other = stability(replace(setting, seed=1), rankings, resamples=5)
    assert one.equals(two)
    assert not one.equals(other)


def test_whole_groups_are_resampled() -> None:
    # Two groups, and in every group a neuron of its own: what leads depends on the draw.
    setting = context()
    labels = setting.labels
    groups = np.arange(len(labels)) // 3 % 2
    layer = np.zeros((len(labels), 12), dtype=np.float32)
    layer[:, 0] = np.where(groups == 0, labels, 0)
    layer[:, 1] = np.where(groups == 1, labels, 0)
    held = replace(setting, activations=Activations((layer,), layer), probes=())
    table = stability(held, {"probeless": rank("probeless", held)}, resamples=30, groups=groups)
    assert 0.0 < table["overlap"].item() < 1.0


def test_resamples_that_lose_all_but_one_class_are_passed_over() -> None:
    setting = context()
    rankings = {"probeless": rank("probeless", setting)}
    table = stability(setting, rankings, resamples=20, groups=setting.labels)
    assert 0 < table["resamples"].iloc[0] < 20


def test_a_layer_that_never_varies_has_no_stability() -> None:
    setting = context()
    layers = (np.ones((len(setting.labels), 12), dtype=np.float32), *setting.activations.layers[1:])
    held = replace(setting, activations=Activations(layers, layers[-1]))
    table = stability(held, {"probeless": rank("probeless", held)}, resamples=3)
    assert table["overlap"].isna().tolist() == [True, False, False]
    assert table["resamples"].tolist() == [0, 3, 3]
