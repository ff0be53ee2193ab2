import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from synapse_audit.probes import Design, Scaler
from synapse_audit.probes.design import Part
from synapse_audit.probes.fit import FINAL
from synapse_audit.probes.solver import Coefficients, reduce, solve


def problem(n: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Correlated features with a spectrum of three decades, four noisy classes."""
    generator = np.random.default_rng(seed)
    latent = generator.normal(size=(n, d)) * np.logspace(1, -2, d)
    features = latent @ np.linalg.qr(generator.normal(size=(d, d)))[0]
    features -= features.mean(axis=0)
    logits = features @ generator.normal(size=(d, 4)) + generator.gumbel(size=(n, 4)) * 5
    return features, logits.argmax(axis=1)


def plain(features: np.ndarray) -> Design:
    """Features as they are."""
    width = features.shape[1]
    unscaled = Scaler(np.zeros(width), np.ones(width))
    return Design((Part(features, unscaled),), np.arange(len(features)))


@pytest.mark.parametrize("shape", [(120, 15), (60, 150)], ids=["tall", "wide"])
@pytest.mark.parametrize("strength", [1e-4, 1e-2, 1.0])
def test_probabilities_equal_those_of_scikit_learn(shape: tuple[int, int], strength: float) -> None:
    features, labels = problem(*shape)
    # Second order, so that the oracle's own convergence is beyond doubt.
    oracle = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-10)
    oracle.fit(features, labels)
    reduced = reduce(plain(features))
    found = reduced.lift(solve(reduced, np.eye(4)[labels], strength=strength, tolerance=FINAL))
    unseen = problem(200, shape[1], seed=1)[0]
    ours = softmax(unseen @ found.weights.T + found.bias, axis=1)
    np.testing.assert_allclose(ours, oracle.predict_proba(unseen), atol=1e-4)


def test_a_start_does_not_change_the_solution() -> None:
    features, labels = problem(90, 12)
    reduced, targets = reduce(plain(features)), np.eye(4)[labels]
    cold = solve(reduced, targets, strength=0.1, tolerance=1e-6)
    elsewhere = solve(reduced, targets, strength=1e-3, tolerance=1e-2)
    warm = solve(reduced, targets, strength=0.1, tolerance=1e-6, start=elsewhere)
    np.testing.assert_allclose(warm.weights, cold.weights, atol=1e-5)


@pytest.mark.parametrize("shape", [(40, 8), (8, 40)], ids=["tall", "wide"])
def test_lifted_coefficients_predict_as_the_coordinates_do(shape: tuple[int, int]) -> None:
    features, _ = problem(*shape)
    reduced = reduce(plain(features))
    weights = np.random.default_rng(1).normal(size=(3, len(reduced.squares)))
    lifted = reduced.lift(Coefficients(weights, np.zeros(3)))
    np.testing.assert_allclose(
        features @ lifted.weights.T, reduced.coordinates @ weights.T, atol=1e-8
    )


def test_repeated_features_add_no_rank() -> None:
    features, _ = problem(50, 6)
    assert len(reduce(plain(np.hstack([features, features]))).squares) == 6


def test_without_any_variation_the_bias_gives_the_class_shares() -> None:
    reduced = reduce(plain(np.zeros((10, 4))))
    targets = np.eye(2)[[0] * 7 + [1] * 3]
    found = reduced.lift(solve(reduced, targets, strength=1.0, tolerance=1e-6))
    assert found.weights.shape == (2, 4)
    np.testing.assert_array_equal(found.weights, 0.0)
    np.testing.assert_allclose(softmax(found.bias), [0.7, 0.3], atol=1e-5)
