"""Clamps the state that the head reads to its calibrated range, and leaves all other tokens.

Where the head reads a mean, every token that it reads is moved by as much as the mean has to move.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from synapse_audit.model import Pooling


def clamp_first(
    row: Float[Tensor, "examples neurons"],
    low: Float[Tensor, "... neurons"],
    high: Float[Tensor, "... neurons"],
) -> None:
    """The same in place for a view of the first token: what serving costs is counted."""
    torch.fmax(row, low, out=row)
    torch.fmin(row, high, out=row)


def clamp_pooled(
    states: Tensor,
    pooling: Pooling,
    low: Float[Tensor, "... neurons"],
    high: Float[Tensor, "... neurons"],
) -> Tensor:
    """States (examples, ..., neurons) whose pooled state lies within its range.

    Where one token is read it is changed in place: the block's output belongs to this pass, and
    copying all other tokens would cost more than the rest of the guard. A state that is no number
    becomes the lower end: it must not spread.
    """
    pooled = pooling.gather(states)
    inside = within(pooled, low, high)
    if pooling.single:
        tokens = pooling.tokens(states)  # a view wherever that can be had
        tokens[torch.arange(len(tokens), device=tokens.device), pooling.beside(states).place] = (
            inside
        )
        return tokens.reshape(states.shape)
    tokens = pooling.tokens(states)
    read = pooling.beside(states).read(tokens.shape[1])[..., None]
    moved = tokens + torch.where(read, (inside - pooled)[:, None], torch.zeros_like(tokens))
    return moved.reshape(states.shape)


def within(
    rows: Float[Tensor, "... neurons"],
    low: Float[Tensor, "... neurons"],
    high: Float[Tensor, "... neurons"],
) -> Float[Tensor, "... neurons"]:
    """Each neuron in its range, in the number format of the rows."""
    # fmax and fmin pass over what is no number, where clamp would keep it.
    return torch.fmin(torch.fmax(rows, low.to(rows)), high.to(rows))
