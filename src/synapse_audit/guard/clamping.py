"""Clamps the state that the head reads to its calibrated range, and leaves all other tokens.

Where the head reads a mean, every token that it reads is moved by as much as the mean has to move.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from synapse_audit.model import Pooling


def clamped(
    states: Tensor,
    pooling: Pooling,
    low: Float[Tensor, "... neurons"],
    high: Float[Tensor, "... neurons"],
) -> Tensor:
    """New states, (examples, ..., neurons), whose pooled state lies within its range.

    A state that is no number becomes the lower end: it must not spread.
    """
    pooled = pooling.gather(states)
    inside = within(pooled, low, high)
    tokens = pooling.tokens(states)
    changed = tokens.clone()
    if pooling.single:
        place = pooling.beside(states).place
        changed[torch.arange(len(tokens), device=tokens.device), place] = inside
        return changed.reshape(states.shape)
    read = pooling.beside(states).read(tokens.shape[1])[..., None]
    moved = tokens + torch.where(read, (inside - pooled)[:, None], torch.zeros_like(tokens))
    return moved.reshape(states.shape)


def within(
    rows: Float[Tensor, "... neurons"],
    low: Float[Tensor, "... neurons"],
    high: Float[Tensor, "... neurons"],
) -> Float[Tensor, "... neurons"]:
    """Each neuron in its range, in the number format of the rows."""
    low, high = low.to(rows), high.to(rows)
    known = torch.where(rows.isnan(), low.expand_as(rows), rows)
    return torch.minimum(torch.maximum(known, low), high)
