"""Neuron sets obey set algebra; selections and draws are what their names say."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_audit.errors import UsageError
from synapse_audit.neurons import (
    NeuronSet,
    bottom,
    bottom_across,
    count,
    exclusive,
    mass_across,
    matched_draw,
    random_draw,
    top,
    top_across,
)

WIDTHS = [7, 5, 9]
Pairs = set[tuple[int, int]]

MAPPINGS = st.dictionaries(st.integers(0, 2), st.lists(st.integers(0, 4), max_size=8), max_size=3)
SCORES = st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.5]), min_size=1, max_size=12).map(np.array)


def _pairs(chosen: NeuronSet) -> Pairs:
    return {(layer, i) for layer, ids in chosen.members for i in ids}


def _given(mapping: Mapping[int, list[int]]) -> Pairs:
    return {(layer, i) for layer, ids in mapping.items() for i in ids}


@given(MAPPINGS, MAPPINGS)
def test_algebra_is_that_of_sets_of_pairs(a: dict[int, list[int]], b: dict[int, list[int]]) -> None:
    one, two = NeuronSet.of(a), NeuronSet.of(b)
    assert _pairs(one) == _given(a)
    assert len(one) == len(_given(a)) == sum(one.counts.values())
    assert _pairs(one | two) == _given(a) | _given(b)
    assert _pairs(one - two) == _given(a) - _given(b)
    assert _pairs(one & two) == _given(a) & _given(b)


@given(MAPPINGS, MAPPINGS)
def test_equal_sets_are_equal_in_every_way(
    a: dict[int, list[int]], b: dict[int, list[int]]
) -> None:
    one, two = NeuronSet.of(a), NeuronSet.of(b)
    same = _given(a) == _given(b)
    assert (one == two) is same
    assert (one.digest() == two.digest()) is same
    if same:
        assert hash(one) == hash(two)


@given(MAPPINGS)
def test_a_set_and_its_complement_make_the_layers_whole(a: dict[int, list[int]]) -> None:
    chosen = NeuronSet.of(a)
    rest = chosen.complement(WIDTHS, range(3))
    assert not len(chosen & rest)
    assert (chosen | rest).counts == dict(enumerate(WIDTHS))
    assert rest.complement(WIDTHS, range(3)) == chosen


def test_members_are_sorted_and_empty_layers_absent() -> None:
    chosen = NeuronSet.of({2: [3, 1, 3], 0: np.array([4]), 1: []})
    assert chosen.members == ((0, (4,)), (2, (1, 3)))
    assert chosen.layers == (0, 2)
    assert repr(chosen) == "NeuronSet({0: [4], 2: [1, 3]})"
    assert {m: ids.tolist() for m, ids in chosen.by_layer.items()} == {0: [4], 2: [1, 3]}


@pytest.mark.parametrize(
    ("fraction", "width", "expected"), [(0.0, 768, 0), (1.0, 768, 768), (0.1, 384, 38), (0.3, 5, 2)]
)
def test_count(fraction: float, width: int, expected: int) -> None:
    assert count(fraction, width) == expected


@given(st.floats(0, 1), st.integers(0, 1000))
def test_count_is_within_half_a_neuron_of_the_fraction(fraction: float, width: int) -> None:
    k = count(fraction, width)
    assert 0 <= k <= width
    assert abs(k - fraction * width) <= 0.5


@pytest.mark.parametrize("fraction", [-0.01, 1.01, float("nan"), float("inf")])
def test_fractions_outside_0_to_1_are_refused(fraction: float) -> None:
    with pytest.raises(UsageError, match="expected a number from 0 to 1"):
        count(fraction, 10)


def test_top_and_bottom_by_hand() -> None:
    scores = [np.array([9.0]), np.array([1.0, 4.0, 4.0, 0.0, 3.0])]
    assert top(scores, 0.4, [1]) == NeuronSet.of({1: [1, 2]})
    assert top(scores, 0.2, [1]) == NeuronSet.of({1: [1]}), "ties go to the lower index"
    assert bottom(scores, 0.4, [1]) == NeuronSet.of({1: [0, 3]})
    assert top(scores, 0.0, [0, 1]) == NeuronSet.of({})


@given(SCORES, st.floats(0, 1), st.floats(0, 1))
def test_top_is_nested_and_holds_the_highest(scores: np.ndarray, a: float, b: float) -> None:
    small, large = (top([scores], f, [0]) for f in sorted((a, b)))
    assert not len(small - large)
    inside = scores[large.by_layer.get(0, np.arange(0))]
    outside = np.delete(scores, large.by_layer.get(0, np.arange(0)))
    if len(inside) and len(outside):
        assert inside.min() >= outside.max()


@given(SCORES, st.floats(0, 0.5))
def test_top_and_bottom_do_not_overlap_below_one_half(scores: np.ndarray, f: float) -> None:
    high, low = top([scores], f, [0]), bottom([scores], f, [0])
    if 2 * count(f, len(scores)) <= len(scores):
        assert not len(high & low)


def test_exclusive_leaves_out_what_others_share() -> None:
    scores = {"a": [np.array([3.0, 2.0, 1.0, 0.0])], "b": [np.array([3.0, 0.0, 2.0, 1.0])]}
    assert exclusive(scores, "a", 0.5, [0]) == NeuronSet.of({0: [1]})
    assert exclusive(scores, "b", 0.5, iter([0])) == NeuronSet.of({0: [2]})


def test_across_by_hand() -> None:
    scores = [np.array([9.0, 9.0]), np.array([1.0, 4.0]), np.array([4.0, 0.0, 3.0])]
    assert top_across(scores, 0.4, [1, 2]) == NeuronSet.of({1: [1], 2: [0]})
    assert top_across(scores, 0.2, [1, 2]) == NeuronSet.of({1: [1]}), "ties: the lower layer"
    assert bottom_across(scores, 0.4, iter([1, 2])) == NeuronSet.of({1: [0], 2: [1]})
    assert top_across(scores, 0.0, [1, 2]) == NeuronSet.of({})
    assert len(top_across(scores, 0.5, [1, 2])) == count(0.5, 5)


LAYERED = st.lists(SCORES, min_size=1, max_size=3)


@given(LAYERED, st.floats(0, 1))
def test_across_one_layer_is_within_it(scores: list[np.ndarray], f: float) -> None:
    assert top_across(scores, f, [0]) == top(scores, f, [0])
    assert bottom_across(scores, f, [0]) == bottom(scores, f, [0])


@given(LAYERED, st.floats(0, 1))
def test_across_takes_the_highest_of_all(scores: list[np.ndarray], f: float) -> None:
    chosen = top_across(scores, f, range(len(scores)))
    pairs = [(m, i) for m, layer in enumerate(scores) for i in range(len(layer))]
    # Python's sort is stable, as ties demand.
    best = sorted(pairs, key=lambda pair: -scores[pair[0]][pair[1]])
    assert _pairs(chosen) == set(best[: count(f, len(pairs))])


@given(LAYERED, st.floats(0, 1))
def test_mass_is_covered_by_the_fewest(scores: list[np.ndarray], share: float) -> None:
    chosen = mass_across(scores, share, range(len(scores)))
    flat = sorted((float(x) for layer in scores for x in layer), reverse=True)
    held = sum(float(scores[m][i]) for m, i in _pairs(chosen))
    assert held >= share * sum(flat) * (1 - 1e-9)
    if len(chosen) > 1:
        assert sum(flat[: len(chosen) - 1]) <= share * sum(flat) * (1 + 1e-9)


def test_a_share_of_mass_is_one() -> None:
    with pytest.raises(UsageError, match=r"share of mass 10\.0"):
        mass_across([np.ones(3)], 10.0, [0])


def test_exclusive_by_any_selection() -> None:
    scores = {
        "a": [np.zeros(1), np.array([5.0, 1.0, 1.0]), np.array([3.0])],
        "b": [np.zeros(1), np.array([0.0, 1.0, 1.0]), np.array([8.0])],
    }
    assert exclusive(scores, "a", 0.5, [1, 2], choose=top_across) == NeuronSet.of({1: [0]})
    assert exclusive(scores, "a", 0.8, [1, 2], choose=mass_across) == NeuronSet.of({1: [0]})
    assert exclusive(scores, "b", 0.8, [1, 2], choose=mass_across) == NeuronSet.of({})


@given(st.integers(0, 50), st.integers(0, 5), st.integers(0, 9), st.integers(0, 9))
def test_random_draws_are_nested_and_repeatable(seed: int, draw: int, a: int, b: int) -> None:
    small, large = (random_draw(WIDTHS, {2: k}, draw, seed) for k in sorted((a, b)))
    assert not len(small - large)
    assert small == random_draw(WIDTHS, {2: min(a, b)}, draw, seed)
    assert len(large) == max(a, b)


def test_random_draws_differ_between_draws_seeds_and_layers() -> None:
    wide = [400, 400]
    base = random_draw(wide, {0: 40, 1: 40}, 0, 0)
    assert base != random_draw(wide, {0: 40, 1: 40}, 1, 0)
    assert base != random_draw(wide, {0: 40, 1: 40}, 0, 1)
    assert base.by_layer[0].tolist() != base.by_layer[1].tolist()
    assert random_draw(wide, {0: 40}, 0, 0).by_layer[0].tolist() == base.by_layer[0].tolist()


@pytest.mark.parametrize("draw", range(4))
def test_a_matched_control_has_the_same_count_in_every_tenth_of_norm(draw: int) -> None:
    norms = [np.random.default_rng(layer).gamma(2.0, size=50) for layer in range(2)]
    chosen = top(norms, 0.3, [0, 1]) | NeuronSet.of({0: [0, 1, 2]})
    random_control = matched_draw(norms, chosen, draw, seed=3)
    assert random_control.counts == chosen.counts
    for layer in (0, 1):
        strata = norms[layer].argsort().reshape(10, 5)
        for stratum in strata:
            held = [np.isin(stratum, s.by_layer[layer]).sum() for s in (chosen, random_control)]
            assert held[0] == held[1]


def test_matched_controls_differ_from_the_set_and_from_each_other() -> None:
    norms = [np.linspace(1, 2, 100)]
    chosen = NeuronSet.of({0: range(0, 100, 4)})
    random_controls = [matched_draw(norms, chosen, draw, 0) for draw in range(3)]
    assert len({chosen, *random_controls}) == 4
