"""L2-regularised logistic regression, solved in the row span of the data.

Multinomial, or one independent regression per label. In: centred features and one-hot targets. Out:
the coefficients that minimise scikit-learn's own objective, ``C · Σ_i loss_i + ‖W‖² / 2`` with a
free bias.

Two exact transformations make it 3 to 9 times as fast as scikit-learn's lbfgs on pooled
activations, whose leading principal components are thousands of times as wide as the last:

1. *Rotation.* The optimal W lies in the row span of the data (representer theorem), and the
   penalty does not change under rotation; so d features become rank ≤ min(examples, d) principal
   coordinates, once for all strengths and for the control task.
2. *Preconditioning.* In these coordinates the Hessian is close to ``diag(1 + C·κ·λ)``, with λ the
   squared singular values and κ the mean softmax curvature p(1 − p); L-BFGS runs on coordinates
   divided by its square root, where the problem is well conditioned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh
from scipy.optimize import minimize
from scipy.special import expit, softmax

from synapse_audit.memory import Allocate, in_memory
from synapse_audit.probes.design import Design

_RANK_TOLERANCE = 1e-10
"""Directions with less than this share of the largest squared singular value are dropped."""
_ITERATIONS = 2000

Objective = Callable[
    [Float[np.ndarray, " parameters"]], tuple[float, Float[np.ndarray, " parameters"]]
]
Loss = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]
"""Logits and targets, both (examples, classes) → summed loss, and its slope in the logits."""


class Coefficients(NamedTuple):
    """Solution in principal coordinates or, after :meth:`Reduced.lift`, in features."""

    weights: Float[np.ndarray, "classes features"]
    bias: Float[np.ndarray, " classes"]

    def predict(self, features: Float[np.ndarray, "examples features"]) -> np.ndarray:
        """Index of the largest logit per example; ties go to the lower index."""
        return (features @ self.weights.T + self.bias).argmax(axis=1)


class Reduced(NamedTuple):
    """The principal coordinates of a feature matrix X: ``coordinates = X V``."""

    coordinates: Float[np.ndarray, "examples rank"]
    squares: Float[np.ndarray, " rank"]
    """Squared singular values λ, ascending."""
    basis: Float[np.ndarray, "_ features"]
    """Vᵀ; X itself where there are more features than examples, so that V is never formed."""
    dual: bool
    """Whether it is X."""

    def lift(self, solution: Coefficients) -> Coefficients:
        """The same model on the features: W Vᵀ, with V = Xᵀ Z / λ where X is the basis."""
        weights = solution.weights
        if self.dual:
            weights = (weights / self.squares) @ self.coordinates.T
        return Coefficients(weights @ self.basis, solution.bias)


def reduce(features: Design, allocate: Allocate = in_memory) -> Reduced:
    """Principal coordinates from the smaller Gram matrix; rank 0 where all features are 0.

    Besides the coordinates it holds one square matrix, as wide as the features or the examples,
    whichever are fewer.

    Args:
        features: centred over the examples.
        allocate: where the coordinates lie if there are more examples than features.
    """
    n, width = features.shape
    squares, vectors = eigh(features.gram, driver="evd", check_finite=False)
    kept = squares > max(_RANK_TOLERANCE * squares[-1], np.finfo(np.float64).tiny)
    squares, vectors = squares[kept], vectors[:, kept]
    if width > n:
        whole = np.concatenate([*features.blocks])
        return Reduced(vectors * np.sqrt(squares), squares, whole, dual=True)
    coordinates = allocate("coordinates", (n, len(squares)), np.float64)
    start = 0
    for block in features.blocks:
        coordinates[start : start + len(block)] = block @ vectors
        start += len(block)
    return Reduced(coordinates, squares, vectors.T, dual=False)


def solve(
    reduced: Reduced,
    targets: Float[np.ndarray, "examples classes"],
    *,
    strength: float,
    tolerance: float,
    start: Coefficients | None = None,
    independent: bool = False,
) -> Coefficients:
    """Minimises ``strength · Σ loss + ‖W‖²/2`` from ``start`` (zero where None).

    Args:
        targets: one-hot rows; every class occurs. Where independent: 1 for each label that is
            there, and every label is there in some rows and not in others.
        strength: scikit-learn's C, so larger = less regularised.
        tolerance: L-BFGS stops where no entry of the preconditioned gradient exceeds
            ``tolerance · √strength``: 1e-6 agrees with scikit-learn's converged solution to 1e-4
            in probability, 1e-2 to about 1e-2 (less where the data are interpolated).
        start: where a path of strengths was before; κ is measured there.
        independent: whether every column is a label with a sigmoid of its own.

    Returns:
        Coefficients in principal coordinates; unless independent the penalty makes weights sum to
        0 over classes.
    """
    rank, classes = len(reduced.squares), targets.shape[1]
    start = start or Coefficients(np.zeros((classes, rank)), np.zeros(classes))
    # The Hessian is about C κ ZᵀZ + I, and ZᵀZ is diagonal in principal coordinates (``squares``):
    # dividing each by √(1 + C κ s) makes it about the identity, where L-BFGS needs few steps. κ is
    # the mean of p (1 − p), the curvature of the loss in a logit. The bias is not penalised: its
    # diagonal entry is C κ n alone.
    logits = reduced.coordinates @ start.weights.T + start.bias
    shares = expit(logits) if independent else softmax(logits, axis=1)
    curvature = strength * max(float((shares * (1 - shares)).mean()), 1e-6)
    scale = np.append(np.sqrt(1 + curvature * reduced.squares), np.sqrt(curvature * len(targets)))
    # ‖W‖²/2 in the scaled parameters W · scale.
    penalty = np.append(1 / scale[:-1] ** 2, 0.0)
    loss_of = _sigmoid_loss if independent else _softmax_loss
    objective = _objective(
        loss_of, reduced.coordinates, targets, strength=strength, scale=scale, penalty=penalty
    )
    found = minimize(
        objective,
        (np.column_stack([start.weights, start.bias]) * scale).ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _ITERATIONS, "gtol": tolerance * np.sqrt(strength), "ftol": 0.0},
    )
    parameters = found.x.reshape(classes, -1) / scale
    return Coefficients(parameters[:, :-1], parameters[:, -1])


def _objective(
    loss_of: Loss,
    coordinates: Float[np.ndarray, "examples rank"],
    targets: Float[np.ndarray, "examples classes"],
    *,
    strength: float,
    scale: Float[np.ndarray, " parameters"],
    penalty: Float[np.ndarray, " parameters"],
) -> Objective:
    """In coordinates and a constant column, divided by ``scale`` (the copy is never made)."""

    def value_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        parameters = flat.reshape(targets.shape[1], -1)
        inner = parameters / scale
        loss, away = loss_of(coordinates @ inner[:, :-1].T + inner[:, -1], targets)
        pull = parameters * penalty
        # Chain rule through z = Z W + b and the scale.
        slope = np.column_stack([away.T @ coordinates, away.sum(axis=0)]) / scale
        gradient = strength * slope + pull
        return strength * loss + 0.5 * (parameters * pull).sum(), gradient.ravel()

    return value_and_gradient


def _softmax_loss(logits: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """Σ loss = Σ log Σ exp(z) − z_true, and ∂loss/∂z = p − y, both (examples, classes)."""
    # From the largest logit: no overflow.
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    sums = exponentials.sum(axis=1, keepdims=True)
    return np.log(sums).sum() - (shifted * targets).sum(), exponentials / sums - targets


def _sigmoid_loss(logits: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """A sigmoid for each label: Σ loss = Σ log(1 + exp(z)) − y z, and ∂loss/∂z = p − y."""
    loss = np.logaddexp(0.0, logits).sum() - (logits * targets).sum()
    return loss, expit(logits) - targets
