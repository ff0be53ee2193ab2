"""What can be done to neurons: the formula of every operator.

Every operator is the same small formula with other numbers,

    x' = clip(gain · x + offset + noise · ε + swap · x_other, low, high),   ε ~ N(0, 1),

so that many cells can be stacked into one product and every route shares one code path. Neurons
outside the set have gain 1 and nothing else: an empty set is exactly the identity (the published
SYNAPSE code silenced everything at 0 %). Adding an operator = one function and one line in
``OPERATORS``.

ε is a pure function of (seed, action, example, layer, token, neuron), and the other example x_other
one of (seed, action, example), never of execution order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from synapse_audit.artifacts import Cell, LayerStatistics
from synapse_audit.errors import UsageError, choices

Neurons = Float[np.ndarray, " neurons"]
T = TypeVar("T")


@dataclass(frozen=True)
class Rewrite:
    """Numbers of the formula for every neuron of one layer, float32."""

    gain: Neurons
    offset: Neurons
    noise: Neurons | None = None
    swap: Neurons | None = None
    """1 where the value comes from another example."""
    low: Neurons | None = None
    high: Neurons | None = None


Operator = Callable[[LayerStatistics, Cell], Rewrite]
"""(statistics of the layer over ``fit``, the cell) → the rewrite of all its neurons."""


def mean(statistics: LayerStatistics, cell: Cell) -> Rewrite:
    """Replaces a neuron by its ``fit`` mean: removes information, keeps the operating point."""
    return _constant(statistics.mean)


def zero(statistics: LayerStatistics, cell: Cell) -> Rewrite:
    """Replaces a neuron by 0, as the SYNAPSE paper does.

    Limits: far outside a neuron's range where its mean is large, so it harms even where the neuron
    carries no information; read it beside ``mean``.
    """
    return _constant(np.zeros_like(statistics.mean))


def class_mean(statistics: LayerStatistics, cell: Cell) -> Rewrite:
    """Replaces a neuron by its mean over the ``fit`` examples of the class ``cell.target``."""
    return _constant(_class_mean(statistics, cell, cell.target))


def patch(statistics: LayerStatistics, cell: Cell) -> Rewrite:
    """Replaces a neuron by its value on one other input, the ``fit`` example ``cell.donor``.

    Source: activation patching; Vig et al. 2020 (arXiv 2004.12265).

    Raises:
        UsageError: no donor, or none of the examples that the statistics keep.
    """
    bank = _kept(statistics.bank, cell)
    if cell.donor is None or not 0 <= cell.donor < len(bank):
        raise UsageError(
            f"operator 'patch' with donor {cell.donor} given; expected 0 to {len(bank) - 1}"
        )
    return _constant(np.asarray(bank[cell.donor], dtype=np.float32))


def resample(statistics: LayerStatistics, cell: Cell) -> Rewrite:
    """Replaces a neuron by its value on another input, drawn from ``fit`` for every example.

    One donor per example serves all layers, so that what is put in is consistent. Removes what a
    neuron says about this input while keeping every value one that occurs (resampling ablation).
    """
    _kept(statistics.bank, cell)
    none = np.zeros_like(statistics.mean)
    return Rewrite(gain=none, offset=none, swap=np.ones_like(none))


def translate(statistics: LayerStatistics, cell: Cell) -> Rewrite:
    """Adds ``strength`` · (μ of class ``target`` − μ of class ``source``).

    Without a source class, the mean over all of ``fit`` stands in its place. Source: Antverg &
    Belinkov 2022 (arXiv 2110.07483), section 4, who translate each example from its own class.
    """
    away = statistics.mean if cell.source is None else _class_mean(statistics, cell, cell.source)
    step = _class_mean(statistics, cell, cell.target) - away
    return Rewrite(np.ones_like(step), (_strength(cell) * step).astype(np.float32))


def clamp(statistics: LayerStatistics, cell: Cell) -> Rewrite:
    """Clips a neuron to its own 5th to 95th percentile over ``fit``: a defence's operator."""
    low, high = _kept(statistics.low, cell), _kept(statistics.high, cell)
    return Rewrite(np.ones_like(low), np.zeros_like(low), low=low, high=high)


def noise(statistics: LayerStatistics, cell: Cell) -> Rewrite:
    """Adds Gaussian noise of ``strength`` times the neuron's own spread over ``fit``."""
    return _noisy(_strength(cell) * statistics.spread)


def gaussian(statistics: LayerStatistics, cell: Cell) -> Rewrite:
    """Adds Gaussian noise with standard deviation ``strength``, as the SYNAPSE paper does.

    Limits: one σ is large for one neuron and nothing for another; ``noise`` uses each one's own.
    """
    return _noisy(np.full_like(statistics.mean, _strength(cell)))


def scale(statistics: LayerStatistics, cell: Cell) -> Rewrite:
    """Multiplies a neuron by ``strength`` (the paper's attenuation by α is strength 1 − α)."""
    none = np.zeros_like(statistics.mean)
    return Rewrite(np.full_like(none, _strength(cell)), none)


def negate(statistics: LayerStatistics, cell: Cell) -> Rewrite:
    """Changes a neuron's sign."""
    none = np.zeros_like(statistics.mean)
    return Rewrite(np.full_like(none, -1.0), none)


OPERATORS: dict[str, Operator] = {
    "mean": mean,
    "zero": zero,
    "noise": noise,
    "gaussian": gaussian,
    "scale": scale,
    "negate": negate,
    "resample": resample,
    "clamp": clamp,
    "class_mean": class_mean,
    "translate": translate,
    "patch": patch,
}

SINGLE = ("resample", "clamp", "class_mean", "translate", "patch")
"""Operators that read single values or class means, which are kept of the pooled position only."""

AIMED = ("class_mean", "translate", "patch")
"""Operators that push toward a class: they need a target, and are swept by groups of their own."""

DEFAULT_STRENGTH: dict[str, float | None] = {
    "noise": 1.0,
    "gaussian": 0.9,
    "scale": 0.5,
    "translate": 1.0,
}
"""Strength of an operator where the configuration names none."""


def _constant(value: Neurons) -> Rewrite:
    return Rewrite(gain=np.zeros_like(value), offset=value)


def _noisy(sigma: Neurons) -> Rewrite:
    return Rewrite(np.ones_like(sigma), np.zeros_like(sigma), noise=sigma)


def _strength(cell: Cell) -> float:
    if cell.strength is None:
        raise UsageError(f"operator '{cell.operator}' given without a strength; expected a number")
    return cell.strength


def _class_mean(statistics: LayerStatistics, cell: Cell, name: str | None) -> Neurons:
    means: Mapping[str, Neurons] = _kept(statistics.class_means, cell)
    if name is None or name not in means:
        raise UsageError(
            f"operator '{cell.operator}': class '{name}' given; {choices(str(name), means)}"
        )
    return means[name]


def _kept(values: T | None, cell: Cell) -> T:
    """What is known of single values: of the pooled position only."""
    if values is None:
        raise UsageError(
            f"operator '{cell.operator}' at position '{cell.position}' given; expected 'pooled': "
            "only means and spreads are kept of the other tokens"
        )
    return values


def operator(name: str) -> Operator:
    """The operator of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in OPERATORS:
        raise UsageError(f"operator '{name}' given; {choices(name, OPERATORS)}")
    return OPERATORS[name]
