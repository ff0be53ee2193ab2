"""A guarded classifier for an audit: ranges between the blocks, the hardened head in the head.

In: a classifier and a guard's folder. Out: the same classifier with the guard built into its model,
so that every route of the engine runs through it: what an experiment rewrites at a block's output
is clamped where the next block reads it, and at the head's input. Detector and canaries change no
answer and are left out; ``synapse-audit guard --evaluate`` measures them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from synapse_audit.errors import ModelError
from synapse_audit.guard.clamping import within
from synapse_audit.guard.folder import ARRAYS, FACTS, read_guard
from synapse_audit.guard.heads import linear_of
from synapse_audit.guard.integrity import check_canaries, check_tensors
from synapse_audit.guard.opening import opened
from synapse_audit.guard.parts import Guard
from synapse_audit.model import Classifier
from synapse_audit.model.hooks import primary
from synapse_audit.model.placement import device_of
from synapse_audit.store.checksums import sha256_of


class GuardedInput(nn.Module):
    """What stands before the head's last layer: the range of its input, and the centre."""

    low: Tensor
    high: Tensor
    centre: Tensor

    def __init__(self, guard: Guard, centre: np.ndarray) -> None:
        super().__init__()
        arrays = {"low": guard.ranges.low[-1], "high": guard.ranges.high[-1], "centre": centre}
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(np.array(array, np.float32)))

    def forward(self, inputs: Tensor) -> Tensor:
        """Clamped, then centred."""
        return within(inputs, self.low, self.high) - self.centre.to(inputs)


def guarded_classifier(classifier: Classifier, folder: str | Path) -> Classifier:
    """Builds a guard into a classifier's model, which is changed for good.

    Raises:
        ModelError: not the model that the guard was made for, or one whose routes cannot be
            guarded: several tokens are read, blocks are shared, the head is a vote.
        RunFolderError: no guard, or a damaged one.
    """
    guard = read_guard(folder)
    found = opened(classifier, guard)
    _check_auditable(found, guard)
    check_tensors(found.model, guard.tensors, found.name)
    device = device_of(found.model)
    check_canaries(
        guard.canaries,
        lambda batch: found.logits({n: t.to(device) for n, t in batch.items()}),
        found.name,
    )
    for layer, block in enumerate(found.blocks):
        _clamp_input(block, guard.ranges.low[layer], guard.ranges.high[layer], device)
    layer_of_head = _built_in(found, guard).to(device)
    path = Path(folder)
    seal = f"{sha256_of(path / FACTS)[:32]}{sha256_of(path / ARRAYS)[:32]}"
    origin = {**found.origin, "guard": str(folder), "guard_sha256": seal}
    note = f"audited behind the guard '{folder}' (ranges, head: {guard.head})"
    # The dense layer's bounds leave out the range that now stands behind it.
    return replace(
        found,
        output_layer=layer_of_head,
        dense=None,
        origin=origin,
        notes=(*found.notes, note),
    )


def _check_auditable(classifier: Classifier, guard: Guard) -> None:
    reason = ""
    if classifier.position != "first":
        reason = f"the head reads {classifier.position}, and ranges are audited at the first token"
    elif len({id(block) for block in classifier.blocks}) < classifier.n_layers:
        reason = "its blocks share one module"
    elif guard.head == "vote":
        reason = "the guard answers by vote, and the audit's closed forms need a linear head"
    elif guard.ranges.class_low:
        reason = "the guard clamps per class in a second pass"
    if reason:
        raise ModelError(
            f"model '{classifier.name}' cannot be audited behind this guard: {reason}; expected "
            "head hardened or host and one range per neuron; `guard --evaluate` measures the others"
        )


def _clamp_input(block: nn.Module, low: np.ndarray, high: np.ndarray, device: torch.device) -> None:
    """Clamps the first token of what a block is given, in every route."""
    ends = [torch.from_numpy(np.array(end)).to(device) for end in (low, high)]

    def first_clamped(states: Tensor) -> Tensor:
        changed = states.clone()
        changed[:, 0] = within(states[:, 0], *ends)
        return changed

    def hook(module: nn.Module, arguments: Any, keywords: dict[str, Any]) -> Any:
        if arguments:
            return (first_clamped(primary(arguments)), *arguments[1:]), keywords
        name = next(iter(keywords))
        return (), {**keywords, name: first_clamped(keywords[name])}

    block.register_forward_pre_hook(hook, with_kwargs=True)


def _built_in(classifier: Classifier, guard: Guard) -> nn.Linear:
    """Puts the guarded head in the place of the last layer; returns the layer that answers."""
    host = classifier.output_layer
    hardened = guard.head == "hardened"
    layer = linear_of(guard.hardened, outputs=host.out_features) if hardened else host
    centre = guard.hardened.centre if hardened else np.zeros_like(guard.hardened.centre)
    whole = nn.Sequential(GuardedInput(guard, centre), layer).to(device_of(classifier.model))
    places = [
        (parent, name)
        for parent in classifier.model.modules()
        for name, child in parent.named_children()
        if child is host
    ]
    for parent, name in places:
        setattr(parent, name, whole.eval())
    return layer
