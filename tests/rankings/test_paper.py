"""The ranking of the paper's own probe: its weights, over all blocks at once."""

from dataclasses import replace

import numpy as np
import pytest

from synapse_audit.artifacts import GLOBAL, Activations, LabelledData, Splits
from synapse_audit.probes import fit_paper_probes
from synapse_audit.probes.elastic import solve_elastic
from synapse_audit.rankings import RankingContext, rank

from .problems import CLASSES, context


def test_scores_are_the_published_probe_s_weights() -> None:
    plain = context()
    n = len(plain.labels)
    data = LabelledData(
        tuple(map(str, range(n))),
        plain.labels,
        CLASSES,
        plain.weights,
        np.zeros(n, dtype=np.int64),
        None,
        "",
        "made up",
        n,
        0,
    )
    probe, _ = fit_paper_probes(plain.activations, data, plain.splits, seed=0)
    found = rank("paper", plain)
    assert found.across
    together = np.concatenate(found.scores[GLOBAL][1:])
    np.testing.assert_allclose(together, np.abs(probe.weights).sum(axis=0), rtol=1e-6)
    own = np.concatenate(found.scores["b"][1:])
    np.testing.assert_allclose(own, np.abs(probe.weights[1]), rtol=1e-6)
    assert (found.scores[GLOBAL][0] == 0).all(), "embeddings are not read"


def test_the_seed_decides() -> None:
    plain = context()
    first, other = rank("paper", plain), rank("paper", replace(plain, seed=1))
    assert not np.array_equal(first.scores["a"][1], other.scores["a"][1])


@pytest.mark.parametrize("planted", [0, 7])
def test_with_enough_examples_the_planted_neuron_leads_all_layers(planted: int) -> None:
    """Three thousand examples are a thousand steps: the random start no longer decides."""
    generator = np.random.default_rng(planted)
    labels = generator.integers(0, 3, 3000)
    layers = [generator.normal(size=(3000, 12)).astype(np.float32) for _ in range(3)]
    layers[1][:, planted] = 2.0 * labels + 0.2 * generator.normal(size=3000)
    rows = np.arange(3000)
    many = RankingContext(
        Activations(tuple(layers), layers[2]),
        labels,
        CLASSES,
        Splits(rows, rows[:0], rows[:0]),
        (),
        0,
        np.ones(3000),
    )
    scores = rank("paper", many).scores[GLOBAL]
    assert scores[1].argmax() == planted
    assert scores[1].max() > scores[2].max()


def test_the_minimum_itself_is_equivariant() -> None:
    plain = context()
    rows = np.concatenate(plain.activations.layers[1:], axis=1)[plain.splits.fit]
    targets = np.eye(3)[plain.labels[plain.splits.fit]]
    order = np.random.default_rng(5).permutation(rows.shape[1])
    before = solve_elastic(rows, targets, penalty=0.01, tolerance=1e-5).coefficients
    after = solve_elastic(rows[:, order], targets, penalty=0.01, tolerance=1e-5).coefficients
    np.testing.assert_allclose(after.weights, before.weights[:, order], atol=1e-3)
