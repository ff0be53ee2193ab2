"""One pass over the data: clean logits, and the pooled state of every layer.

In: a classifier and encoded inputs. Out: arrays filled row by row, in batches sorted by length, so
that no batch pads further than its own longest member; the states of one batch are held at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from synapse_audit.artifacts import Activations, Brief, LayerStatistics
from synapse_audit.errors import ModelError
from synapse_audit.memory import Allocate, in_memory, release_memory
from synapse_audit.model import (
    BLOCK_OUTPUT,
    HEAD_INPUT,
    Batch,
    Classifier,
    Encoded,
    Pooling,
    site_layers,
)
from synapse_audit.model.hooks import OutputHook, forward_pre_hooks, hook_at_points

TOKENS_PER_BATCH = 4096
"""Padded tokens of one batch: large enough to keep two cores busy, small enough for any laptop."""

MAX_BATCH = 256

TOKEN_MEAN = "token_mean"
"""No site of its own: the block outputs, averaged over the tokens of an input instead of read at
the pooled position."""

BATCH_OVERHEAD = 128
"""What starting a batch costs, in tokens: measured on the bundled model, less on larger ones."""

FIDELITY = 1e-4
"""Largest logit difference between the host model and its parts put together, float32."""


@dataclass(frozen=True)
class CleanBatch:
    """What one batch gave."""

    rows: Int[np.ndarray, " examples"]
    logits: Float[Tensor, "examples classes"]
    pooled: Mapping[SiteLayer, Float[Tensor, "examples _"]]
    """Pooled state at each place."""
    head_input: Float[Tensor, "examples features"]
    parts_logits: Float[Tensor, "examples classes"]
    """What the head says of the final states, put together by the family record."""
    others: Mapping[SiteLayer, TokenSums]
    """Over the other tokens of the ``fit`` examples of this batch."""

    @property
    def named(self) -> dict[str, Tensor]:
        """Array name → (examples, width)."""
        layers = {array_name(place): states for place, states in self.pooled.items()}
        return layers | {"head_input": self.head_input, "logits": self.logits}


class SiteLayer(NamedTuple):
    """A site of a layer."""

    site: str
    layer: int


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


def largest_batch(
    lengths: Int[np.ndarray, " examples"], batches: Iterable[Int[np.ndarray, " _"]]
) -> int:
    """Padded tokens of the largest of these batches; 0 where there is none."""
    return max((len(batch) * int(lengths[batch].max()) for batch in batches), default=0)


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


@dataclass(frozen=True, repr=False)
class SiteActivations(Brief):
    """What the clean pass saw at one site."""

    activations: Activations
    others: tuple[LayerStatistics, ...]
    """Per layer, over the other tokens of the ``fit`` examples."""


@dataclass(frozen=True, repr=False)
class Extraction(Brief):
    """What the clean pass over all examples gave."""

    activations: Activations
    logits: Float[np.ndarray, "examples classes"]
    others: tuple[LayerStatistics, ...]
    """Per layer, over the other tokens of the ``fit`` examples."""
    sites: Mapping[str, SiteActivations] = field(default_factory=dict)
    """The same at the sites besides the block output; layers without the site are 0 wide."""
    token_means: Activations | None = None
    """Block outputs as means over all tokens of an input; None where they were not asked for."""


def extract(
    classifier: Classifier,
    encoded: Encoded,
    *,
    fit: Int[np.ndarray, " fit"],
    sites: Sequence[str] = (),
    batch_size: int | None = None,
    allocate: Allocate = in_memory,
    progress: Callable[[int], None] = lambda done: None,
) -> Extraction:
    """Runs every example once, without any intervention.

    Args:
        fit: examples whose other tokens are summed up (for rewrites at all positions).
        sites: sites besides the block output that are kept as well, ``TOKEN_MEAN`` among them.
        allocate: where ``layer_00`` ... ``layer_LL``, ``head_input`` and ``logits`` are kept.
        progress: called with the number of examples of each finished batch.

    Raises:
        ModelError: the family record does not describe this model (its parts put together give
            other logits than the model itself).
    """
    arrays: dict[str, np.ndarray] = {}
    sums: dict[SiteLayer, list[TokenSums]] = {}
    where = places(classifier, sites)
    for rows in length_batches(encoded.lengths, np.arange(len(encoded)), batch_size=batch_size):
        batch = classifier.collate(encoded, rows)
        clean = observe(classifier, batch, rows, where=where, in_fit=np.isin(rows, fit))
        check_fidelity(classifier, clean)
        for name, values in clean.named.items():
            if name not in arrays:
                arrays[name] = allocate(name, (len(encoded), values.shape[1]))
            arrays[name][rows] = values.float().cpu().numpy()
        for place, part in clean.others.items():
            sums.setdefault(place, []).append(part)
        progress(len(rows))
        release_memory()
    others = {place: token_statistics(parts) for place, parts in sums.items()}
    return assemble(classifier, sites, arrays, others)


def places(classifier: Classifier, sites: Sequence[str]) -> tuple[SiteLayer, ...]:
    """The block outputs, and the sites asked for, at all layers that have them.

    The head's input is always kept, under its own name.
    """
    wanted = [BLOCK_OUTPUT, *(site for site in sites if site != HEAD_INPUT)]
    return tuple(
        SiteLayer(site, layer)
        for site in wanted
        for layer in site_layers(_passing(site), classifier.n_layers)
    )


def _passing(site: str) -> str:
    """The site whose states a kept array is made of."""
    return BLOCK_OUTPUT if site == TOKEN_MEAN else site


def assemble(
    classifier: Classifier,
    sites: Sequence[str],
    arrays: Mapping[str, np.ndarray],
    others: Mapping[SiteLayer, LayerStatistics],
) -> Extraction:
    """Puts arrays and statistics, by place, into the nouns that later stages read."""
    head_input = arrays["head_input"]
    nothing = np.zeros((len(head_input), 0), dtype=np.float32)
    silent = token_statistics([])

    def at(site: str) -> SiteActivations:
        found = [SiteLayer(site, m) for m in range(classifier.n_layers + 1)]
        layers = [arrays.get(array_name(place), nothing) for place in found]
        if site == HEAD_INPUT:
            layers[-1] = head_input
        elsewhere = tuple(others.get(place, silent) for place in found)
        return SiteActivations(Activations(tuple(layers), head_input), elsewhere)

    blocks = at(BLOCK_OUTPUT)
    inner = {site: at(site) for site in sites if site != TOKEN_MEAN}
    means = at(TOKEN_MEAN).activations if TOKEN_MEAN in sites else None
    return Extraction(blocks.activations, arrays["logits"], blocks.others, inner, means)


def array_name(place: SiteLayer) -> str:
    """Name of a place's array: ``layer_01`` for a block output, ``mlp_output_01`` elsewhere."""
    prefix = "layer" if place.site == BLOCK_OUTPUT else place.site
    return f"{prefix}_{place.layer:02d}"


def observe(
    classifier: Classifier,
    batch: Batch,
    rows: Int[np.ndarray, " examples"],
    *,
    where: Sequence[SiteLayer],
    in_fit: Bool[np.ndarray, " examples"],
) -> CleanBatch:
    """One plain forward pass that also keeps the pooled state of every place."""
    pooling = classifier.pooling(batch)
    every = Pooling(pooling.place, slice(None), pooling.kept)
    fitted = torch.as_tensor(in_fit, device=pooling.place.device)[:, None]
    pooled: dict[SiteLayer, Tensor] = {}
    others: dict[SiteLayer, TokenSums] = {}
    head_input: list[Tensor] = []
    final: list[Tensor] = []
    last = SiteLayer(BLOCK_OUTPUT, classifier.n_layers)

    def at(spot: SiteLayer) -> OutputHook:
        def hook(states: Tensor) -> None:
            if spot.site == TOKEN_MEAN:
                pooled[spot] = every.gather(states)
                return
            tokens = pooling.tokens(states)
            pooled[spot] = pooling.gather(states)
            chosen = pooling.others(tokens.shape[1]) & fitted
            others[spot] = _token_sums(tokens[chosen.to(tokens.device)])
            if spot == last:
                final[:] = [states]

        return hook

    with (
        hook_at_points(
            [(classifier.point(_passing(spot.site), spot.layer), at(spot)) for spot in where]
        ),
        forward_pre_hooks([(classifier.output_layer, lambda args, _: head_input.append(args[0]))]),
    ):
        logits = classifier.logits(batch)
    read = head_input[-1]
    with torch.inference_mode():
        together = classifier.decide(final[-1], pooling)
    return CleanBatch(
        rows=rows,
        logits=logits,
        pooled=pooled,
        head_input=read if read.ndim == 2 else pooling.gather(read),  # a head that runs on tokens
        parts_logits=together,
        others=others,
    )


def token_statistics(sums: Sequence[TokenSums]) -> LayerStatistics:
    """Mean, spread and norm of one layer from the sums of all batches; zeros without tokens."""
    if not sums:
        nothing = np.zeros(0, dtype=np.float32)
        return LayerStatistics(nothing, nothing, nothing)
    n = max(1, sum(part.tokens for part in sums))
    mean = torch.stack([part.total for part in sums]).sum(0) / n
    square = torch.stack([part.squares for part in sums]).sum(0) / n
    spread = (square - mean**2).clamp_min(0).sqrt()
    return LayerStatistics(
        mean=mean.float().cpu().numpy(),
        spread=spread.float().cpu().numpy(),
        norm=square.sqrt().float().cpu().numpy(),
    )


def check_fidelity(classifier: Classifier, clean: CleanBatch) -> None:
    """Holds the head on the final states against the model's own logits.

    Raises:
        ModelError: they differ, so blocks, pooled position or head are not what the record says; or
            the model's own are no numbers, which says nothing of the record.
    """
    bad = int((~torch.isfinite(clean.logits)).any(dim=1).sum())
    if bad:
        raise ModelError(
            f"'{classifier.name}' gives logits that are NaN or infinite for {bad} of "
            f"{len(clean.logits)} inputs of a batch; expected finite ones: in dtype float16 sums "
            "may overflow, float32 is the safest"
        )
    gap = (clean.parts_logits - clean.logits).abs().max().item()
    if not gap <= FIDELITY:
        raise ModelError(
            f"'{classifier.name}': head on the pooled state of layer {classifier.n_layers} differs "
            f"from the model's logits by {gap:.2g}; expected at most {FIDELITY:g}: the "
            f"{classifier.architecture} record does not describe this model"
        )


def _token_sums(states: Float[Tensor, "tokens neurons"]) -> TokenSums:
    values = states.double()
    return TokenSums(len(values), values.sum(0), (values**2).sum(0))
