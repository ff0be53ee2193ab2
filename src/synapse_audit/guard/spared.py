"""Attacks on embeddings that leave alone what is the same for every clean input.

In: a guarded model. Out: what of the embeddings is free to move, and noise on that alone. Where the
head reads a first token [CLS], its embedding is the same for every text, and the detector sees
whatever moves it. An attacker who knows that moves the other tokens only; figures of attacks that
move all tokens say nothing about such a one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from synapse_audit.guard.attacks import INPUT_NOISES, Attack, input_noise
from synapse_audit.guard.guarded import GuardedModel
from synapse_audit.model import Batch

SPARED = "pooled token left alone"
"""Of which neurons of its embedding that vary over clean inputs move all the same."""


def never_varied(guarded: GuardedModel) -> Bool[np.ndarray, " neurons"]:
    """Neurons of the pooled embedding that are the same for every clean input, and count."""
    scorer = guarded.guard.detector.scorers[0]
    found: np.ndarray = np.isinf(scorer.spread) & np.isfinite(scorer.unit)
    return found


def free_to_move(
    guarded: GuardedModel, batch: Batch, states: Float[Tensor, "examples tokens neurons"]
) -> Float[Tensor, "examples tokens neurons"]:
    """1 where an embedding may be moved, 0 where the detector would see it at once."""
    read = guarded.classifier.pooling(batch).beside(states).read(states.shape[1])
    still = torch.from_numpy(never_varied(guarded)).to(read.device)
    return (~(read[..., None] & still)).to(states)


def spared_noise(guarded: GuardedModel, *, draws: int, seed: int) -> Iterator[Attack]:
    """Noise on the embeddings as in ``all_attacks``, where something is to be left alone."""
    if not never_varied(guarded).any():
        return

    def free(batch: Batch, states: Tensor) -> Tensor:
        return free_to_move(guarded, batch, states)

    for size in INPUT_NOISES:
        noises = tuple(
            input_noise(guarded.classifier, size, [seed, 43, d], free=free) for d in range(draws)
        )
        yield Attack(f"input noise, {SPARED}", f"{size:g} of the RMS", noises, on_weights=False)
