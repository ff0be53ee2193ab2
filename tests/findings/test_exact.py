"""Exact examples stand for as many as they were drawn for, and every class for all of its own."""

from dataclasses import replace

import numpy as np
import pytest

from synapse_audit.artifacts import Evidence
from synapse_audit.effects.exact_subsample import PoststratifiedWeights, exact_examples, samples

from .evidence import make_evidence, silence


def test_weights_by_hand() -> None:
    """Class 0 weighs 3: one of its examples stands for itself, one for four, one is not known."""
    raised = PoststratifiedWeights.of(
        np.array([0, 0, 0, 1]), np.array([[1.0, 2.0], [1, 0], [1, 1], [1, 5]])
    )
    found = raised.exact(np.array([1, 4, 0, 1], dtype=np.float32))
    assert found[:, 0] == pytest.approx([3 / 5, 12 / 5, 1])
    assert found[:, 1] == pytest.approx([3, 0, 5])


def test_everybody_exact_keeps_the_weights() -> None:
    weights = np.random.default_rng(0).uniform(0.5, 2, (6, 3))
    raised = PoststratifiedWeights.of(np.array([0, 0, 1, 1, 1, 2]), weights)
    assert raised.exact(np.ones(6, dtype=np.float32)) == pytest.approx(weights)


def test_a_class_without_an_exact_example_is_left_out() -> None:
    raised = PoststratifiedWeights.of(np.array([0, 0, 1]), np.ones((3, 1)))
    assert raised.exact(np.array([2, 0, 0], dtype=np.float32)).tolist() == [[2.0]]


def _two_phase_evidence() -> Evidence:
    """Four cells: exact throughout, on all but two examples, on three of eight, on a sample."""
    labels, exact = [0, 0, 0, 1, 1, 1, 2, 2], np.ones((4, 8), dtype=bool)
    exact[1, [2, 5]] = False
    exact[2, [0, 1, 2, 4, 6]] = False
    exact[3, [1, 4]] = False
    trials = [(silence("top", share), labels) for share in (0.1, 0.2, 0.3, 0.4)]
    weights = np.array([1, 2, 1, 0.5, 1, 1, 3, 1])
    found = make_evidence(
        labels, trials, weights=weights, stream=[(labels, list(known)) for known in exact]
    )
    direct = found.outcomes.direct
    assert direct is not None
    # The last cell ran on a sample alone: nothing is known of its stream.
    sampled = replace(
        direct,
        disagreement=np.array([0, 0, 0, np.nan]),
        sample=np.array([-1, -1, -1, 0]),
        strata=np.array([labels], dtype=np.int32),
        inclusion=np.where(exact[3], 1.5, 0)[None],
    )
    return replace(found, outcomes=replace(found.outcomes, direct=sampled))


def test_many_actions_at_once_have_the_weights_that_each_has_alone() -> None:
    evidence = _two_phase_evidence()
    actions = list(evidence.outcomes.actions)
    alone = {}
    for sample in samples(evidence, actions):
        for place in sample.places:
            alone[int(place)] = dict(zip(sample.known, sample.weights[:, 0], strict=True))
    assert sorted(map(len, alone.values())) == [3, 6, 6, 8]
    found = {}
    for some in exact_examples(evidence, actions):
        for row, place in enumerate(some.places):
            mine = some.met[row]
            assert mine.sum() == some.n[row]
            assert not some.weights[row][~mine].any()
            found[int(place)] = dict(
                zip(some.known[row][mine], some.weights[row][mine], strict=True)
            )
    assert found.keys() == alone.keys()
    for place, weights in alone.items():
        assert found[place] == pytest.approx(weights, abs=1e-12)
