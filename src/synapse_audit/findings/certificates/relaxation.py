"""Sound bounds through a dense layer and its activation: what cannot change the prediction.

In: the final pooled states u (examples, neurons), and a head z = W σ(A u + c) + b. Out: per example
a size of perturbation within which the predicted class provably keeps its lead. These are lower
bounds of the true distance, not the distance.

The margin to rival r is f(δ) = v·σ(y + A δ) + const with y = A u + c and v = W_p − W_r. Three
bounds of f over all δ of a given size hold each on its own, so the largest one holds too:

* *interval*: each σ(y_i) stays in the image of the interval that y_i can reach (Gowal et al. 2018,
  1810.12715);
* *tangent*: σ(y_i) = its tangent at y_i plus a deviation that is bounded over that interval, so
  f ≥ f(0) − max g·δ + Σ min(v_i · deviation_i), with the gradient g = Aᵀ(v ∘ σ'(y)) taken exactly
  over the perturbation (the parallel lines of Singh et al. 2018, fixed to the tangent; Zhang et
  al. 2018, 1811.00866, choose both lines freely);
* *curvature*: by Taylor's theorem f ≥ f(0) − max g·δ − ½‖δ‖² λ with λ the largest eigenvalue of
  Aᵀ diag(M|v|) A and M = sup|σ''|; none for relu, which has no second derivative.

Perturbations: L2 and L∞ balls, and any set of at most k neurons put at given values (zero or the
mean). Sizes are found by bisection over a grid and rounded down, so they stay sound.

Limits: float64 arithmetic without directed rounding; only the pooled state is perturbed, not the
weights of the dense layer or anything below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

from synapse_audit.findings.certificates.activation_bounds import Activation
from synapse_audit.memory import release_memory

Array = Float[np.ndarray, "..."]

EXACT_PAIRS = 45
"""Pairs of classes up to which each pair has its own eigenvalue; beyond, λ_pr ≤ λ_p + λ_r."""

WORK = 2**22
"""Numbers held at once per chunk of examples, about."""


@dataclass(frozen=True)
class DenseHead:
    """A head z = W σ(A u + c) + b, float64."""

    dense: Float[np.ndarray, "features neurons"]
    dense_bias: Float[np.ndarray, " features"]
    activation: Activation
    rows: Float[np.ndarray, "classes features"]
    bias: Float[np.ndarray, " classes"]

    def inputs(self, pooled: Float[np.ndarray, "examples neurons"]) -> Array:
        """y = A u + c."""
        return np.asarray(pooled.astype(np.float64) @ self.dense.T + self.dense_bias)

    @cached_property
    def bends(self) -> Float[np.ndarray, "classes classes"]:
        """λ of every pair of classes; NaN where the activation has no second derivative.

        With many classes λ_pr ≤ λ_p + λ_r, the eigenvalues for |W_p| and |W_r| alone (rows
        centred, which leaves v as it is): |v| ≤ |W_p| + |W_r|, and the eigenvalue is monotone and
        subadditive.
        """
        n = len(self.rows)
        if not np.isfinite(self.activation.bend):
            return np.full((n, n), np.nan)
        if n * (n - 1) // 2 > EXACT_PAIRS:
            alone = np.array([self._bend(row) for row in self.rows - self.rows.mean(axis=0)])
            return alone[:, None] + alone[None, :]
        found = np.zeros((n, n))
        for p, r in combinations(range(n), 2):
            found[p, r] = found[r, p] = self._bend(self.rows[p] - self.rows[r])
        return found

    def _bend(self, steer: Float[np.ndarray, " features"]) -> float:
        # Aᵀ diag(M|v|) A as SᵀS with S = diag(√(M|v|)) A (features, neurons): symmetric to the last
        # digit, so that ``eigvalsh`` may look at one half. The eigenvalues come ascending.
        scaled = np.sqrt(self.activation.bend * np.abs(steer))[:, None] * self.dense
        return float(np.linalg.eigvalsh(scaled.T @ scaled)[-1])

    def head_input(self, pooled: Float[np.ndarray, "examples neurons"]) -> Array:
        """σ(A u + c), what the last layer reads."""
        return self.activation.value(self.inputs(pooled))


def certified_radii(
    head: DenseHead,
    pooled: Float[np.ndarray, "examples neurons"],
    *,
    norm: str,
    grid: Float[np.ndarray, " sizes"],
) -> Float[np.ndarray, " examples"]:
    """Largest relative size of the grid at which no perturbation changes the prediction.

    Args:
        head: the head.
        pooled: final pooled states.
        norm: ``l2`` (relative to ‖u‖) or ``linf`` (relative to the root mean square of u's
            entries, so that equal numbers mean comparable perturbations).
        grid: ascending sizes; 0 is returned where not even the first holds.
    """
    return _largest(head, pooled, grid, lambda chunk, u: _Ball.of(head, chunk, u, norm))


def certified_counts(
    head: DenseHead,
    pooled: Float[np.ndarray, "examples neurons"],
    *,
    replacement: Float[np.ndarray, " neurons"],
    grid: Float[np.ndarray, " sizes"],
) -> Float[np.ndarray, " examples"]:
    """Largest k of the grid such that putting up to k neurons at ``replacement`` changes nothing.

    The gradient term is the sum of its k largest contributions; the reach of y_i the sum of the k
    largest entries of either sign of A_ij(u_j − replacement_j); ‖δ‖² the k largest squares.
    """
    counts = grid.astype(np.int64)
    return _largest(
        head, pooled, grid, lambda chunk, u: _Silencing.of(head, chunk, u - replacement, counts)
    )


# ---- what a perturbation can do -----------------------------------------------------------------


class _Reach(NamedTuple):
    """What perturbations of one size can do to each example of a chunk."""

    low: Float[np.ndarray, "examples features"]
    """y may fall to this."""
    high: Float[np.ndarray, "examples features"]
    slope: Float[np.ndarray, "examples classes"]
    """Largest g·δ per rival."""
    square: Float[np.ndarray, " examples"]
    """Largest ‖δ‖²."""


class _Perturbation(Protocol):
    """A kind of change of u, prepared for the examples of one chunk."""

    def reach(self, places: Int[np.ndarray, " examples"], sizes: Array) -> _Reach:
        """What changes of each example's own size can do.

        Args:
            places: index of each size in the grid.
            sizes: (examples,), relative or a number of neurons.
        """


@dataclass(frozen=True)
class _Chunk:
    """Some examples with everything that does not depend on the size of the perturbation."""

    y: Float[np.ndarray, "examples features"]
    lead: Float[np.ndarray, "examples classes"]
    """f(0) per rival; infinite for the predicted class itself."""
    steer: Float[np.ndarray, "examples classes features"]
    """v."""
    gradient: Float[np.ndarray, "examples classes neurons"]
    """g."""
    bend: Float[np.ndarray, "examples classes"]
    """λ; NaN where there is no curvature bound."""


@dataclass(frozen=True)
class _Ball:
    """All δ of an L2 or L∞ norm up to a radius."""

    y: Float[np.ndarray, "examples features"]
    unit: Float[np.ndarray, " examples"]
    """Norm of the perturbation at relative size 1."""
    rows: Float[np.ndarray, " features"]
    """Dual norm of each row of A."""
    slope: Float[np.ndarray, "examples classes"]
    """Dual norm of g."""
    spread: float
    """Largest ‖δ‖² of the unit ball: 1, or the number of neurons."""

    @classmethod
    def of(cls, head: DenseHead, chunk: _Chunk, u: Array, norm: str) -> _Ball:
        """For the pooled states ``u`` (examples, neurons) of a chunk; ``norm``: l2 or linf."""
        # max of a·δ over ‖δ‖ ≤ r is r times the dual norm of a: L2 of L2, L1 of L∞ (Hölder).
        dual = 2 if norm == "l2" else 1
        n = u.shape[1]
        unit = np.linalg.norm(u, axis=1) / (1.0 if norm == "l2" else np.sqrt(n))
        rows = np.linalg.norm(head.dense, ord=dual, axis=1)
        slope = np.linalg.norm(chunk.gradient, ord=dual, axis=2)
        return cls(chunk.y, unit, rows, slope, 1.0 if norm == "l2" else float(n))

    def reach(self, places: Int[np.ndarray, " examples"], sizes: Array) -> _Reach:
        """Balls of these sizes, relative to each state's own norm (or root mean square)."""
        radius = (sizes * self.unit)[:, None]
        y, wide = self.y, radius * self.rows
        return _Reach(y - wide, y + wide, radius * self.slope, radius[:, 0] ** 2 * self.spread)


@dataclass(frozen=True)
class _Silencing:
    """All sets of at most k neurons, each put at its replacement."""

    y: Float[np.ndarray, "examples features"]
    falls: Float[np.ndarray, "examples features sizes"]
    """How far any k neurons can lower y, for each k."""
    rises: Float[np.ndarray, "examples features sizes"]
    slope: Float[np.ndarray, "examples classes sizes"]
    square: Float[np.ndarray, "examples sizes"]

    @classmethod
    def of(
        cls, head: DenseHead, chunk: _Chunk, change: Array, counts: Int[np.ndarray, " sizes"]
    ) -> _Silencing:
        """For ``change`` = u − replacement (examples, neurons); ``counts``: every k of the grid."""
        # What each neuron j takes off y_i when it is put at its replacement: A_ij (u_j − r_j),
        # (examples, features, neurons). The worst k of them are the k largest of one sign.
        shares = (head.dense[None] * change[:, None, :]).astype(np.float32)
        shares.sort(axis=2)
        return cls(
            chunk.y,
            falls=_top_sums(shares[:, :, ::-1], counts),
            rises=_top_sums(-shares, counts),
            slope=_top_sums(np.sort(chunk.gradient * change[:, None, :])[:, :, ::-1], counts),
            square=_top_sums(np.sort(change**2)[:, ::-1], counts),
        )

    def reach(self, places: Int[np.ndarray, " examples"], sizes: Array) -> _Reach:
        """Read off the sums: ``places`` says which k is meant, ``sizes`` repeats it."""
        rows = np.arange(len(places))
        return _Reach(
            self.y - self.falls[rows, :, places],
            self.y + self.rises[rows, :, places],
            self.slope[rows, :, places],
            self.square[rows, places],
        )


def _top_sums(descending: Array, counts: Int[np.ndarray, " sizes"]) -> Array:
    """Sums of the k first positive entries of the last axis, for every k of ``counts``.

    A millionth is added, which float32 entries may be short of.
    """
    # Segments between neighbouring counts, summed once each and then accumulated.
    starts = np.concatenate([[0], counts[:-1]])
    shown = np.maximum(descending[..., : counts[-1]], 0.0)
    parts = np.add.reduceat(shown, starts, axis=-1, dtype=np.float64)
    return np.asarray(parts.cumsum(axis=-1) * (1 + 1e-6))


# ---- the bounds ---------------------------------------------------------------------------------


def _holds(head: DenseHead, chunk: _Chunk, reach: _Reach) -> Bool[np.ndarray, " examples"]:
    """Whether the predicted class keeps its lead over every rival, by any of the bounds."""
    act = head.activation
    # f(δ) is the lead over a rival: f(0) + g·δ + Σ v_i e_i, with e_i how far σ(y_i + …) is from its
    # tangent at y_i. All three bounds are lower ones, so their largest is too; a rival that any of
    # them keeps behind stays behind.
    # 1. Tangent: worst slope, and each e_i at its own worst within y's reach.
    low, high = act.deviation(chunk.y, reach.low, reach.high)
    tangent = chunk.lead - reach.slope + _least(chunk.steer, low, high)
    # 2. Intervals: σ(y_i) anywhere in its image, without the tangent: better for large reaches.
    value = act.value(chunk.y)
    image = act.image(reach.low, reach.high)
    interval = chunk.lead + _least(chunk.steer, image[0] - value, image[1] - value)
    # 3. Curvature: g·δ − λ‖δ‖²/2: better for small ones. NaN where σ has no second derivative,
    # which ``fmax`` passes over.
    curved = chunk.lead - reach.slope - 0.5 * reach.square[:, None] * chunk.bend
    return np.asarray(np.fmax(np.maximum(tangent, interval), curved).min(axis=1) > 0)


def _least(steer: Array, low: Array, high: Array) -> Array:
    """Σ_i min of v_i·e_i over e_i from low to high: v·middle − |v|·half the width."""
    middle, half = (low + high) / 2, (high - low) / 2
    spread = np.matmul(np.abs(steer), half[:, :, None])
    return np.asarray((np.matmul(steer, middle[:, :, None]) - spread)[:, :, 0])


# ---- the search ---------------------------------------------------------------------------------


def _largest(
    head: DenseHead,
    pooled: Float[np.ndarray, "examples neurons"],
    grid: Float[np.ndarray, " sizes"],
    perturb: Callable[[_Chunk, Array], _Perturbation],
) -> Float[np.ndarray, " examples"]:
    """Largest size of the grid at which the bound holds, per example, by bisection; 0 for none."""
    sizes = np.concatenate([[0.0], grid])
    found = np.zeros(len(pooled))
    for rows, chunk, u in _chunks(head, pooled):
        perturbation = perturb(chunk, u)
        low, high = np.zeros(len(u), dtype=np.int64), np.full(len(u), len(grid))
        while (low < high).any():
            # Rounded up, so that low < high always moves; ``sizes[0]`` = 0 holds without a test.
            middle = (low + high + 1) // 2
            reach = perturbation.reach(np.maximum(middle - 1, 0), sizes[middle])
            holds = _holds(head, chunk, reach)
            low, high = np.where(holds, middle, low), np.where(holds, high, middle - 1)
        found[rows] = sizes[low]
        release_memory()
    return found


def _chunks(
    head: DenseHead, pooled: Float[np.ndarray, "examples neurons"]
) -> Iterator[tuple[slice, _Chunk, Array]]:
    features, neurons = head.dense.shape
    step = max(1, WORK // (max(features, len(head.rows)) * max(neurons, features)))
    for start in range(0, len(pooled), step):
        rows = slice(start, start + step)
        u = pooled[rows].astype(np.float64)
        y = head.inputs(u)
        logits = head.activation.value(y) @ head.rows.T + head.bias
        predicted = logits.argmax(axis=1)
        # v = W_p − W_r of every example and rival r: (examples, classes, features). The row of the
        # predicted class itself is 0, and its lead infinite, so that it never decides.
        steer = head.rows[predicted][:, None] - head.rows[None]
        lead = logits.max(axis=1, keepdims=True) - logits
        lead[np.arange(len(u)), predicted] = np.inf
        # g = Aᵀ(v ∘ σ'(y)): (examples, classes, features) @ (features, neurons).
        gradient = np.matmul(steer * head.activation.slope(y)[:, None], head.dense)
        yield rows, _Chunk(y, lead, steer, gradient, head.bends[predicted]), u
