"""Sites: the places of a model where neurons can be read and rewritten.

| site | what passes there | layers |
|---|---|---|
| block_output | a block's output, after residual and norm (0: the embeddings) | 0 to L |
| attention_head | what the attention output matrix reads: one slice per head | 1 to L |
| attention_output | what attention adds to the residual stream | 1 to L |
| mlp_output | what the MLP adds to the residual stream | 1 to L |
| mlp_activation | the MLP's inner activations, after the nonlinearity (often 4 H wide) | 1 to L |
| head_input | what the head's last linear layer reads | L |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from synapse_audit.artifacts import DenseLayer
from synapse_audit.errors import ModelError
from synapse_audit.model.families.record import Family
from synapse_audit.model.hooks import HookPoint, Side

BLOCK_OUTPUT = "block_output"
ATTENTION_HEAD = "attention_head"
ATTENTION_OUTPUT = "attention_output"
MLP_OUTPUT = "mlp_output"
MLP_ACTIVATION = "mlp_activation"
HEAD_INPUT = "head_input"

INNER = (ATTENTION_HEAD, ATTENTION_OUTPUT, MLP_OUTPUT, MLP_ACTIVATION)
"""Sites inside a block."""

SITES = (BLOCK_OUTPUT, *INNER, HEAD_INPUT)


def site_layers(site: str, n_layers: int) -> range:
    """The layers at which a site exists."""
    if site == BLOCK_OUTPUT:
        return range(n_layers + 1)
    return range(n_layers, n_layers + 1) if site == HEAD_INPUT else range(1, n_layers + 1)


def inner_hook_points(
    blocks: tuple[nn.Module, ...], family: Family, heads: int = 0
) -> dict[str, tuple[HookPoint, ...]]:
    """The sites inside the blocks that the record names and every block has.

    ``heads``: how many attention heads a block has; 0 where that is not known.
    """
    sites: dict[str, tuple[HookPoint, ...]] = {}
    where: dict[str, tuple[str | tuple[str, ...] | None, Side]] = {
        ATTENTION_HEAD: (family.attention_output, "input"),
        ATTENTION_OUTPUT: (family.attention_output, "output"),
        MLP_OUTPUT: (family.mlp_output, "output"),
        MLP_ACTIVATION: (family.mlp_output, "input"),
    }
    for name, (paths, side) in where.items():
        modules = [_first_of(block, paths) for block in blocks]
        found = tuple(module for module in modules if module is not None)
        if name == ATTENTION_HEAD and not all(_reads_heads(module, heads) for module in found):
            continue
        if len(found) == len(blocks):
            sites[name] = layer_hook_points(found, side)
    return sites


def attention_heads(module: nn.Module) -> int:
    """How many heads every block of a model has; 0 where its configuration does not say.

    Models with another number per stage, or per side of an encoder and decoder, have none here.
    """
    config: Any = getattr(module, "config", None)
    config = getattr(config, "vision_config", config)  # of the half that is audited (CLIP)
    names = ("num_attention_heads", "encoder_attention_heads", "decoder_attention_heads")
    found = [getattr(config, name, None) for name in names]
    numbers = [number for number in found if number is not None]
    same = len(numbers) > 0 and all(number == numbers[0] for number in numbers)
    return max(numbers[0], 0) if same and isinstance(numbers[0], int) else 0


def _reads_heads(module: nn.Module, heads: int) -> bool:
    """Whether it is a plain matrix whose input holds the heads side by side."""
    if not isinstance(module, nn.Linear) and type(module).__name__ != "Conv1D":
        return False
    # Conv1D of transformers keeps its weight as (inputs, outputs).
    weight: Any = module.weight
    width = int(weight.shape[1 if isinstance(module, nn.Linear) else 0])
    return heads > 0 and width % heads == 0


def layer_hook_points(modules: Sequence[nn.Module], side: Side) -> tuple[HookPoint, ...]:
    """One point per layer, 1 to L; layers that share a module are distinguished by the call."""
    calls: dict[int, list[int]] = {}
    for layer, module in enumerate(modules, start=1):
        calls.setdefault(id(module), []).append(layer)
    return tuple(
        HookPoint(module, side, layer, tuple(calls[id(module)]))
        for layer, module in enumerate(modules, start=1)
    )


class Stacks(NamedTuple):
    """The blocks in the order they run."""

    blocks: tuple[nn.Module, ...]
    resumable: int
    """Layers from this one on can be resumed from: the model hands their states straight on."""


def find_blocks(module: nn.Module, family: Family) -> Stacks:
    """The blocks that a record names.

    Raises:
        AttributeError: the module has no such part.
        ModelError: the part is no list of blocks.
    """
    paths = (family.blocks,) if isinstance(family.blocks, str) else family.blocks
    lists: list[list[nn.Module]] = []
    for path in paths:
        before, star, after = path.partition(".*.")
        parent = _first_of(module, tuple(before.split("|")))
        if parent is None:
            raise AttributeError(f"{type(module).__name__} has no {before.replace('|', ' or ')}")
        parts = [part.get_submodule(after) for part in parent.children()] if star else [parent]
        for part in parts:
            if not isinstance(part, nn.ModuleList):
                raise ModelError(
                    f"{family.name} record: {path} is {type(part).__name__}; expected ModuleList"
                )
            lists.append(list(part))
    if family.schedule is not None:
        lists = [[lists[0][entry] for entry in family.schedule(module.config)]]
    total = sum(map(len, lists))
    resumable = 0 if len(lists) == 1 else total - len(lists[-1]) + 1
    return Stacks(tuple(block for blocks in lists for block in blocks), resumable)


class Recorded(NamedTuple):
    """The parts that a record names."""

    stacks: Stacks
    embeddings: nn.Module
    output_layer: nn.Linear


def recorded_parts(module: nn.Module, family: Family, name: str) -> Recorded:
    """Looks up the parts that a record names.

    Raises:
        ModelError: its paths lead nowhere, or to no linear layer.
    """
    try:
        stacks = find_blocks(module, family)
        embeddings = module.get_submodule(family.embeddings)
        output_layer = module.get_submodule(family.output_layer)
    except AttributeError as error:
        raise ModelError(f"{family.name} record does not fit '{name}': {error}") from error
    if not isinstance(output_layer, nn.Linear):
        kind = f"{type(output_layer).__module__}.{type(output_layer).__name__}"
        raise ModelError(f"'{name}': {family.output_layer} is {kind}; expected torch's Linear")
    return Recorded(stacks, embeddings, output_layer)


def _first_of(module: nn.Module, paths: str | tuple[str, ...] | None) -> nn.Module | None:
    if paths is None or isinstance(paths, str):
        return _submodule(module, paths)
    return next((found for path in paths if (found := _submodule(module, path))), None)


def _submodule(module: nn.Module, path: str | None) -> nn.Module | None:
    try:
        return module.get_submodule(path) if path else None
    except AttributeError:
        return None


def dense_layer(module: nn.Module, family: Family) -> DenseLayer | None:
    """The head's dense layer before the last one; None where the record names none."""
    layer = _submodule(module, family.dense)
    if not isinstance(layer, nn.Linear) or family.activation is None:
        return None
    weight = layer.weight.detach().float().cpu().numpy().copy()
    bias = np.zeros(len(weight), np.float32)
    if layer.bias is not None:
        bias = layer.bias.detach().float().cpu().numpy().copy()
    return DenseLayer(weight, bias, family.activation)


def block_widths(inner: Mapping[str, Sequence[HookPoint]]) -> tuple[int, ...]:
    """Neurons of each block's output, read off the last linear map of its MLP or attention.

    Empty where those do not tell.
    """
    points = inner.get("mlp_output", inner.get("attention_output", ()))
    widths = [_outputs(point.module) for point in points]
    return tuple(width for width in widths if width is not None) if None not in widths else ()


def _outputs(module: nn.Module) -> int | None:
    # A linear layer, GPT-2's own Conv1D, PyTorch's attention.
    for name in ("out_features", "nf", "embed_dim"):
        if isinstance(getattr(module, name, None), int):
            return int(getattr(module, name))
    return None
