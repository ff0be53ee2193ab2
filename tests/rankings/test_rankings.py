from dataclasses import replace

import numpy as np
import pytest

from synapse_audit import memory, neurons
from synapse_audit.artifacts import Activations, Ranking, Splits
from synapse_audit.errors import UsageError
from synapse_audit.rankings import ACROSS, ATTRIBUTED, RANKINGS, RankingContext, rank, ranking_table

from .problems import CLASSES, PLANTED, WIDTH, N, build, context

DETERMINED = sorted(set(RANKINGS) - {"random", "paper"})
"""Rankings that belong to the neurons alone; that of the paper starts from random weights by
index, and on a few dozen examples hardly leaves them."""


@pytest.fixture(scope="module")
def plain() -> RankingContext:
    return context()


@pytest.mark.parametrize("method", RANKINGS)
def test_contract(method: str, plain: RankingContext) -> None:
    found = rank(method, plain)
    assert found.method == method
    assert set(found.scores) == {None, *CLASSES}
    for by_layer in found.scores.values():
        assert [len(scores) for scores in by_layer] == [12, 12, 12]
        assert all(np.isfinite(scores).all() and (scores >= 0).all() for scores in by_layer)


@pytest.mark.parametrize("method", DETERMINED)
def test_equivariant_under_a_permutation_of_neurons(method: str, plain: RankingContext) -> None:
    # `random` belongs to the index, not to the neuron: its scores stay where they are.
    order = np.random.default_rng(5).permutation(12)
    before, after = rank(method, plain), rank(method, context(order))
    for name, by_layer in before.scores.items():
        np.testing.assert_allclose(after.scores[name][1], by_layer[1][order], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(after.scores[name][2], by_layer[2], rtol=1e-9)


@pytest.mark.parametrize("method", DETERMINED)
def test_the_planted_neuron_comes_first(method: str, plain: RankingContext) -> None:
    table = ranking_table([rank(method, plain)])
    row = table[(table["layer"] == 1) & (table["rank"] == 1) & table["ranked_for"].isna()]
    assert row["neuron"].item() == PLANTED


def test_probe_scores_are_the_absolute_centred_weights(plain: RankingContext) -> None:
    weights = plain.probes[1].weights
    found = rank("probe", plain)
    np.testing.assert_array_equal(found.scores["b"][1], np.abs(weights[1]))
    np.testing.assert_allclose(found.scores[None][1], np.abs(weights).sum(axis=0))


def test_probeless_by_hand(plain: RankingContext) -> None:
    # Neuron 0: class means 0, 1, 2 with deviation sqrt(2/3); neuron 1 never varies.
    values = np.array([[0, 5], [0, 5], [1, 5], [1, 5], [2, 5], [2, 5]], dtype=np.float32)
    labels, rows = np.array([0, 0, 1, 1, 2, 2]), np.arange(6)
    small = replace(
        plain,
        activations=Activations((values,), values),
        labels=labels,
        splits=Splits(rows, rows[:0], rows[:0]),
        weights=np.ones(6),
    )
    found = rank("probeless", small)
    unit = np.sqrt(3 / 2)
    np.testing.assert_allclose(found.scores[None][0], [4 * unit, 0])
    np.testing.assert_allclose(found.scores["a"][0], [3 * unit, 0])
    np.testing.assert_allclose(found.scores["b"][0], [2 * unit, 0])
    np.testing.assert_allclose(found.scores["c"][0], [3 * unit, 0])


@pytest.mark.parametrize("method", DETERMINED)
def test_only_those_listed_compare_across_layers(method: str, plain: RankingContext) -> None:
    assert rank(method, plain).across == (method in ACROSS)
    assert ACROSS == ("paper",), "which tests/rankings/test_paper.py ranks by"


@pytest.mark.parametrize("method", RANKINGS)
def test_a_class_without_fit_examples_is_not_ranked_for(method: str, plain: RankingContext) -> None:
    labels = np.where(plain.labels == 2, 1, plain.labels)
    filled = tuple(np.ones((len(labels), 12), dtype=np.float32) for _ in range(3))
    found = rank(method, build(plain.activations, labels, plain.splits, filled))
    assert set(found.scores) == {None, "a", "b"}
    assert all(np.isfinite(scores).all() for scores in found.scores[None])


@pytest.mark.parametrize("method", RANKINGS)
def test_only_fit_is_read(method: str, plain: RankingContext) -> None:
    labels = plain.labels.copy()
    labels[plain.splits.evaluate] = 0
    layers = tuple(layer.copy() for layer in plain.activations.layers)
    for layer in layers:
        layer[plain.splits.evaluate] += 100
    other = replace(plain, labels=labels, activations=Activations(layers, layers[-1]))
    for name, by_layer in rank(method, plain).scores.items():
        for mine, theirs in zip(by_layer, rank(method, other).scores[name], strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_random_is_keyed_by_the_seed(plain: RankingContext) -> None:
    first, again = rank("random", plain), rank("random", plain)
    other = rank("random", replace(plain, seed=1))
    np.testing.assert_array_equal(first.scores["a"][1], again.scores["a"][1])
    assert not np.array_equal(first.scores["a"][1], other.scores["a"][1])
    assert not np.array_equal(first.scores["a"][1], first.scores["b"][1])


def test_table_ranks_ties_as_the_selections_do() -> None:
    scores = np.array([1.0, 3.0, 3.0, 0.0])
    table = ranking_table([Ranking("by hand", {None: (scores, scores[::-1])})])
    assert list(table) == ["method", "ranked_for", "layer", "neuron", "score", "rank", "site"]
    assert set(table["site"]) == {"block_output"}
    assert table["rank"].tolist() == [3, 1, 2, 4, 4, 1, 2, 3]
    chosen = neurons.top((scores,), 0.25, [0]).by_layer[0].tolist()
    assert chosen == table[(table["layer"] == 0) & (table["rank"] == 1)]["neuron"].tolist()


def test_an_unknown_method_names_the_choices(plain: RankingContext) -> None:
    with pytest.raises(UsageError, match="did you mean 'probe'"):
        rank("prob", plain)


@pytest.mark.parametrize("method", ATTRIBUTED)
def test_without_attributions_gradient_rankings_say_so(method: str, plain: RankingContext) -> None:
    with pytest.raises(UsageError, match=f"'{method}' given without attributions"):
        rank(method, replace(plain, attributions=None))


@pytest.mark.parametrize("name", ["probeless", "iou", "mutual_information"])
def test_neurons_looked_at_a_few_at_a_time_score_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rank(name, context()).scores
    monkeypatch.setattr(memory, "NUMBERS", 5 * N // 3)  # five of twelve neurons
    found = rank(name, context()).scores
    assert found.keys() == whole.keys() == {None, *CLASSES}
    for key, layers in found.items():
        for layer, before in zip(layers, whole[key], strict=True):
            assert len(layer) == WIDTH
            np.testing.assert_allclose(layer, before, rtol=1e-12, atol=1e-15)
