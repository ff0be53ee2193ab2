"""The certificate of the vote, against brute force over every set of changes."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from synapse_audit.guard.certificate import fewest_changes, silenced_needed, votes_needed
from synapse_audit.guard.certified import certified_curve, certified_examples
from synapse_audit.guard.greedy import silenced_enough
from synapse_audit.guard.measuring import Sample
from synapse_audit.guard.parts import Vote
from synapse_audit.guard.voting import counted, votes


def _winner(named: np.ndarray, n_classes: int) -> int:
    return int(counted(named[None], n_classes)[0].argmax())


def _fewest_votes(named: np.ndarray, n_classes: int) -> float:
    """Every set of voters, saying anything."""
    winner = _winner(named, n_classes)
    for k in range(1, len(named) + 1):
        for who in combinations(range(len(named)), k):
            for said in product(range(n_classes), repeat=k):
                changed = named.copy()
                changed[list(who)] = said
                if _winner(changed, n_classes) != winner:
                    return k
    return np.inf


@pytest.mark.parametrize(("voters", "n_classes"), [(3, 2), (4, 3), (5, 3)])
def test_arbitrary_changes_are_exactly_those_of_brute_force(voters: int, n_classes: int) -> None:
    every = np.array(list(product(range(n_classes), repeat=voters)))
    found = votes_needed(every, n_classes)
    assert_array_equal(found, [_fewest_votes(named, n_classes) for named in every])


def test_ties_go_to_the_lower_index() -> None:
    # 2 : 2 for class 0 and class 1: one vote for class 1 is enough, two are needed the other way.
    named = np.array([[0, 0, 1, 1], [1, 1, 1, 0]])
    assert_array_equal(votes_needed(named, 2), [1, 1])
    # 3 : 1 for class 0: class 1 needs a vote more than a tie.
    assert_array_equal(votes_needed(np.array([[0, 0, 0, 1]]), 2), [2])


def test_a_voter_that_nothing_turns_is_never_paid_for() -> None:
    named = np.array([[0, 0, 1]])
    prices = np.full((1, 3, 2), np.inf)
    prices[0, 1, 1] = 4.0
    assert_array_equal(fewest_changes(named, prices), [4.0])
    assert_array_equal(fewest_changes(named, np.full((1, 3, 2), np.inf)), [np.inf])


def _small(seed: int) -> tuple[Vote, np.ndarray]:
    generator = np.random.default_rng(seed)
    voter = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
    weight = generator.normal(size=(3, 9)).astype(np.float32)
    vote = Vote(voter, weight, generator.normal(size=(3, 3)).astype(np.float32) * 0.1)
    return vote, generator.normal(size=(20, 9)).astype(np.float32)


def _fewest_silenced(vote: Vote, row: np.ndarray, replacement: np.ndarray) -> float:
    """Every set of inputs."""
    winner = _winner(votes(vote, row[None])[0], 3)
    for k in range(1, len(row) + 1):
        for who in combinations(range(len(row)), k):
            changed = row.copy()
            changed[list(who)] = replacement[list(who)]
            if _winner(votes(vote, changed[None])[0], 3) != winner:
                return k
    return np.inf


@pytest.mark.parametrize("seed", range(3))
def test_silencing_is_bounded_from_both_sides(seed: int) -> None:
    vote, inputs = _small(seed)
    replacement = inputs.mean(axis=0)
    truth = np.array([_fewest_silenced(vote, row, replacement) for row in inputs])
    needed = silenced_needed(vote, inputs, replacement)
    enough = silenced_enough(vote, inputs, replacement)
    assert (needed <= truth).all()
    assert (truth <= enough).all()
    assert (needed == truth).mean() >= 0.8  # a bound that is always 1 would be no use
    assert (needed >= votes_needed(votes(vote, inputs), 3)).all()
    assert np.isfinite(truth).any()


def test_the_curve_counts_right_examples_alone() -> None:
    table = pd.DataFrame(
        {
            "change": "zero",
            "right": [True, True, True, False],
            "certified": [0.0, 1.0, 2.0, np.inf],
            "enough": [1.0, 3.0, np.inf, np.inf],
        }
    )
    found = certified_curve(table, Sample(np.ones(4), 0))
    assert_allclose(found["certified"], [0.75, 0.5, 0.25, 0])
    assert_allclose(found["attacked"], [0.75, 0.5, 0.5, 0.25])
    assert (found["certified_low"] <= found["certified"]).all()


def test_every_example_is_certified_below_what_an_attack_needs() -> None:
    vote, inputs = _small(7)
    labels = counted(votes(vote, inputs), 3).argmax(axis=1)
    found = certified_examples(vote, inputs, inputs.mean(axis=0), np.arange(20), labels)
    assert found["right"].all()
    known = found.dropna(subset=["enough"])
    assert (known["certified"] < known["enough"]).all()
    assert set(found["change"]) == {"arbitrary", "mean", "zero"}
