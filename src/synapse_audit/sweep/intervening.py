"""One cell's hooks or edit on the live model, for any forward pass the caller makes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from synapse_audit.artifacts import Cell
from synapse_audit.classifier import Batch, Classifier
from synapse_audit.edits import applied
from synapse_audit.hooks import OutputHook, forward_hooks, forward_pre_hooks
from synapse_audit.operators import LayerRewrite, compile_rewrites
from synapse_audit.sweep.clean import pooled_rows
from synapse_audit.sweep.site import Site


@contextmanager
def intervene(
    classifier: Classifier,
    cell: Cell,
    site: Site,
    *,
    seed: int = 0,
    examples: Int[Tensor, " examples"] | None = None,
) -> Iterator[None]:
    """Runs every forward pass inside the ``with`` under the cell's intervention.

    Args:
        classifier: the host; bit for bit as before when the block ends, however it ends.
        cell: a neuron or weight cell. Logit cells change nothing here: they act on the logits.
        site: statistics that the operators read.
        seed: keys the noise, together with ``examples`` (0, 1, 2, ... where not given).

    Raises:
        UsageError: the cell's operator is unknown, or its edit changes no weight.
    """
    if cell.edit is not None:
        with applied(classifier.model, classifier.output_layer, cell.edit):
            yield
        return
    pooled = compile_rewrites([cell], site.pooled, seed=seed, device=classifier.device)
    others: dict[int, LayerRewrite] = {}
    if cell.position == "all":
        others = compile_rewrites([cell], site.others, seed=seed, device=classifier.device)
    seen: list[Batch] = []

    signature = inspect.signature(classifier.model.forward)

    def note(arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
        given = signature.bind_partial(*arguments, **keywords).arguments
        given |= given.pop("kwargs", {})
        seen[:] = [{n: v for n, v in given.items() if isinstance(v, Tensor)}]

    def at(layer: int) -> OutputHook:
        def hook(states: Tensor) -> Tensor:
            place = classifier.pooled_index(seen[-1])
            numbers = (
                torch.arange(len(place), device=place.device) if examples is None else examples
            )
            return rewrite_tokens(states, pooled[layer], others.get(layer), place, numbers)

        return hook

    hooks = [(classifier.layer_module(layer), at(layer)) for layer in pooled]
    with forward_pre_hooks([(classifier.model, note)]), forward_hooks(hooks):
        yield


def rewrite_tokens(
    states: Float[Tensor, "examples tokens neurons"],
    pooled: LayerRewrite,
    others: LayerRewrite | None,
    place: Int[Tensor, " examples"],
    numbers: Int[Tensor, " examples"],
) -> Float[Tensor, "examples tokens neurons"]:
    """New states with the pooled row (and, where asked, all other rows) rewritten."""
    examples, tokens, width = states.shape
    if others is None:
        changed = states.clone()
    else:
        token = torch.arange(tokens, device=states.device).repeat(examples)
        flat = states.reshape(1, examples * tokens, width)
        changed = others(flat, numbers.repeat_interleave(tokens), token).reshape(states.shape)
    row = pooled(pooled_rows(states, place)[None], numbers, place)
    changed[torch.arange(examples, device=states.device), place] = row[0]
    return changed
