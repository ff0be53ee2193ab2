"""The clean pass that the fast routes resume from: one batch of examples at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from synapse_audit.classifier import Batch, Classifier
from synapse_audit.hooks import InputHook, OutputHook, forward_hooks, forward_pre_hooks
from synapse_audit.sweep.attention import KeyValues, Tap


@dataclass(frozen=True)
class BlockCall:
    """How the model itself called one block, besides the hidden states."""

    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]


@dataclass(frozen=True)
class CleanStates:
    """Everything the routes need of one batch; lists are indexed by layer."""

    batch: Batch
    examples: Int[Tensor, " examples"]
    """Example numbers in the data: they key the noise."""
    place: Int[Tensor, " examples"]
    logits: Float[Tensor, "examples classes"]
    layers: tuple[Float[Tensor, "examples tokens _"], ...]
    """Output of layer 0 to L."""
    calls: tuple[BlockCall, ...]
    """``calls[l]`` is how block l + 1 was called."""
    key_values: tuple[KeyValues, ...]
    """``key_values[l]`` belongs to block l + 1; empty where the registry is bypassed."""

    @property
    def tokens(self) -> int:
        """Padded tokens of the batch."""
        return self.layers[0].shape[0] * self.layers[0].shape[1]

    def pooled(self, layer: int) -> Float[Tensor, "examples neurons"]:
        """The pooled row of a layer."""
        return pooled_rows(self.layers[layer], self.place)


def pooled_rows(
    states: Float[Tensor, "examples tokens neurons"], place: Int[Tensor, " examples"]
) -> Float[Tensor, "examples neurons"]:
    """The row that the head reads, of each example."""
    return states[torch.arange(len(place), device=states.device), place]


@torch.inference_mode()
def clean_pass(
    classifier: Classifier, batch: Batch, rows: Int[np.ndarray, " examples"], tap: Tap | None
) -> CleanStates:
    """One untouched forward pass that keeps each layer's states, calls, keys and values."""
    place = classifier.pooled_index(batch)
    states: dict[int, Tensor] = {}
    calls: dict[int, BlockCall] = {}
    outputs = [
        (classifier.layer_module(m), _keep(states, m)) for m in range(classifier.n_layers + 1)
    ]
    inputs = [(block, _keep_call(calls, i)) for i, block in enumerate(classifier.blocks)]
    captured: list[KeyValues] = []
    if tap is not None:
        tap.place, tap.captured = place, captured
    try:
        with forward_hooks(outputs), forward_pre_hooks(inputs):
            logits = classifier.logits(batch)
    finally:
        if tap is not None:
            tap.captured = None
    return CleanStates(
        batch=batch,
        examples=torch.as_tensor(rows, device=place.device),
        place=place,
        logits=logits,
        layers=tuple(states[m] for m in range(classifier.n_layers + 1)),
        calls=tuple(calls[i] for i in range(classifier.n_layers)),
        key_values=tuple(captured),
    )


def _keep(states: dict[int, Tensor], layer: int) -> OutputHook:
    def hook(output: Tensor) -> None:
        states[layer] = output

    return hook


def _keep_call(calls: dict[int, BlockCall], index: int) -> InputHook:
    def hook(arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
        calls[index] = BlockCall(arguments[1:], dict(keywords))

    return hook
