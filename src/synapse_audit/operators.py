"""What can be done to neurons: rewrites of their activations, vectorised over cells.

Every operator is the same small formula with other numbers,

    x' = gain · x + offset + noise · ε,   ε ~ N(0, 1),

so that many cells can be stacked into one product and every route shares one code path. Neurons
outside the set have gain 1, offset 0, noise 0: an empty set is exactly the identity (the published
SYNAPSE code silenced everything at 0 %). Adding an operator = one function and one line in
``OPERATORS``.

ε is a pure function of (seed, action, example, layer, token, neuron), never of execution order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from synapse_audit.artifacts import Cell, LayerStatistics
from synapse_audit.errors import UsageError, choices

Neurons = Float[np.ndarray, " neurons"]


@dataclass(frozen=True)
class Rewrite:
    """Numbers of the formula for every neuron of one layer, float32."""

    gain: Neurons
    offset: Neurons
    noise: Neurons


Operator = Callable[[LayerStatistics, float | None], Rewrite]
"""(statistics of the layer over ``fit``, strength) → the rewrite of all its neurons."""


def mean(statistics: LayerStatistics, strength: float | None) -> Rewrite:
    """Replaces a neuron by its ``fit`` mean: removes information, keeps the operating point."""
    none = np.zeros_like(statistics.mean)
    return Rewrite(gain=none, offset=statistics.mean, noise=none)


def zero(statistics: LayerStatistics, strength: float | None) -> Rewrite:
    """Replaces a neuron by 0, as the SYNAPSE paper does.

    Limits: far outside a neuron's range where its mean is large, so it harms even where the neuron
    carries no information; read it beside ``mean``.
    """
    none = np.zeros_like(statistics.mean)
    return Rewrite(gain=none, offset=none, noise=none)


def noise(statistics: LayerStatistics, strength: float | None) -> Rewrite:
    """Adds Gaussian noise of ``strength`` times the neuron's own spread over ``fit``."""
    sigma = _required("noise", strength) * statistics.spread
    return Rewrite(np.ones_like(sigma), np.zeros_like(sigma), sigma)


def scale(statistics: LayerStatistics, strength: float | None) -> Rewrite:
    """Multiplies a neuron by ``strength`` (the paper's attenuation by α is strength 1 − α)."""
    none = np.zeros_like(statistics.mean)
    return Rewrite(np.full_like(none, _required("scale", strength)), none, none)


def flip(statistics: LayerStatistics, strength: float | None) -> Rewrite:
    """Changes a neuron's sign."""
    none = np.zeros_like(statistics.mean)
    return Rewrite(np.full_like(none, -1.0), none, none)


OPERATORS: dict[str, Operator] = {
    "mean": mean,
    "zero": zero,
    "noise": noise,
    "scale": scale,
    "flip": flip,
}

DEFAULT_STRENGTH: dict[str, float | None] = {"noise": 1.0, "scale": 0.5}
"""Strength of an operator where the configuration names none."""


@dataclass(frozen=True)
class LayerRewrite:
    """The rewrites of several cells at one layer, ready to apply."""

    gain: Float[Tensor, "cells neurons"]
    offset: Float[Tensor, "cells neurons"]
    noise: Float[Tensor, "cells neurons"] | None
    keys: Int[Tensor, " cells"]
    """One random key per cell, already mixed with the layer."""

    def __call__(
        self,
        states: Float[Tensor, "cells examples neurons"],
        examples: Int[Tensor, " examples"],
        token: Int[Tensor, " examples"],
    ) -> Float[Tensor, "cells examples neurons"]:
        """The rewritten states; ``examples`` and ``token`` key the noise."""
        changed = torch.addcmul(self.offset[:, None], states, self.gain[:, None].to(states.dtype))
        if self.noise is None:
            return changed
        epsilon = keyed_normal(self.keys, examples, token, states.shape[-1])
        return changed + self.noise[:, None] * epsilon.to(states.dtype)


def compile_rewrites(
    cells: Sequence[Cell], statistics: Sequence[LayerStatistics], *, seed: int, device: str
) -> dict[int, LayerRewrite]:
    """Layer → the rewrites of all ``cells`` there (identity for cells that leave it alone).

    Raises:
        UsageError: an unknown operator, or one that needs a strength and has none.
    """
    layers = sorted(
        {layer for cell in cells for layer in (cell.neurons.layers if cell.neurons else ())}
    )
    return {m: _compile_layer(cells, statistics[m], m, seed=seed, device=device) for m in layers}


def _compile_layer(
    cells: Sequence[Cell], statistics: LayerStatistics, layer: int, *, seed: int, device: str
) -> LayerRewrite:
    width = len(statistics.mean)
    gain = np.ones((len(cells), width), dtype=np.float32)
    offset, sigma = np.zeros_like(gain), np.zeros_like(gain)
    for row, cell in enumerate(cells):
        chosen = cell.neurons.by_layer.get(layer) if cell.neurons is not None else None
        if chosen is None:
            continue
        rewrite = operator(cell.operator)(statistics, cell.strength)
        gain[row, chosen] = rewrite.gain[chosen]
        offset[row, chosen] = rewrite.offset[chosen]
        sigma[row, chosen] = rewrite.noise[chosen]
    keys = [_key(seed, cell.action, layer) for cell in cells]
    return LayerRewrite(
        gain=torch.from_numpy(gain).to(device),
        offset=torch.from_numpy(offset).to(device),
        noise=torch.from_numpy(sigma).to(device) if sigma.any() else None,
        keys=torch.tensor(keys, dtype=torch.int64, device=device),
    )


def operator(name: str) -> Operator:
    """The operator of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in OPERATORS:
        raise UsageError(f"operator '{name}' given; {choices(name, OPERATORS)}")
    return OPERATORS[name]


def keyed_normal(
    keys: Int[Tensor, " cells"],
    examples: Int[Tensor, " examples"],
    token: Int[Tensor, " examples"],
    width: int,
) -> Float[Tensor, "cells examples neurons"]:
    """Standard normal numbers that depend on their key alone (SplitMix64, then Box–Muller)."""
    neuron = torch.arange(width, device=keys.device, dtype=torch.int64)
    row = _mix(_mix(keys[:, None] + examples) + token)
    bits = _mix(row[..., None] + neuron)
    # 24 bits each, shifted off zero so that the logarithm is finite.
    first = ((bits & 0xFFFFFF).float() + 0.5) / 2**24
    second = ((bits >> 24) & 0xFFFFFF).float() / 2**24
    return torch.sqrt(-2 * torch.log(first)) * torch.cos(2 * torch.pi * second)


def _mix(value: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """SplitMix64's finaliser (Steele et al. 2014) on int64, whose arithmetic wraps around."""
    value = value * -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed number
    value = (value ^ _shift(value, 30)) * -4658895280553007687  # 0xBF58476D1CE4E5B9
    value = (value ^ _shift(value, 27)) * -7723592293110705685  # 0x94D049BB133111EB
    return value ^ _shift(value, 31)


def _shift(value: Int[Tensor, "*shape"], by: int) -> Int[Tensor, "*shape"]:
    """Logical shift to the right: torch's own is arithmetic."""
    return (value >> by) & ((1 << (64 - by)) - 1)


def _key(seed: int, action: str, layer: int) -> int:
    words = np.random.SeedSequence([seed, int(action, 16), layer]).generate_state(1, np.uint64)
    return int(words.view(np.int64)[0])


def _required(name: str, strength: float | None) -> float:
    if strength is None:
        raise UsageError(f"operator '{name}' given without a strength; expected a number")
    return strength
