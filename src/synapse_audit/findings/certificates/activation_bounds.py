"""Activations of a dense layer, with what bounds need to know of each.

| name | image over an interval | deviation from the tangent is extreme at |
|---|---|---|
| tanh | its ends | the ends, the tangent's own point, its mirror image (where slopes are equal) |
| relu | its ends | the ends, the tangent's own point (convex, so never below 0) |
| gelu | its ends, and −0.1700 where the interval holds −0.7518 | bounded by ½σ''·(distance)² |

gelu is x Φ(x) (Hendrycks & Gimpel 2016, 1606.08415, not its tanh approximation), with
σ' = Φ + x φ and σ'' = φ(x)(2 − x²), itself extreme at 0 and ±2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

Array = Float[np.ndarray, "*shape"]


class Range(NamedTuple):
    """Bounds, elementwise."""

    low: Array
    high: Array


class Activation(NamedTuple):
    """One activation σ, float64."""

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    image: Callable[[Array, Array], Range]
    """(low, high) → bounds of σ over the interval."""
    deviation: Callable[[Array, Array, Array], Range]
    """(centre, low, high) → bounds of σ(t) − σ(centre) − σ'(centre)(t − centre) over the interval.

    The centre lies in the interval, so the bounds enclose 0.
    """
    bend: float
    """sup |σ''|; infinite where there is none."""


def _ends(value: Callable[[Array], Array]) -> Callable[[Array, Array], Range]:
    return lambda low, high: Range(value(low), value(high))


# ---- tanh ----------------------------------------------------------------------------------------


def _tanh_slope(y: Array) -> Array:
    return np.asarray(1.0 - np.tanh(y) ** 2)


def _tanh_deviation(centre: Array, low: Array, high: Array) -> Range:
    return _extremes(TANH, centre, (low, high, np.clip(-centre, low, high)))


# ---- relu ----------------------------------------------------------------------------------------


def _relu(y: Array) -> Array:
    return np.asarray(np.maximum(y, 0.0))


def _relu_slope(y: Array) -> Array:
    return np.asarray((y > 0).astype(np.float64))


def _relu_deviation(centre: Array, low: Array, high: Array) -> Range:
    return _extremes(RELU, centre, (low, high))


# ---- gelu ----------------------------------------------------------------------------------------

_GELU_LOWEST = -0.7517915246935645


def _gelu(y: Array) -> Array:
    return np.asarray(y * ndtr(y))


def _normal(y: Array) -> Array:
    return np.asarray(np.exp(-0.5 * y**2) / np.sqrt(2 * np.pi))


def _gelu_slope(y: Array) -> Array:
    return np.asarray(ndtr(y) + y * _normal(y))


def _gelu_bend(y: Array) -> Array:
    return np.asarray(_normal(y) * (2.0 - y**2))


def _gelu_image(low: Array, high: Array) -> Range:
    ends = _gelu(low), _gelu(high)
    return Range(_gelu(np.clip(_GELU_LOWEST, low, high)), np.maximum(*ends))


def _gelu_deviation(centre: Array, low: Array, high: Array) -> Range:
    """Taylor–Lagrange: ½σ''(ξ)(t − centre)² with ξ in the interval."""
    bends = [_gelu_bend(np.clip(at, low, high)) for at in (low, high, -2.0, 0.0, 2.0)]
    square = 0.5 * np.maximum(centre - low, high - centre) ** 2
    least, most = np.minimum.reduce(bends), np.maximum.reduce(bends)
    return Range(square * np.minimum(least, 0.0), square * np.maximum(most, 0.0))


def _extremes(act: Activation, centre: Array, candidates: tuple[Array, ...]) -> Range:
    """Least and largest deviation over points that hold its extremes; it is 0 at the centre."""
    value, slope = act.value(centre), act.slope(centre)
    found = [act.value(t) - value - slope * (t - centre) for t in candidates]
    zero = np.zeros_like(centre)
    return Range(np.minimum.reduce([zero, *found]), np.maximum.reduce([zero, *found]))


TANH = Activation(np.tanh, _tanh_slope, _ends(np.tanh), _tanh_deviation, 4 / (3 * np.sqrt(3)))
RELU = Activation(_relu, _relu_slope, _ends(_relu), _relu_deviation, float("inf"))
GELU = Activation(_gelu, _gelu_slope, _gelu_image, _gelu_deviation, 2 / np.sqrt(2 * np.pi))

ACTIVATIONS: dict[str, Activation] = {"tanh": TANH, "relu": RELU, "gelu": GELU}
"""The ``activation`` of a dense layer → what is known of it."""
