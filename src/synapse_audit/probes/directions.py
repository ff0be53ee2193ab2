"""Directions that carry classes: which linear part of a layer is removed, and what stands beside.

In: states of one layer on ``fit`` with labels and weights. Out: :class:`Erasure` records.

| directions | what is removed |
|---|---|
| mean_difference | the orthogonal projection on the differences of the class means |
| probe | the orthogonal projection on the rows of the layer's probe, in the space of the states |
| leace | the least-squares concept erasure of Belrose et al. 2023 (arXiv 2306.03819) |

**LEACE in closed form.** Let Σ be the covariance of the states x, Σ_xz their covariance with the
one-hot classes z, W = Σ^(-1/2) and Q the orthogonal projection on the columns of W Σ_xz. Then
P = W⁻¹ Q W satisfies P Σ_xz = W⁻¹ (Q W Σ_xz) = Σ_xz, so x' = x − P (x − E x) has covariance
(I − P) Σ_xz = 0 with every class: all class means coincide, and no linear probe with a bias does
better than the best constant answer (their theorem 3.1). Of all affine maps that achieve this, it
changes x least in the mean square (theorem 4.2). The same holds whatever positive definite matrix
stands in the place of Σ, but then the change is least in that one's metric.

**Departure.** ``fit`` often has fewer examples than neurons, and Σ is singular: unregularised,
W finds directions of almost no variance that carry the classes of these examples alone. So Σ is
shrunk toward a multiple of the identity, by the oracle approximating shrinkage of Chen et al. 2010
(IEEE Trans. Signal Process. 58:5016), equation 23. On ``fit`` class means coincide all the same.

Limits: what is removed is what ``fit`` shows; on other examples a little is left. Only linear
reading is prevented, of the states of one layer and not of those above.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import svd

from synapse_audit.artifacts import Erasure

LEAST_VARIANCE = 1e-9
"""Of the largest variance: axes with less hold rounding only."""

LEAST_DIRECTION = 1e-5
"""Of the largest singular value: directions with less are no direction of their own."""

STEEPEST, STEPS = 6.0, 60
"""Largest power of the variances that random directions are drawn from, and halvings of it."""

Vectors = Float[np.ndarray, "neurons rank"]


class Spread(NamedTuple):
    """The weighted covariance of a layer's states over ``fit``, in its own axes."""

    centre: Float[np.ndarray, " neurons"]
    axes: Float[np.ndarray, "kept neurons"]
    """Orthonormal, of the directions in which the states vary."""
    variance: Float[np.ndarray, " kept"]
    """Along each axis, descending."""
    n: int

    @property
    def total(self) -> float:
        """Trace of the covariance."""
        return float(self.variance.sum())


class Concept(NamedTuple):
    """States of a layer and the classes that are to be removed from them."""

    spread: Spread
    cross: Float[np.ndarray, "kept classes"]
    """Covariance of the states, in the axes of the spread, with the one-hot classes."""

    def of(self, c: int) -> Concept:
        """One class against the rest."""
        return Concept(self.spread, self.cross[:, [c]])


def concept(
    states: Float[np.ndarray, "fit neurons"],
    labels: Int[np.ndarray, " fit"],
    weights: Float[np.ndarray, " fit"],
) -> Concept | None:
    """The states' spread, and how it goes with the classes that occur, in ascending order.

    None where the states do not vary (the embedding of a [CLS] token).
    """
    share = (weights / weights.sum())[:, None].astype(np.float64)
    exact = states.astype(np.float64)
    centre = (share * exact).sum(axis=0)
    centred = np.sqrt(share) * (exact - centre)
    scale = float(np.square(centre).sum()) + float(np.square(centred).sum())
    left, singular, axes = svd(centred, full_matrices=False)
    # Below this the variance is float32 rounding.
    if not singular.size or singular[0] ** 2 <= 1e-12 * scale:
        return None
    kept = singular**2 > LEAST_VARIANCE * singular[0] ** 2
    spread = Spread(centre, axes[kept], singular[kept] ** 2, len(states))
    own = (labels[:, None] == np.unique(labels)).astype(np.float64)
    own = np.sqrt(share) * (own - (share * own).sum(axis=0))
    return Concept(spread, singular[kept, None] * (left[:, kept].T @ own))


# ---- what is removed ---------------------------------------------------------------------------


def mean_difference(given: Concept) -> Erasure:
    """Projects on the complement of the differences of the class means (orthogonally)."""
    return _orthogonal(given.spread, given.spread.axes.T @ _basis(given.cross))


def probe_directions(spread: Spread, weights: Float[np.ndarray, "rows neurons"]) -> Erasure:
    """Projects on the complement of the rows of a probe (orthogonally).

    Source: the first step of Ravfogel et al. 2020 (arXiv 2004.07667).

    Args:
        weights: in the space of the states: a standardised probe's weights over its scales.
    """
    return _orthogonal(spread, _basis(weights.T.astype(np.float64)))


def leace(given: Concept) -> Erasure:
    """The least-squares concept erasure; see the module."""
    spread = given.spread
    root = np.sqrt(shrunk(spread))[:, None]
    basis = _basis(given.cross / root)
    read = (basis / root).T @ spread.axes
    write = spread.axes.T @ (basis * root)
    return _erasure(read, write, spread.centre)


def shrunk(spread: Spread) -> Float[np.ndarray, " kept"]:
    """Variances along the axes after shrinkage toward their mean over all neurons.

    As scikit-learn has it (``OAS``), which leaves out the terms of 2 / neurons.
    """
    p, n = spread.axes.shape[1], spread.n
    trace, squares = spread.total, float((spread.variance**2).sum())
    apart = (n + 1) * (squares - trace**2 / p)
    share = 1.0 if apart <= 0 else min(1.0, (squares + trace**2) / apart)
    return np.asarray((1 - share) * spread.variance + share * trace / p)


# ---- what stands beside ------------------------------------------------------------------------


def random_directions(spread: Spread, rank: int, generator: np.random.Generator) -> Erasure:
    """As many orthonormal directions, uniformly distributed over all subspaces of that rank."""
    drawn = generator.normal(size=(spread.axes.shape[1], rank))
    return _orthogonal(spread, np.linalg.qr(drawn)[0])


def directions_of_variance(
    spread: Spread, rank: int, wanted: float, generator: np.random.Generator
) -> Erasure:
    """As many random orthonormal directions along which the states vary as much.

    Gaussian vectors are drawn in the axes of the spread and multiplied by a power of its variances:
    the larger the power, the more of the variance lies along them. The power is found by bisection,
    since the variance along the directions never falls with it. Where no power is enough, the
    nearest end is taken.

    Args:
        wanted: the variance that is to be removed, in the units of the spread.
    """
    drawn = generator.normal(size=(len(spread.variance), rank))
    logs = np.log(spread.variance)
    low, high = -STEEPEST, STEEPEST
    for _ in range(STEPS):
        middle = (low + high) / 2
        along = _along(drawn, logs, middle)
        low, high = (middle, high) if _variance(along, spread) < wanted else (low, middle)
    return _orthogonal(spread, spread.axes.T @ _along(drawn, logs, (low + high) / 2))


def _along(
    drawn: Float[np.ndarray, "kept rank"], logs: Float[np.ndarray, " kept"], power: float
) -> Float[np.ndarray, "kept rank"]:
    steep = power * logs
    return np.asarray(np.linalg.qr(np.exp(steep - steep.max())[:, None] * drawn)[0])


def _variance(along: Float[np.ndarray, "kept rank"], spread: Spread) -> float:
    return float((along**2 * spread.variance[:, None]).sum())


def removed_variance(erasure: Erasure, spread: Spread) -> float:
    """Trace of the covariance of what is removed, in the units of the spread."""
    seen = (erasure.read.astype(np.float64) @ spread.axes.T) * np.sqrt(spread.variance)
    return float(((erasure.write.astype(np.float64) @ seen) ** 2).sum())


# ---- small things ------------------------------------------------------------------------------


def _basis(vectors: Float[np.ndarray, "length columns"]) -> Float[np.ndarray, "length rank"]:
    """Orthonormal vectors that span the same."""
    left, singular, _ = svd(vectors, full_matrices=False)
    return np.asarray(left[:, singular > LEAST_DIRECTION * max(float(singular[0]), 1e-300)])


def _orthogonal(spread: Spread, basis: Vectors) -> Erasure:
    return _erasure(basis.T, basis, spread.centre)


def _erasure(
    read: Float[np.ndarray, "rank neurons"], write: Vectors, centre: Float[np.ndarray, " neurons"]
) -> Erasure:
    parts = (np.ascontiguousarray(part, dtype=np.float32) for part in (read, write, centre))
    return Erasure(*parts)
