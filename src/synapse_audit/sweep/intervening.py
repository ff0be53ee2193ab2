"""One cell's hooks or edit on the live model, for any forward pass the caller makes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from synapse_audit.artifacts import Cell
from synapse_audit.interventions.edits import applied
from synapse_audit.interventions.operators import AnyRewrite, LayerRewrite, compile_rewrites
from synapse_audit.model import HEAD_INPUT, Batch, Classifier, Pooling
from synapse_audit.model.hooks import HookPoint, OutputHook, forward_pre_hooks, hook_at_points
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
    if cell.neurons is None:
        yield
        return
    call = _LastCall(inspect.signature(classifier.model.forward))
    hooks = _Hooks(classifier, cell, _rewrites(classifier, cell, site, seed), call, examples)
    with (
        forward_pre_hooks([(classifier.model, call.note)]),
        hook_at_points(hooks.at_points(), root=classifier.model),
    ):
        yield


class _Rewrites(NamedTuple):
    """What a cell does to the states of each layer."""

    pooled: dict[int, LayerRewrite]
    """Of the rows that the head reads."""
    others: dict[int, LayerRewrite]
    """Of all other tokens; none where only the pooled position is touched."""


def _rewrites(classifier: Classifier, cell: Cell, site: Site, seed: int) -> _Rewrites:
    here, others = site.at(cell.site), dict[int, LayerRewrite]()
    pooled = compile_rewrites([cell], here.pooled, seed=seed, device=classifier.device)
    if cell.position == "all" and cell.site != HEAD_INPUT:
        others = compile_rewrites([cell], here.others, seed=seed, device=classifier.device)
    return _Rewrites(pooled, others)


class _LastCall:
    """What the model was last called with: hooks further down see states alone."""

    def __init__(self, signature: inspect.Signature) -> None:
        self.signature = signature
        self.batch: Batch = {}

    def note(self, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
        """Keeps the tensors of a call by the names of ``forward``'s parameters."""
        given = self.signature.bind_partial(*arguments, **keywords).arguments
        given |= given.pop("kwargs", {})
        self.batch = {n: v for n, v in given.items() if isinstance(v, Tensor)}


class _Hooks(NamedTuple):
    """The hooks of one cell."""

    classifier: Classifier
    cell: Cell
    rewrites: _Rewrites
    call: _LastCall
    examples: Int[Tensor, " examples"] | None

    def at_points(self) -> list[tuple[HookPoint, OutputHook]]:
        """One per layer that the cell touches, with where it goes."""
        site = self.cell.site
        layers = self.rewrites.pooled
        return [(self.classifier.point(site, m), partial(self._rewrite, m)) for m in layers]

    def _rewrite(self, layer: int, states: Tensor) -> Tensor:
        pooling = self.classifier.pooling(self.call.batch)
        place, numbers = pooling.place, self.examples
        if numbers is None:
            numbers = torch.arange(len(place), device=place.device)
        pooled, others = self.rewrites.pooled[layer], self.rewrites.others.get(layer)
        if self.cell.site == HEAD_INPUT and states.ndim == 2:  # one row per example
            return pooled(states[None], numbers, place)[0]
        return rewrite_tokens(states, pooled, others, pooling, numbers)


def rewrite_tokens(
    states: Tensor,
    pooled: AnyRewrite,
    others: AnyRewrite | None,
    pooling: Pooling,
    numbers: Int[Tensor, " examples"],
) -> Tensor:
    """New states, (examples, ..., neurons), with the rows that the head reads rewritten.

    Where asked, all other rows are rewritten as well, each by what was measured away from the
    head's. Where the head reads several rows, what is random is the same at all of them.
    """
    pooling, numbers = pooling.beside(states), numbers.to(states.device)
    tokens = pooling.tokens(states)
    examples, length, width = tokens.shape
    flat = tokens.reshape(1, examples * length, width)
    every = numbers.repeat_interleave(length)
    changed = tokens.clone()
    if others is not None:
        token = torch.arange(length, device=states.device).repeat(examples)
        changed = others(flat, every, token).reshape(tokens.shape)
    if pooling.single:
        row = pooled(pooling.gather(tokens)[None], numbers, pooling.place)[0]
        changed[torch.arange(examples, device=states.device), pooling.place] = row
    else:
        rows = pooled(flat, every, torch.zeros_like(every)).reshape(tokens.shape)
        changed = torch.where(pooling.read(length)[..., None], rows, changed)
    return changed.reshape(states.shape)
