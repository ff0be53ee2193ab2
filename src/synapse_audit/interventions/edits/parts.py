"""Which weights of a model are edited: the head, and parts of single blocks, found by structure.

In: the live model. Out: :class:`Part` records with copies of the weights. Nothing is known of the
architecture but its blocks: within a block, weights whose path says attention belong to it, the
last of them being its output projection; all other matrices are the MLP; the last norm's vector is
the gain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from synapse_audit.interventions.edits.bit_flips import Weights

HEAD, ATTENTION, MLP, GAIN = "head", "attention", "mlp", "gain"


@dataclass(frozen=True)
class Part:
    """Some named weights that are edited together."""

    name: str
    """head, attention (the output projection), mlp (all its matrices) or gain (the last norm)."""
    layer: int | None
    """The block that they belong to, 1 to L; None for the head."""
    weights: Weights
    """Float32 copies."""

    @property
    def last(self) -> tuple[str, Float32[np.ndarray, "..."]]:
        """Name and values of the last weight: the one that writes into the block's output."""
        return list(self.weights.items())[-1]


def find_parts(
    model: nn.Module, output_layer: nn.Linear, blocks: Sequence[nn.Module], layers: Iterable[int]
) -> tuple[Part, ...]:
    """The head and, of each block of ``layers``, its attention output, MLP and gain.

    A part is left out where a block has none, where its weights are not float32 (an edit is
    stated in float32 and could vanish in another format), or where an earlier block shares them.
    """
    names = {id(p): name for name, p in model.named_parameters() if p.dtype == torch.float32}
    found = [_part(HEAD, None, [output_layer.weight], names)]
    seen: set[int] = set()
    for layer in sorted(set(layers)):
        for name, weights in _of_block(blocks[layer - 1]).items():
            fresh = [weight for weight in weights if id(weight) not in seen]
            seen |= {id(weight) for weight in fresh}
            first = min((_first_block(weight, blocks) for weight in fresh), default=layer)
            found.append(_part(name, first, fresh, names))
    return tuple(part for part in found if part.weights)


def _part(name: str, layer: int | None, weights: Sequence[Tensor], names: dict[int, str]) -> Part:
    copies = {names[id(w)]: w.detach().cpu().numpy().copy() for w in weights if id(w) in names}
    return Part(name, layer, copies)


def _of_block(block: nn.Module) -> dict[str, list[nn.Parameter]]:
    attention: list[nn.Parameter] = []
    mlp: list[nn.Parameter] = []
    gains: list[nn.Parameter] = []
    for path, module in block.named_modules():
        weight = getattr(module, "weight", None)
        if not isinstance(weight, nn.Parameter) or isinstance(module, nn.Embedding):
            continue
        if weight.ndim == 2:
            (attention if "att" in path.lower() else mlp).append(weight)
        elif weight.ndim == 1 and "norm" in type(module).__name__.lower():
            gains.append(weight)
    return {ATTENTION: attention[-1:], MLP: mlp, GAIN: gains[-1:]}


def _first_block(weight: nn.Parameter, blocks: Sequence[nn.Module]) -> int:
    """The first block that holds a weight: some models share theirs."""
    return next(
        number
        for number, block in enumerate(blocks, start=1)
        if any(parameter is weight for parameter in block.parameters())
    )
