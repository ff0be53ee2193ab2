"""The clean pass that the fast routes resume from: one batch of examples at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from synapse_audit.model import BLOCK_OUTPUT, Batch, Classifier, Pooling
from synapse_audit.model.hooks import InputHook, OutputHook, forward_pre_hooks, hook_at_points
from synapse_audit.sweep.tap import KeyValues, Tap


@dataclass(frozen=True)
class BlockCall:
    """How the model itself called one block, besides the hidden states."""

    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    device: torch.device
    """Where it was given its states; what runs inside it may move them on."""

    def of_rows(self, place: Int[Tensor, " examples"], cells: int) -> BlockCall:
        """The call for one token of each example, repeated for every cell.

        Rotary tables are those of the token; masks are left out, since the tap has its own.
        """
        named = dict(self.keywords)
        if named.get(ROTARY) is not None:
            tables = (_rows_of(table, place, cells) for table in named[ROTARY])
            named[ROTARY] = tuple(tables)
        numbers = named.get(POSITIONS)
        if isinstance(numbers, Tensor) and numbers.ndim == 2:
            every, at = numbers.expand(len(place), -1), place[:, None].to(numbers.device)
            named[POSITIONS] = every.gather(1, at).repeat(cells, 1)
        return replace(self, keywords=named)

    def map(self, change: Callable[[Tensor], Tensor]) -> BlockCall:
        """The call with every tensor changed that is not :data:`SHARED`."""

        def changed(value: Any) -> Any:
            if isinstance(value, tuple):
                return tuple(map(changed, value))
            return change(value) if isinstance(value, Tensor) else value

        named = {
            name: value if name in SHARED else changed(value)
            for name, value in self.keywords.items()
        }
        return replace(self, arguments=tuple(map(changed, self.arguments)), keywords=named)


def _per_example(value: Tensor, examples: int, tokens: int) -> bool:
    """Whether a block's argument has one entry per example (masks, tokens' numbers, tables).

    By its shape: a table (tokens, width) of a batch of as many examples is none.
    """
    if value.ndim < 2 or value.shape[0] != examples:
        return False
    return value.ndim > 2 or value.shape[1] == tokens


ROTARY = "position_embeddings"
"""Name of the cosines and sines that transformers hands to its blocks."""

SHARED = frozenset({"relative_pos", "rel_embeddings"})
"""Names of what DeBERTa hands to its blocks once for all examples, (1, tokens, tokens) and
(distances, width): a batch of one example must not make them look like its own."""

POSITIONS = "position_ids"
"""Name of the tokens' numbers, (1 or examples, tokens), from which blocks make them themselves."""


def _rows_of(table: Tensor, place: Int[Tensor, " examples"], cells: int) -> Tensor:
    """The token's row of a table (1 or examples, tokens, width), cells slowest."""
    every = table.expand(len(place), -1, -1)
    return pooled_rows(every, place)[:, None].repeat(cells, 1, 1)


@dataclass(frozen=True)
class CleanStates:
    """Everything the routes need of one batch; lists are indexed by layer."""

    batch: Batch
    examples: Int[Tensor, " examples"]
    """Example numbers in the data: they key the noise."""
    pooling: Pooling
    logits: Float[Tensor, "examples classes"]
    layers: tuple[Float[Tensor, "examples ... _"], ...]
    """Output of layer 0 to L."""
    calls: tuple[BlockCall, ...]
    """``calls[l]`` is how block l + 1 was called."""
    key_values: tuple[KeyValues, ...]
    """``key_values[l]`` belongs to block l + 1, where every block asks the registry once."""

    @property
    def place(self) -> Int[Tensor, " examples"]:
        """The token that the head reads; 0 where it reads several."""
        return self.pooling.place

    @property
    def rows_alone(self) -> bool:
        """Whether a block can be run on the pooled row alone."""
        return self.pooling.single and len(self.key_values) == len(self.layers) - 1

    @property
    def tokens(self) -> int:
        """Padded tokens of the batch."""
        return self.layers[0].shape[:-1].numel()

    def take(self, rows: Int[Tensor, " rows"], layer: int) -> CleanStates:
        """Some of the examples, or the same ones several times, to be resumed at ``layer``.

        The states of the other layers are left behind.
        """
        examples, tokens = len(self.examples), self.layers[layer].shape[1]
        seen: dict[int, Tensor] = {}  # all blocks are given the same mask

        def chosen(value: Tensor) -> Tensor:
            if not _per_example(value, examples, tokens):
                return value
            if id(value) not in seen:
                seen[id(value)] = value[rows.to(value.device)]
            return seen[id(value)]

        return replace(
            self,
            examples=self.examples[rows],
            pooling=self.pooling.take(rows),
            logits=self.logits[rows],
            layers=tuple(
                s[rows.to(s.device)] if m == layer else s[rows.to(s.device), :0]
                for m, s in enumerate(self.layers)
            ),
            calls=tuple(call.map(chosen) for call in self.calls),
        )

    def pooled(self, layer: int) -> Float[Tensor, "examples neurons"]:
        """The representation in a layer."""
        return self.pooling.gather(self.layers[layer])


def pooled_rows(
    states: Float[Tensor, "examples tokens neurons"], place: Int[Tensor, " examples"]
) -> Float[Tensor, "examples neurons"]:
    """One row of each example."""
    return states[torch.arange(len(place), device=states.device), place.to(states.device)]


def clean_pass(
    classifier: Classifier,
    batch: Batch,
    rows: Int[np.ndarray, " examples"],
    tap: Tap | None,
    *,
    gradients: bool = False,
) -> CleanStates:
    """One untouched forward pass that keeps each layer's states, calls, keys and values.

    ``gradients``: whether what is kept may enter a graph later, which costs a little time.
    """
    with torch.no_grad() if gradients else torch.inference_mode():
        return _kept(classifier, batch, rows, tap)


def _kept(
    classifier: Classifier, batch: Batch, rows: Int[np.ndarray, " examples"], tap: Tap | None
) -> CleanStates:
    pooling = classifier.pooling(batch)
    states: dict[int, Tensor] = {}
    calls: list[BlockCall] = []
    outputs = [
        (classifier.point(BLOCK_OUTPUT, m), _keep(states, m))
        for m in range(classifier.n_layers + 1)
    ]
    inputs = [(block, _keep_call(calls)) for block in dict.fromkeys(classifier.blocks)]
    captured: list[KeyValues] = []
    if tap is not None and pooling.single:
        tap.place, tap.captured = pooling.place, captured
    try:
        with hook_at_points(outputs), forward_pre_hooks(inputs):
            logits = classifier.answer(batch)
    finally:
        if tap is not None:
            tap.captured = None
    return CleanStates(
        batch=batch,
        examples=torch.as_tensor(rows, device=pooling.place.device),
        pooling=pooling,
        logits=logits,
        layers=tuple(states[m] for m in range(classifier.n_layers + 1)),
        calls=tuple(calls),
        key_values=tuple(captured),
    )


def _keep(states: dict[int, Tensor], layer: int) -> OutputHook:
    def hook(output: Tensor) -> None:
        states[layer] = output

    return hook


def _keep_call(calls: list[BlockCall]) -> InputHook:
    """Blocks run in the order of their layers, so that the l-th call is that of block l."""

    def hook(arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
        tensors = (x for x in (*arguments, *keywords.values()) if isinstance(x, Tensor))
        named = list(keywords.items())[0 if arguments else 1 :]  # the states may come by name
        calls.append(
            BlockCall(
                tuple(map(_without_cache, arguments[1:])),
                {name: _without_cache(value) for name, value in named},
                next(tensors, torch.empty(0)).device,
            )
        )

    return hook


def _without_cache(value: Any) -> Any:
    """None in place of a decoder's cache of keys and values: a second call would add to it."""
    return None if hasattr(value, "get_seq_length") else value
