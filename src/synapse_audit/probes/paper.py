"""The SYNAPSE paper's probe, as published and solved to the end.

One linear layer reads all blocks side by side, not standardised, embeddings left out, and minimises

    mean cross-entropy + l1 · ‖W‖₁ + l2 · ‖W‖₂        (Frobenius norm, not squared; bias free).

| scope | how |
|---|---|
| paper | as published: l1 = l2 = 0.001, Adam at 1e-3, 10 epochs of batches of 32 |
| paper_converged | the minimum of the same objective, l1 = l2 chosen on ``select`` |

Source: SYNAPSE (arXiv 2603.08424) after Dalvi et al. 2019 (arXiv 1812.09355). Limits: without
standardisation a neuron that varies widely needs little weight, so scores depend on its scale; ten
epochs from a random start leave most of the weights where they began.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse.linalg import svds
from scipy.special import softmax
from torch import Tensor

from synapse_audit.artifacts import Activations, LabelledData, Probe, Splits
from synapse_audit.probes.fit import ABSENT_BIAS, Task, macro_f1
from synapse_audit.probes.solver import Coefficients

PAPER, CONVERGED = "paper", "paper_converged"
"""Scopes."""

PENALTY = 0.001
"""l1 and l2 alike."""

RATE, EPOCHS, BATCH = 1e-3, 10, 32

PENALTIES = (0.1, 0.03, 0.01, 0.003, 0.001)
"""Candidates on ``select``, from strong to weak: larger = more regularised."""

SEARCH, FINAL = 3e-2, 1e-3
"""Tolerances: while a penalty is chosen or labels are permuted, and for the probe reported."""

STEPS = 4000
"""Of the proximal method on one working set, at most."""

ROUNDS = 30
"""Working sets, at most."""

SMALLEST = 100
"""Features that may join a working set at a time, at least."""

Solver = Callable[
    [Float[np.ndarray, "fit features"], Int[np.ndarray, " fit"]],
    Coefficients,
]
"""(features, labels among the classes present) → rows for the classes present."""


def fit_paper_probes(
    activations: Activations, data: LabelledData, splits: Splits, *, seed: int
) -> tuple[Probe, Probe]:
    """The probes of scopes ``paper`` and ``paper_converged``.

    Their weights belong to the features as they are (``mean`` 0, ``scale`` 1) and are not centred
    over classes; ``strength`` is the penalty. Otherwise as
    :func:`synapse_audit.probes.fit_probes`.

    Raises:
        DataError: ``fit`` holds fewer than two classes.
    """
    joint = np.concatenate([activations.layers[m] for m in activations.blocks], axis=1)
    task, features = Task.of(data, splits), joint.astype(np.float32)

    def published(rows: np.ndarray, labels: np.ndarray) -> Coefficients:
        return fit_published(rows, labels, len(task.present), seed=seed)

    penalty = choose_penalty(features, task, splits)

    def converged(tolerance: float) -> Solver:
        def solver(rows: np.ndarray, labels: np.ndarray) -> Coefficients:
            targets = np.eye(len(task.present))[labels]
            return solve_elastic(rows, targets, penalty=penalty, tolerance=tolerance).coefficients

        return solver

    asked = (
        (PAPER, PENALTY, (published, published)),
        (CONVERGED, penalty, (converged(FINAL), converged(SEARCH))),
    )
    first, second = (
        _probe(scope, strength, features, task, splits=splits, solvers=solvers, seed=seed)
        for scope, strength, solvers in asked
    )
    return first, second


# ---- as published ------------------------------------------------------------------------------


def fit_published(
    features: Float[np.ndarray, "examples features"],
    labels: Int[np.ndarray, " examples"],
    classes: int,
    *,
    seed: int,
) -> Coefficients:
    """Adam for :data:`EPOCHS` epochs from PyTorch's own start; batches shuffled, all seeded."""
    generator = torch.Generator().manual_seed(seed)
    inputs, targets = torch.from_numpy(features), torch.from_numpy(labels.astype(np.int64))
    reach = features.shape[1] ** -0.5
    with torch.inference_mode(False), torch.enable_grad():
        weight = (2 * torch.rand(classes, features.shape[1], generator=generator) - 1) * reach
        bias = (2 * torch.rand(classes, generator=generator) - 1) * reach
        parameters = [weight.requires_grad_(), bias.requires_grad_()]
        optimiser = torch.optim.Adam(parameters, lr=RATE)
        for _ in range(EPOCHS):
            order = torch.randperm(len(labels), generator=generator)
            for rows in torch.split(order, BATCH):
                optimiser.zero_grad()
                _loss(weight, bias, inputs[rows], targets[rows]).backward()  # type: ignore[no-untyped-call]
                optimiser.step()
    return Coefficients(
        weight.detach().numpy().astype(np.float64), bias.detach().numpy().astype(np.float64)
    )


def _loss(weight: Tensor, bias: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
    logits = torch.nn.functional.linear(inputs, weight, bias)
    fitted = torch.nn.functional.cross_entropy(logits, targets)
    # Written as NeuroX does: another order of sums rounds differently, and where a weight crosses 0
    # the sign in the gradient makes that the size of a step.
    size = torch.sqrt(torch.pow(weight, 2).sum())
    return fitted + PENALTY * torch.abs(weight).sum() + PENALTY * size


# ---- solved to the end ---------------------------------------------------------------------------


class Elastic(NamedTuple):
    """A minimum of the objective, and how far from one it is."""

    coefficients: Coefficients
    gap: float
    """Largest entry of the least subgradient, relative to the penalty; 0 at the minimum."""


def choose_penalty(
    features: Float[np.ndarray, "examples features"], task: Task, splits: Splits
) -> float:
    """The penalty of :data:`PENALTIES` most accurate on ``select``; ties: the most regularised."""
    targets = task.targets(task.labels[splits.fit])
    start, scores = None, []
    for penalty in PENALTIES:
        found = solve_elastic(
            features[splits.fit], targets, penalty=penalty, tolerance=SEARCH, start=start
        )
        start = found.coefficients
        predicted = _complete(task, start).predict(features[splits.select])
        scores.append(task.accuracy(predicted, splits.select))
    return PENALTIES[int(np.argmax(scores))]


def solve_elastic(
    features: Float[np.ndarray, "examples features"],
    targets: Float[np.ndarray, "examples classes"],
    *,
    penalty: float,
    tolerance: float = FINAL,
    start: Coefficients | None = None,
) -> Elastic:
    """Minimises mean cross-entropy + ``penalty`` · (‖W‖₁ + ‖W‖₂), to ``tolerance`` · penalty.

    Accelerated proximal gradient (FISTA, Beck & Teboulle 2009, with restarts) on a working set of
    features that grows until the optimality condition holds on all of them. Features are centred,
    which the free bias undoes exactly: they then lie around 0 and the problem is well conditioned.
    The proximal step of both penalties together is exact (soft threshold, then shrinking of the
    whole matrix).

    Args:
        targets: one-hot rows; every class occurs.
        start: coefficients for the features as given.
    """
    centre = features.mean(axis=0, dtype=np.float64)
    rows = features.astype(np.float64) - centre
    weights = np.zeros((targets.shape[1], rows.shape[1])) if start is None else start.weights.copy()
    bias = np.zeros(targets.shape[1]) if start is None else start.bias + start.weights @ centre
    gap = np.inf
    for _ in range(ROUNDS):
        slope, slope_of_bias = gradient(rows, targets, Coefficients(weights, bias))
        found = subgradient(weights, slope, penalty)
        gap = max(np.abs(found).max(initial=0.0), np.abs(slope_of_bias).max()) / penalty
        if gap <= tolerance:
            break
        active = _working_set(weights, slope, penalty)
        inner = Coefficients(weights[:, active], bias)
        solved = _descend(rows[:, active], targets, inner, penalty, tolerance / 2)
        weights[:, active], bias = solved
    return Elastic(Coefficients(weights, bias - weights @ centre), float(gap))


def _working_set(
    weights: Float[np.ndarray, "classes features"],
    slope: Float[np.ndarray, "classes features"],
    penalty: float,
) -> Bool[np.ndarray, " features"]:
    """Features in use, and as many again of those that most want to be."""
    used = (weights != 0).any(axis=0)
    wish = np.where(used, 0.0, np.abs(slope).max(axis=0))
    most = max(SMALLEST, int(used.sum()))
    floor = np.sort(wish)[-most] if most < len(wish) else 0.0
    active: Bool[np.ndarray, " features"] = used | (wish >= max(floor, 0.9 * penalty))
    return active


def gradient(
    rows: Float[np.ndarray, "examples features"],
    targets: Float[np.ndarray, "examples classes"],
    at: Coefficients,
) -> Coefficients:
    """Gradient of the mean cross-entropy."""
    error = (softmax(rows @ at.weights.T + at.bias, axis=1) - targets) / len(rows)
    return Coefficients(error.T @ rows, error.sum(axis=0))


def subgradient(
    weights: Float[np.ndarray, "classes features"],
    slope: Float[np.ndarray, "classes features"],
    penalty: float,
) -> Float[np.ndarray, "classes features"]:
    """The least subgradient of the whole objective in W: 0 everywhere at, and only at, a minimum.

    At an entry that is not 0 there is one value, slope + penalty · (sign + W/‖W‖); at one that is
    0 the l1 term takes up to ``penalty`` off. At W = 0 the norm takes off as much again as a whole.
    """
    size = float(np.linalg.norm(weights))
    shrunk = soft(slope, penalty)
    if size == 0:
        length = float(np.linalg.norm(shrunk))
        return shrunk * max(0.0, 1 - penalty / length) if length else shrunk
    settled = slope + penalty * (np.sign(weights) + weights / size)
    return np.where(weights != 0, settled, shrunk)


def soft(
    values: Float[np.ndarray, "classes features"], by: float
) -> Float[np.ndarray, "classes features"]:
    """Each entry moved toward 0 by ``by``, not past it."""
    return np.sign(values) * np.maximum(np.abs(values) - by, 0.0)


def _descend(
    rows: Float[np.ndarray, "examples active"],
    targets: Float[np.ndarray, "examples classes"],
    start: Coefficients,
    penalty: float,
    tolerance: float,
) -> Coefficients:
    """FISTA on one working set; the softmax has curvature at most 1/2."""
    curvature = 0.5 * _largest_square(rows) / len(rows) or 1.0  # no feature at all
    rate, rate_of_bias = 1 / curvature, 2.0
    here = ahead = start
    momentum = 1.0
    for _ in range(STEPS):
        slope = gradient(rows, targets, ahead)
        weights = _proximal(ahead.weights - rate * slope.weights, rate * penalty)
        moved = Coefficients(weights, ahead.bias - rate_of_bias * slope.bias)
        # The step divided by its length bounds the subgradient at the point it leads to.
        step = max(
            np.abs(moved.weights - ahead.weights).max(initial=0.0) / rate,
            np.abs(moved.bias - ahead.bias).max() / rate_of_bias,
        )
        if step <= tolerance * penalty:
            return moved
        uphill = np.vdot(ahead.weights - moved.weights, moved.weights - here.weights) > 0
        following = 1.0 if uphill else (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        push = 0.0 if uphill else (momentum - 1) / following
        ahead = Coefficients(
            moved.weights + push * (moved.weights - here.weights),
            moved.bias + push * (moved.bias - here.bias),
        )
        here, momentum = moved, following
    return here


def _proximal(
    values: Float[np.ndarray, "classes active"], by: float
) -> Float[np.ndarray, "classes active"]:
    shrunk = soft(values, by)
    length = float(np.linalg.norm(shrunk))
    return shrunk * max(0.0, 1 - by / length) if length else shrunk


def _largest_square(rows: Float[np.ndarray, "examples active"]) -> float:
    """Squared largest singular value, with a little to spare."""
    if min(rows.shape) <= 2:
        return float(np.linalg.norm(rows) ** 2)
    start = np.ones(min(rows.shape))
    return 1.02 * float(svds(rows, k=1, return_singular_vectors=False, v0=start, tol=1e-2)[0]) ** 2


# ---- what is reported ----------------------------------------------------------------------------


def _probe(
    scope: str,
    strength: float,
    features: Float[np.ndarray, "examples features"],
    task: Task,
    *,
    splits: Splits,
    solvers: tuple[Solver, Solver],
    seed: int,
) -> Probe:
    fit, evaluate = splits.fit, splits.evaluate
    order = np.random.default_rng(np.random.SeedSequence([seed, 0])).permutation(fit)
    solution = _fitted(features[fit], task, fit, solvers[0])
    null = _fitted(features[fit], task, order, solvers[1])
    predicted = solution.predict(features[evaluate])
    return Probe(
        scope=scope,
        weights=solution.weights,
        bias=solution.bias,
        mean=np.zeros(features.shape[1]),
        scale=np.ones(features.shape[1]),
        strength=strength,
        accuracy=task.accuracy(predicted, evaluate),
        macro_f1=macro_f1(task, predicted, evaluate),
        majority_accuracy=task.majority(evaluate),
        fit_accuracy=task.accuracy(solution.predict(features[fit]), fit),
        control_accuracy=task.accuracy(null.predict(features[fit]), order),
        null_accuracy=task.accuracy(null.predict(features[evaluate]), evaluate),
    )


def _fitted(
    rows: Float[np.ndarray, "fit features"],
    task: Task,
    labelled: Int[np.ndarray, " fit"],
    solver: Solver,
) -> Coefficients:
    """Row i of ``rows`` gets the label of example labelled[i]."""
    return _complete(task, solver(rows, np.searchsorted(task.present, task.labels[labelled])))


def _complete(task: Task, solution: Coefficients) -> Coefficients:
    """Rows for all classes; a class without a ``fit`` example is never predicted."""
    weights = np.zeros((task.classes, solution.weights.shape[1]))
    bias = np.full(task.classes, ABSENT_BIAS)
    weights[task.present], bias[task.present] = solution
    return Coefficients(weights, bias)
