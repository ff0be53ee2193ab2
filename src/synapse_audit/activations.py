"""One pass over the data: clean logits, and the pooled state of every layer.

In: a classifier and encoded inputs. Out: arrays filled row by row, in batches sorted by length, so
that no batch pads further than its own longest member; the states of one batch are held at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from synapse_audit.artifacts import Activations, LayerStatistics
from synapse_audit.classifier import Batch, Classifier, Encoded
from synapse_audit.errors import ModelError
from synapse_audit.hooks import OutputHook, forward_hooks, forward_pre_hooks

TOKENS_PER_BATCH = 4096
"""Padded tokens of one batch: large enough to keep two cores busy, small enough for any laptop."""

MAX_BATCH = 256

BATCH_OVERHEAD = 128
"""What starting a batch costs, in tokens: measured on the bundled model, less on larger ones."""

FIDELITY = 1e-4
"""Largest logit difference between the host model and its parts put together, float32."""


@dataclass(frozen=True)
class CleanBatch:
    """What one batch gave."""

    rows: Int[np.ndarray, " examples"]
    logits: Float[Tensor, "examples classes"]
    layers: tuple[Float[Tensor, "examples _"], ...]
    """Pooled state per layer, layer 0 first."""
    head_input: Float[Tensor, "examples features"]
    others: tuple[TokenSums, ...]
    """Per layer, over the other tokens of the ``fit`` examples of this batch."""

    @property
    def named(self) -> dict[str, Tensor]:
        """Array name → (examples, width)."""
        layers = {layer_name(m): states for m, states in enumerate(self.layers)}
        return layers | {"head_input": self.head_input, "logits": self.logits}


class TokenSums(NamedTuple):
    """Sums over tokens that are neither pooled nor padding, in double precision."""

    tokens: int
    total: Float[Tensor, " neurons"]
    squares: Float[Tensor, " neurons"]


def length_batches(
    lengths: Int[np.ndarray, " examples"],
    rows: Int[np.ndarray, " chosen"],
    *,
    batch_size: int | None = None,
) -> list[Int[np.ndarray, " _"]]:
    """Cuts ``rows`` into batches of similar length, longest first (so memory peaks at once).

    Without ``batch_size`` the cuts minimise padded tokens plus ``BATCH_OVERHEAD`` per batch, and a
    batch holds as many examples as fit ``TOKENS_PER_BATCH``.
    """
    order = rows[np.argsort(-lengths[rows], kind="stable")]
    sizes = np.maximum(1, lengths[order])
    starts = [0] if batch_size else _cheapest_cuts(sizes)
    batches = []
    for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
        step = batch_size or _batch_size(int(sizes[start]))
        batches += [order[i : min(i + step, end)] for i in range(start, end, step)]
    return batches


def _batch_size(longest: int) -> int:
    return min(MAX_BATCH, max(1, TOKENS_PER_BATCH // longest))


def _cheapest_cuts(sizes: Int[np.ndarray, " examples"]) -> list[int]:
    """Where to cut examples of descending length; dynamic programme over distinct lengths."""
    if not len(sizes):
        return []
    heads = np.flatnonzero(np.concatenate([[True], sizes[1:] != sizes[:-1]]))
    ends = np.concatenate([heads[1:], [len(sizes)]])
    best, came = np.zeros(len(heads) + 1), np.zeros(len(heads) + 1, dtype=np.int64)
    for last in range(1, len(heads) + 1):
        count = ends[last - 1] - heads[:last]
        longest = sizes[heads[:last]]
        fit = np.clip(TOKENS_PER_BATCH // longest, 1, MAX_BATCH)
        cost = best[:last] + count * longest + BATCH_OVERHEAD * np.ceil(count / fit)
        came[last] = int(cost.argmin())
        best[last] = cost[came[last]]
    cuts, at = [], len(heads)
    while at > 0:
        at = int(came[at])
        cuts.append(int(heads[at]))
    return cuts[::-1]


@dataclass(frozen=True)
class Extraction:
    """What the clean pass over all examples gave."""

    activations: Activations
    logits: Float[np.ndarray, "examples classes"]
    others: tuple[LayerStatistics, ...]
    """Per layer, over the other tokens of the ``fit`` examples."""


Allocate = Callable[[str, tuple[int, int]], np.ndarray]
"""(name, shape) → a writable float32 array, in memory or memory-mapped."""


def in_memory(name: str, shape: tuple[int, int]) -> np.ndarray:
    """Plain arrays; a run folder offers memory-mapped ones instead."""
    return np.zeros(shape, dtype=np.float32)


def extract(
    classifier: Classifier,
    encoded: Encoded,
    *,
    fit: Int[np.ndarray, " fit"],
    batch_size: int | None = None,
    allocate: Allocate = in_memory,
    progress: Callable[[int], None] = lambda done: None,
) -> Extraction:
    """Runs every example once, without any intervention.

    Args:
        fit: examples whose other tokens are summed up (for rewrites at all positions).
        allocate: where ``layer_00`` ... ``layer_LL``, ``head_input`` and ``logits`` are kept.
        progress: called with the number of examples of each finished batch.

    Raises:
        ModelError: the family record does not describe this model (its parts put together give
            other logits than the model itself).
    """
    arrays: dict[str, np.ndarray] = {}
    sums: list[tuple[TokenSums, ...]] = []
    for rows in length_batches(encoded.lengths, np.arange(len(encoded)), batch_size=batch_size):
        batch = classifier.collate(encoded, rows)
        clean = observe(classifier, batch, rows, in_fit=np.isin(rows, fit))
        check_fidelity(classifier, clean)
        for name, values in clean.named.items():
            if name not in arrays:
                arrays[name] = allocate(name, (len(encoded), values.shape[1]))
            arrays[name][rows] = values.float().cpu().numpy()
        sums.append(clean.others)
        progress(len(rows))
    layers = tuple(arrays[layer_name(m)] for m in range(classifier.n_layers + 1))
    others = tuple(token_statistics(parts) for parts in zip(*sums, strict=True))
    return Extraction(Activations(layers, arrays["head_input"]), arrays["logits"], others)


def layer_name(layer: int) -> str:
    """Name of a layer's array: ``layer_00``, ``layer_01``, ..."""
    return f"layer_{layer:02d}"


def observe(
    classifier: Classifier,
    batch: Batch,
    rows: Int[np.ndarray, " examples"],
    *,
    in_fit: Bool[np.ndarray, " examples"],
) -> CleanBatch:
    """One plain forward pass that also keeps the pooled state of every layer."""
    place = classifier.pooled_index(batch)
    counted = _other_tokens(batch, place) & torch.as_tensor(in_fit, device=place.device)[:, None]
    pooled: dict[int, Tensor] = {}
    others: dict[int, TokenSums] = {}
    head_input: list[Tensor] = []

    def at(layer: int) -> OutputHook:
        def hook(states: Tensor) -> None:
            pooled[layer] = states[torch.arange(len(place), device=states.device), place]
            others[layer] = _token_sums(states[counted])

        return hook

    layers = range(classifier.n_layers + 1)
    with (
        forward_hooks([(classifier.layer_module(layer), at(layer)) for layer in layers]),
        forward_pre_hooks([(classifier.output_layer, lambda args, _: head_input.append(args[0]))]),
    ):
        logits = classifier.logits(batch)
    return CleanBatch(
        rows=rows,
        logits=logits,
        layers=tuple(pooled[layer] for layer in layers),
        head_input=head_input[-1],
        others=tuple(others[layer] for layer in layers),
    )


def token_statistics(sums: Sequence[TokenSums]) -> LayerStatistics:
    """Mean, spread and norm of one layer from the sums of all batches; zeros without tokens."""
    n = max(1, sum(part.tokens for part in sums))
    mean = torch.stack([part.total for part in sums]).sum(0) / n
    square = torch.stack([part.squares for part in sums]).sum(0) / n
    spread = (square - mean**2).clamp_min(0).sqrt()
    return LayerStatistics(
        mean=mean.float().cpu().numpy(),
        spread=spread.float().cpu().numpy(),
        norm=square.sqrt().float().cpu().numpy(),
    )


@torch.inference_mode()
def check_fidelity(classifier: Classifier, clean: CleanBatch) -> None:
    """Holds the head on the final pooled state against the model's own logits.

    Raises:
        ModelError: they differ, so blocks, pooled position or head are not what the record says.
    """
    gap = (classifier.head(clean.layers[-1]) - clean.logits).abs().max().item()
    if not gap <= FIDELITY:
        raise ModelError(
            f"'{classifier.name}': head on the pooled state of layer {classifier.n_layers} differs "
            f"from the model's logits by {gap:.2g}; expected at most {FIDELITY:g}: the "
            f"{classifier.architecture} record does not describe this model"
        )


def _other_tokens(batch: Batch, place: Int[Tensor, " examples"]) -> Bool[Tensor, "examples tokens"]:
    """True where a token is neither padding nor pooled."""
    tokens = next(iter(batch.values()))
    mask = batch.get("attention_mask", torch.ones(tokens.shape[:2], device=tokens.device)) > 0
    return mask & (torch.arange(mask.shape[1], device=mask.device) != place[:, None])


def _token_sums(states: Float[Tensor, "tokens neurons"]) -> TokenSums:
    values = states.double()
    return TokenSums(len(values), values.sum(0), (values**2).sum(0))
