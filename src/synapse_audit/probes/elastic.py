"""A linear classifier under an elastic net whose norm is not squared, solved to the end.

In: features, memory-mapped or not, and one-hot targets. Out: the coefficients that minimise

    mean cross-entropy + penalty · (‖W‖₁ + ‖W‖₂)        (Frobenius norm; bias free).

Features are read in blocks; in double precision are only those of the working set.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse.linalg import svds
from scipy.special import softmax

from synapse_audit.memory import Allocate, in_memory, row_chunks
from synapse_audit.probes.solver import Coefficients

FINAL = 1e-3
"""Tolerance for a probe that is reported."""

STEPS = 4000
"""Of the proximal method on one working set, at most."""

ROUNDS = 30
"""Working sets, at most."""

SMALLEST = 100
"""Features that may join a working set at a time, at least."""


class Elastic(NamedTuple):
    """A minimum of the objective, and how far from one it is."""

    coefficients: Coefficients
    gap: float
    """Largest entry of the least subgradient, relative to the penalty; 0 at the minimum."""


def solve_elastic(
    features: Float[np.ndarray, "examples features"],
    targets: Float[np.ndarray, "examples classes"],
    *,
    penalty: float,
    tolerance: float = FINAL,
    start: Coefficients | None = None,
    allocate: Allocate = in_memory,
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
        allocate: where the working set lies.
    """
    centre = features.mean(axis=0, dtype=np.float64)
    shape = targets.shape[1], features.shape[1]
    weights = np.zeros(shape) if start is None else start.weights.copy()
    bias = np.zeros(targets.shape[1]) if start is None else start.bias + start.weights @ centre
    gap = np.inf
    for _ in range(ROUNDS):
        slope, slope_of_bias = _gradient(features, centre, targets, Coefficients(weights, bias))
        found = subgradient(weights, slope, penalty)
        gap = max(np.abs(found).max(initial=0.0), np.abs(slope_of_bias).max()) / penalty
        if gap <= tolerance:
            break
        active = _working_set(weights, slope, penalty)
        rows = _columns(features, np.flatnonzero(active), centre, allocate)
        inner = Coefficients(weights[:, active], bias)
        solved = _descend(rows, targets, inner, penalty, tolerance / 2)
        weights[:, active], bias = solved
    return Elastic(Coefficients(weights, bias - weights @ centre), float(gap))


def _gradient(
    features: Float[np.ndarray, "examples features"],
    centre: Float[np.ndarray, " features"],
    targets: Float[np.ndarray, "examples classes"],
    at: Coefficients,
) -> Coefficients:
    """:func:`gradient` on the centred features, block by block."""
    weights, bias = np.zeros_like(at.weights), np.zeros_like(at.bias)
    for some in row_chunks(*features.shape):
        block = features[some] - centre
        found, share = gradient(block, targets[some], at), len(block) / len(features)
        weights += share * found.weights
        bias += share * found.bias
    return Coefficients(weights, bias)


def _columns(
    features: Float[np.ndarray, "examples features"],
    chosen: Int[np.ndarray, " active"],
    centre: Float[np.ndarray, " features"],
    allocate: Allocate,
) -> Float[np.ndarray, "examples active"]:
    """Some features, centred, float64."""
    found = allocate("columns", (len(features), len(chosen)), np.float64)
    for some in row_chunks(*features.shape):
        found[some] = features[some][:, chosen] - centre[chosen]
    return found


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
