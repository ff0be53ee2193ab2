"""Random numbers that depend on their key alone, never on the order of execution."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def keyed_normal(
    keys: Int[Tensor, " cells"],
    examples: Int[Tensor, "*keyed examples"],
    token: Int[Tensor, "*keyed examples"],
    width: int,
) -> Float[Tensor, "cells examples neurons"]:
    """Standard normal numbers that depend on their key alone (SplitMix64, then Box–Muller).

    ``examples`` and ``token`` are the same for all cells, or (cells, examples).
    """
    neuron = torch.arange(width, device=keys.device, dtype=torch.int64)
    row = _mix(_mix(keys[:, None] + examples) + token)
    bits = _mix(row[..., None] + neuron)
    # 24 bits each, shifted off zero so that the logarithm is finite.
    first = ((bits & 0xFFFFFF).float() + 0.5) / 2**24
    second = ((bits >> 24) & 0xFFFFFF).float() / 2**24
    return torch.sqrt(-2 * torch.log(first)) * torch.cos(2 * torch.pi * second)


def keyed_integer(
    keys: Int[Tensor, " cells"], examples: Int[Tensor, "*keyed examples"], below: int
) -> Int[Tensor, "cells examples"]:
    """Uniform integers from 0 to ``below`` − 1 (the bias of the remainder is below 1e-15)."""
    return (_mix(keys[:, None] + examples) & (2**62 - 1)).remainder(below)


def _mix(value: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """SplitMix64's finaliser (Steele et al. 2014) on int64, whose arithmetic wraps around."""
    value = value * -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed number
    value = (value ^ _shift(value, 30)) * -4658895280553007687  # 0xBF58476D1CE4E5B9
    value = (value ^ _shift(value, 27)) * -7723592293110705685  # 0x94D049BB133111EB
    return value ^ _shift(value, 31)


def _shift(value: Int[Tensor, "*shape"], by: int) -> Int[Tensor, "*shape"]:
    """Logical shift to the right: torch's own is arithmetic."""
    return (value >> by) & ((1 << (64 - by)) - 1)
