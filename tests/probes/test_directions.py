"""Directions of the classes: what removing them leaves, against arithmetic and scikit-learn."""

import numpy as np
import pytest
from sklearn.covariance import oas
from sklearn.linear_model import LogisticRegression

from synapse_audit.artifacts import Erasure
from synapse_audit.probes.directions import (
    Concept,
    concept,
    directions_of_variance,
    leace,
    mean_difference,
    probe_directions,
    random_directions,
    removed_variance,
    shrunk,
)

WIDTH, CLASSES = 30, 4
RANK = CLASSES - 1


def problem(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States with classes that differ in mean, far from 0, correlated; labels; weights."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % CLASSES
    mixing = generator.normal(size=(WIDTH, WIDTH))
    states = generator.normal(size=(n, WIDTH)) @ mixing
    states += 3 * generator.normal(size=(CLASSES, WIDTH))[labels] + 8
    weights = np.array([0.5, 1.0, 1.0, 2.0])[labels]
    return states.astype(np.float32), labels, weights


def given(n: int = 400) -> tuple[Concept, np.ndarray, np.ndarray, np.ndarray]:
    states, labels, weights = problem(n)
    found = concept(states, labels, weights)
    assert found is not None
    return found, states, labels, weights


def class_means(states: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.stack(
        [
            np.average(states[labels == c], axis=0, weights=weights[labels == c])
            for c in range(CLASSES)
        ]
    )


@pytest.mark.parametrize("n", [400, 20], ids=["more examples than neurons", "fewer"])
@pytest.mark.parametrize("method", [leace, mean_difference])
def test_class_means_coincide_and_a_probe_falls_to_chance(method, n: int) -> None:
    found, states, labels, weights = given(n)
    erasure: Erasure = method(found)
    assert erasure.rank == RANK
    left = states - erasure.removed(states)
    before = np.ptp(class_means(states, labels, weights), axis=0).max()
    apart = np.ptp(class_means(left, labels, weights), axis=0).max()
    assert before > 5 and apart < 1e-4, "float32 of states near 8"
    left = left - found.spread.centre  # centred, the solver finds the optimum in a few steps
    probe = LogisticRegression(tol=1e-8, max_iter=2000).fit(left, labels, sample_weight=weights)
    # Guarded: no slope lowers the loss, so the best weights are 0 and the answer is constant.
    assert np.abs(probe.coef_).max() < 1e-3
    assert set(probe.predict(left)) == {3}, "the heaviest class"
    clean = states - found.spread.centre
    assert LogisticRegression(max_iter=2000).fit(clean, labels).score(clean, labels) > 0.9


def test_an_erasure_is_a_projection_and_repeating_it_removes_nothing() -> None:
    found, states, *_ = given()
    for erasure in (leace(found), mean_difference(found)):
        left = states - erasure.removed(states)
        assert np.abs(erasure.removed(left)).max() < 1e-3
        np.testing.assert_allclose(erasure.read @ erasure.write, np.eye(RANK), atol=1e-4)


def test_leace_changes_the_states_less_than_any_other_erasure() -> None:
    """Without shrinkage: here 40 000 examples leave none to speak of."""
    states, labels, weights = problem(40_000)
    found = concept(states, labels, weights)
    assert found is not None
    least = removed_variance(leace(found), found.spread)
    assert least < 0.9 * removed_variance(mean_difference(found), found.spread)
    # Any map I − A Bᵀ with Bᵀ A = 1 and A spanning the class differences erases: no B does better.
    write = leace(found).write.astype(np.float64)
    generator = np.random.default_rng(1)
    for _ in range(20):
        other = leace(found).read + 0.02 * generator.normal(size=(RANK, WIDTH))
        other = np.linalg.solve(other @ write, other)
        one = Erasure(other.astype(np.float32), write.astype(np.float32), found.spread.centre)
        assert removed_variance(one, found.spread) > least


def test_leace_by_its_formula() -> None:
    """P = W⁻¹ Q W with W = Σ^(-1/2), written with whole matrices."""
    found, states, labels, weights = given()
    share = (weights / weights.sum())[:, None]
    centred = states.astype(np.float64) - (share * states).sum(axis=0)
    own = np.eye(CLASSES)[labels] - (share * np.eye(CLASSES)[labels]).sum(axis=0)
    cross = (share * centred).T @ own
    mean = shrunk(found.spread)
    sigma = (found.spread.axes.T * mean) @ found.spread.axes
    values, vectors = np.linalg.eigh(sigma)
    root = (vectors * values**0.5) @ vectors.T
    whitening = (vectors * values**-0.5) @ vectors.T
    columns = np.linalg.svd(whitening @ cross)[0][:, :RANK]
    expected = root @ columns @ columns.T @ whitening
    one = leace(found)
    np.testing.assert_allclose(one.write @ one.read, expected, atol=1e-4)


def test_shrinkage_is_that_of_scikit_learn() -> None:
    states, labels, _ = problem(60)
    found = concept(states, labels, np.ones(60))
    assert found is not None
    sigma, _ = oas(states.astype(np.float64) - states.mean(axis=0), assume_centered=True)
    expected = np.sort(np.linalg.eigvalsh(sigma))[::-1]
    np.testing.assert_allclose(shrunk(found.spread), expected, rtol=1e-4)


def test_one_class_has_one_direction_and_its_own_mean_joins_the_rest() -> None:
    found, states, labels, weights = given()
    for method in (leace, mean_difference):
        one = method(found.of(2))
        assert one.rank == 1
        left = states - one.removed(states)
        inside, outside = labels == 2, labels != 2
        apart = np.average(left[inside], axis=0, weights=weights[inside]) - np.average(
            left[outside], axis=0, weights=weights[outside]
        )
        assert np.abs(apart).max() < 1e-4
    assert np.ptp(class_means(left, labels, weights), axis=0).max() > 1, "the others stay apart"


def test_directions_of_a_probe_are_its_rows() -> None:
    found, *_ = given()
    rows = np.random.default_rng(2).normal(size=(CLASSES, WIDTH))
    rows -= rows.mean(axis=0)
    one = probe_directions(found.spread, rows)
    assert one.rank == RANK, "rows that sum to 0"
    assert np.abs(rows - rows @ one.read.T @ one.read).max() < 1e-5
    np.testing.assert_allclose(one.read, one.write.T)


def test_random_directions_have_the_rank_and_the_variance_that_they_are_to_have() -> None:
    found, states, _, weights = given()
    for erasure in (leace(found), mean_difference(found)):
        wanted = removed_variance(erasure, found.spread)
        share = (weights / weights.sum())[:, None]
        by_hand = float((share * erasure.removed(states) ** 2).sum())
        assert wanted == pytest.approx(by_hand, rel=1e-5)
        for seed in range(3):
            generator = np.random.default_rng(seed)
            same = directions_of_variance(found.spread, RANK, wanted, generator)
            assert removed_variance(same, found.spread) == pytest.approx(wanted, rel=1e-4)
            np.testing.assert_allclose(same.read @ same.read.T, np.eye(RANK), atol=1e-5)
    drawn = [random_directions(found.spread, RANK, np.random.default_rng(i)) for i in range(200)]
    shares = [removed_variance(one, found.spread) / found.spread.total for one in drawn]
    assert np.mean(shares) == pytest.approx(RANK / WIDTH, rel=0.1), "uniform over subspaces"


def test_a_layer_that_does_not_vary_has_no_directions() -> None:
    _, labels, weights = problem(40)
    assert concept(np.full((40, WIDTH), 7.3, np.float32), labels, weights) is None
