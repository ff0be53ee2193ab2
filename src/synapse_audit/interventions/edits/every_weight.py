"""All weights of a model by kind of tensor and block: where a random fault may fall.

In: the live model. Out: :class:`Part` records. Nothing is known of the architecture but its blocks
and its output layer.

| part | what |
|---|---|
| embeddings | tables of embeddings |
| attention | matrices of a block whose path says attention |
| mlp | all other matrices of a block |
| norm | vectors of norms, wherever they are |
| bias | other vectors of a block |
| other | what is left outside blocks: poolers, projections |
| head | the output layer, with its bias |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import torch
from torch import nn

from synapse_audit.interventions.edits.parts import ATTENTION, HEAD, MLP, Part

EMBEDDINGS, NORM, BIAS, OTHER = "embeddings", "norm", "bias", "other"

KINDS = (EMBEDDINGS, ATTENTION, MLP, NORM, BIAS, OTHER, HEAD)
"""Kinds of tensors, in the order of tables."""


def every_weight(
    model: nn.Module, output_layer: nn.Linear, blocks: Sequence[nn.Module]
) -> tuple[Part, ...]:
    """Every float32 weight once, by kind and first block that holds it.

    ``layer`` is None for the head and 0 for everything else outside blocks, which may come before
    the first of them. A weight in another number format is left out: an edit is stated in float32
    and could vanish in it. On a CPU nothing is copied.
    """
    owners = {id(p): module for module in model.modules() for p in module.parameters(False)}
    heads = {id(p) for p in output_layer.parameters()}
    layers = _first_blocks(blocks)
    found = []
    for name, weight in model.named_parameters():
        if weight.dtype == torch.float32 and weight.numel():
            layer = None if id(weight) in heads else layers.get(id(weight), 0)
            kind = HEAD if layer is None else _kind(name, weight, owners[id(weight)], layer)
            found.append(((KINDS.index(kind), layer or 0), layer, name, weight))
    found.sort(key=lambda one: one[0])  # stable: the model's own order within
    return tuple(_part(group) for _, group in groupby(found, key=lambda one: one[0]))


def weights_of(parts: Sequence[Part]) -> dict[str, int]:
    """Kind → how many numbers of it the model has."""
    counts: dict[str, int] = {}
    for part in parts:
        size = sum(weight.size for weight in part.weights.values())
        counts[part.name] = counts.get(part.name, 0) + size
    return counts


def _part(group: object) -> Part:
    rows = list(group)  # type: ignore[call-overload]
    (kind, _), layer, *_ = rows[0]
    weights = {name: weight.detach().cpu().numpy() for *_, name, weight in rows}
    return Part(KINDS[kind], layer, weights)


def _kind(name: str, weight: nn.Parameter, owner: nn.Module, layer: int) -> str:
    if isinstance(owner, nn.Embedding):
        return EMBEDDINGS
    if "norm" in type(owner).__name__.lower():
        return NORM
    if not layer:
        return OTHER
    if weight.ndim == 1:
        return BIAS
    return ATTENTION if "att" in name.lower() else MLP


def _first_blocks(blocks: Sequence[nn.Module]) -> Mapping[int, int]:
    """Weight → the first block that holds it: some models share theirs."""
    found: dict[int, int] = {}
    for layer, block in enumerate(blocks, start=1):
        for weight in block.parameters():
            found.setdefault(id(weight), layer)
    return found
