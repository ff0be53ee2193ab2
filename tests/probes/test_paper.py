"""The paper's objective: where its minimum is, by independent means; and what Adam makes of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from synapse_audit import memory
from synapse_audit.probes import fit_paper_probes, probe_table
from synapse_audit.probes.elastic import FINAL, soft, solve_elastic, subgradient
from synapse_audit.probes.fit import ABSENT_BIAS
from synapse_audit.probes.paper import PENALTIES, PENALTY, fit_published
from synapse_audit.probes.solver import Coefficients

from .problems import planted


def _problem(seed: int = 0, n: int = 90, width: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Features that lie far from 0, as load-bearing constants do, and three classes."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, n)
    features = generator.normal(size=(n, width)) * generator.uniform(0.2, 2.0, width) + 5.0
    features[:, 0] += labels
    features[:, 1] -= 2.0 * (labels == 1)
    return features, labels


def _objective(found: Coefficients, features: np.ndarray, labels: np.ndarray, by: float) -> float:
    """By PyTorch, in double precision: an implementation of its own."""
    weights, bias = torch.from_numpy(found.weights), torch.from_numpy(found.bias)
    logits = torch.from_numpy(features) @ weights.T + bias
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels))
    return float(loss + by * weights.abs().sum() + by * weights.norm(2))


def _split_minimum(features: np.ndarray, labels: np.ndarray, by: float) -> float:
    """The least objective that L-BFGS-B finds on W = P − N with P, N ≥ 0: smooth but at W = 0."""
    n, width, classes = len(labels), features.shape[1], labels.max() + 1
    targets = np.eye(classes)[labels]

    def value_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        positive, negative, bias = np.split(flat, [classes * width, 2 * classes * width])
        weights = (positive - negative).reshape(classes, width)
        logits = features @ weights.T + bias
        logits -= logits.max(axis=1, keepdims=True)
        total = np.exp(logits).sum(axis=1, keepdims=True)
        size = np.sqrt((weights**2).sum() + 1e-300)
        loss = (np.log(total[:, 0]) - logits[np.arange(n), labels]).mean()
        error = (np.exp(logits) / total - targets) / n
        slope = (error.T @ features + by * weights / size).ravel()
        value = loss + by * (positive + negative).sum() + by * size
        return value, np.concatenate([slope + by, -slope + by, error.sum(axis=0)])

    start = np.concatenate([np.full(2 * classes * width, 0.01), np.zeros(classes)])
    start[0] = 0.1
    bounds = [(0, None)] * (2 * classes * width) + [(None, None)] * classes
    options = {"maxiter": 20000, "maxfun": 40000, "ftol": 1e-14, "gtol": 1e-9}
    found = minimize(
        value_and_gradient, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )
    return float(found.fun)


@pytest.mark.parametrize("penalty", [0.03, 0.003])
def test_the_minimum_is_the_one_that_another_method_finds(penalty: float) -> None:
    features, labels = _problem()
    found = solve_elastic(features, np.eye(3)[labels], penalty=penalty, tolerance=1e-5)
    mine = _objective(found.coefficients, features, labels, penalty)
    theirs = _split_minimum(features, labels, penalty)
    assert mine <= theirs + 1e-9
    assert mine == pytest.approx(theirs, abs=2e-5)


def test_optimality_holds_entry_by_entry() -> None:
    features, labels = _problem(1)
    penalty = 0.02
    solved = solve_elastic(features, np.eye(3)[labels], penalty=penalty, tolerance=1e-6)
    weights = solved.coefficients.weights
    logits = features @ weights.T + solved.coefficients.bias
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    error = (shares / shares.sum(axis=1, keepdims=True) - np.eye(3)[labels]) / len(labels)
    slope = error.T @ features
    pull = penalty * weights / np.linalg.norm(weights)
    there = weights != 0
    assert 0 < there.sum() < there.size, "some weights are exactly 0 and some are not"
    np.testing.assert_allclose((slope + pull)[there], -penalty * np.sign(weights)[there], atol=1e-6)
    assert (np.abs(slope[~there]) <= penalty + 1e-6).all()
    np.testing.assert_allclose(error.sum(axis=0), 0, atol=1e-6)
    assert solved.gap <= 1e-6


def test_a_strong_penalty_leaves_the_class_shares_alone() -> None:
    features, labels = _problem()
    found = solve_elastic(features, np.eye(3)[labels], penalty=10.0).coefficients
    np.testing.assert_array_equal(found.weights, 0.0)
    shares = np.exp(found.bias) / np.exp(found.bias).sum()
    np.testing.assert_allclose(shares, np.bincount(labels) / len(labels), atol=1e-3)


def test_the_least_subgradient_by_hand() -> None:
    slope = np.array([[0.5, -0.1, -0.5]])
    np.testing.assert_allclose(soft(slope, 0.2), [[0.3, 0.0, -0.3]])
    # At W = 0 the norm takes 0.2 off the length √0.18 of what is left.
    left = 1 - 0.2 / np.sqrt(0.18)
    np.testing.assert_allclose(subgradient(0 * slope, slope, 0.2), soft(slope, 0.2) * left)
    at = np.array([[2.0, 0.0, 0.0]])
    np.testing.assert_allclose(subgradient(at, slope, 0.2), [[0.9, 0.0, -0.3]])


def test_one_step_of_adam_by_hand() -> None:
    """One batch, one epoch would be one step; ten epochs move a weight by at most ten."""
    features, labels = _problem(n=20)
    rows = features.astype(np.float32)
    found = fit_published(rows, labels, 3, seed=4)
    generator = torch.Generator().manual_seed(4)
    start = (2 * torch.rand(3, 12, generator=generator) - 1) * 12**-0.5
    moved = np.abs(found.weights - start.numpy())
    assert 0 < moved.max() <= 10 * 1e-3 * 1.01


def test_published_probe_equals_pytorch_s_own_modules() -> None:
    features, labels = _problem(n=70)
    rows = torch.from_numpy(features.astype(np.float32))
    generator = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(12, 3)
    with torch.no_grad():
        for values in (layer.weight, layer.bias):
            values.copy_((2 * torch.rand(values.shape, generator=generator) - 1) * 12**-0.5)
    optimiser, criterion = torch.optim.Adam(layer.parameters(), 1e-3), torch.nn.CrossEntropyLoss()
    for _ in range(10):
        order = torch.randperm(70, generator=generator)
        for start in range(0, 70, 32):
            batch = order[start : start + 32]
            loss = criterion(layer(rows[batch]), torch.from_numpy(labels)[batch])
            loss = loss + PENALTY * layer.weight.norm(1) + PENALTY * layer.weight.norm(2)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    found = fit_published(rows.numpy(), labels, 3, seed=0)
    np.testing.assert_allclose(found.weights, layer.weight.detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(found.bias, layer.bias.detach().numpy(), atol=1e-6)


def test_probes_of_all_blocks() -> None:
    held, data, splits = planted()
    published, converged = fit_paper_probes(held, data, splits, seed=0)
    assert [p.scope for p in (published, converged)] == ["paper", "paper_converged"]
    assert published.weights.shape == (2, 40), "blocks 1 and 2; embeddings are left out"
    assert published.strength == PENALTY
    assert converged.strength in PENALTIES
    assert converged.accuracy == 1.0
    assert np.abs(converged.weights).sum(axis=0).argmax() == 20 + 7
    # One feature tells all: the elastic net keeps hardly another.
    assert (np.abs(converged.weights).sum(axis=0) > 0).sum() <= 5
    assert not probe_table((published, converged)).isna().any().any()


def test_probes_are_keyed_by_the_seed_and_leave_the_global_state_alone() -> None:
    features, labels = _problem()
    rows, before = features.astype(np.float32), torch.get_rng_state()
    first, again = (fit_published(rows, labels, 3, seed=1) for _ in range(2))
    other = fit_published(rows, labels, 3, seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(first.weights, again.weights)
    assert not np.array_equal(first.weights, other.weights)


def test_a_class_without_fit_examples_is_never_predicted() -> None:
    held, data, splits = planted()
    data = replace(data, classes=(*data.classes, "class 2"))
    for probe in fit_paper_probes(held, data, splits, seed=0):
        assert probe.weights.shape == (3, 40)
        assert (probe.weights[2] == 0).all()
        assert probe.bias[2] == ABSENT_BIAS


def test_the_gap_is_within_the_tolerance() -> None:
    features, labels = _problem(2, n=60, width=80)
    for penalty in PENALTIES:
        found = solve_elastic(features, np.eye(3)[labels], penalty=penalty)
        assert found.gap <= FINAL


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    held, data, splits = planted()
    whole = fit_paper_probes(held, data, splits, seed=0)
    monkeypatch.setattr(memory, "NUMBERS", 300)  # seven examples of 40 neurons at a time
    for one, other in zip(whole, fit_paper_probes(held, data, splits, seed=0), strict=True):
        np.testing.assert_allclose(one.weights, other.weights, atol=1e-9)
        np.testing.assert_allclose(one.bias, other.bias, atol=1e-9)
        assert (one.accuracy, one.fit_accuracy, one.control_accuracy, one.null_accuracy) == (
            other.accuracy,
            other.fit_accuracy,
            other.control_accuracy,
            other.null_accuracy,
        )
