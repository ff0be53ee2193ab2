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
from jaxtyping import Float, Float32, Int
from torch import Tensor

from synapse_audit.artifacts import Activations, LabelledData, Probe, Splits
from synapse_audit.memory import Allocate, in_memory, row_chunks
from synapse_audit.probes.elastic import FINAL, solve_elastic
from synapse_audit.probes.fit import ABSENT_BIAS, Task, macro_f1
from synapse_audit.probes.solver import Coefficients

PAPER, CONVERGED = "paper", "paper_converged"
"""Scopes."""

PENALTY = 0.001
"""Of l1 and of l2."""

RATE, EPOCHS, BATCH = 1e-3, 10, 32

PENALTIES = (0.1, 0.03, 0.01, 0.003, 0.001)
"""Candidates on ``select``, from strong to weak: larger = more regularised."""

SEARCH = 3e-2
"""Tolerance while a penalty is chosen or labels are permuted."""

Solver = Callable[
    [Float[np.ndarray, "fit features"], Int[np.ndarray, " fit"]],
    Coefficients,
]
"""(features, labels among the classes present) → rows for the classes present."""


class Joint(NamedTuple):
    """All blocks side by side, of the examples of each split."""

    fit: Float32[np.ndarray, "fit features"]
    select: Float32[np.ndarray, "select features"]
    evaluate: Float32[np.ndarray, "evaluate features"]

    @classmethod
    def of(cls, activations: Activations, splits: Splits, allocate: Allocate) -> Joint:
        """Reads them."""
        return cls(
            side_by_side(activations, splits.fit, allocate),
            side_by_side(activations, splits.select, allocate),
            side_by_side(activations, splits.evaluate, allocate),
        )


def side_by_side(
    activations: Activations, rows: Int[np.ndarray, " chosen"], allocate: Allocate
) -> Float32[np.ndarray, "chosen features"]:
    """All blocks of some examples, the embeddings left out."""
    ends = np.cumsum([activations.widths[m] for m in activations.blocks])
    joint = allocate("joint", (len(rows), int(ends[-1])), np.float32)
    for m, into in zip(activations.blocks, np.split(joint, ends[:-1], axis=1), strict=True):
        for some in row_chunks(*into.shape):
            into[some] = activations.layers[m][rows[some]]
    return joint


def fit_paper_probes(
    activations: Activations,
    data: LabelledData,
    splits: Splits,
    *,
    seed: int,
    allocate: Allocate = in_memory,
) -> tuple[Probe, Probe]:
    """The probes of scopes ``paper`` and ``paper_converged``.

    Their weights belong to the features as they are (``mean`` 0, ``scale`` 1) and are not centred
    over classes; ``strength`` is the penalty. Otherwise as
    :func:`synapse_audit.probes.fit_probes`.

    Args:
        allocate: where all blocks side by side and the solver's working set lie.

    Raises:
        DataError: ``fit`` holds fewer than two classes.
    """
    task, features = Task.of(data, splits), Joint.of(activations, splits, allocate)

    def published(rows: np.ndarray, labels: np.ndarray) -> Coefficients:
        return fit_published(rows, labels, len(task.present), seed=seed)

    penalty = choose_penalty(features, task, splits, allocate)

    def converged(tolerance: float) -> Solver:
        def solver(rows: np.ndarray, labels: np.ndarray) -> Coefficients:
            targets = np.eye(len(task.present))[labels]
            return solve_elastic(
                rows, targets, penalty=penalty, tolerance=tolerance, allocate=allocate
            ).coefficients

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


# ---- solved to the end: the penalty -------------------------------------------------------------


def choose_penalty(
    features: Joint, task: Task, splits: Splits, allocate: Allocate = in_memory
) -> float:
    """The penalty of :data:`PENALTIES` most accurate on ``select``; ties: the most regularised."""
    targets = task.targets(task.labels[splits.fit])
    start, scores = None, []
    for penalty in PENALTIES:
        start = solve_elastic(
            features.fit,
            targets,
            penalty=penalty,
            tolerance=SEARCH,
            start=start,
            allocate=allocate,
        ).coefficients
        predicted = _predict(_complete(task, start), features.select)
        scores.append(task.accuracy(predicted, splits.select))
    return PENALTIES[int(np.argmax(scores))]


# ---- what is reported ----------------------------------------------------------------------------


def _probe(
    scope: str,
    strength: float,
    features: Joint,
    task: Task,
    *,
    splits: Splits,
    solvers: tuple[Solver, Solver],
    seed: int,
) -> Probe:
    fit, evaluate = splits.fit, splits.evaluate
    order = np.random.default_rng(np.random.SeedSequence([seed, 0])).permutation(fit)
    solution = _fitted(features.fit, task, fit, solvers[0])
    null = _fitted(features.fit, task, order, solvers[1])
    predicted, width = _predict(solution, features.evaluate), features.fit.shape[1]
    return Probe(
        scope=scope,
        weights=solution.weights,
        bias=solution.bias,
        mean=np.zeros(width),
        scale=np.ones(width),
        strength=strength,
        accuracy=task.accuracy(predicted, evaluate),
        macro_f1=macro_f1(task, predicted, evaluate),
        majority_accuracy=task.majority(evaluate),
        fit_accuracy=task.accuracy(_predict(solution, features.fit), fit),
        control_accuracy=task.accuracy(_predict(null, features.fit), order),
        null_accuracy=task.accuracy(_predict(null, features.evaluate), evaluate),
    )


def _predict(
    solution: Coefficients, features: Float32[np.ndarray, "examples features"]
) -> Int[np.ndarray, " examples"]:
    """Block by block, so that no copy of all in double precision is made."""
    return np.concatenate(
        [solution.predict(features[some]) for some in row_chunks(*features.shape)]
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
