"""What a tap under a model's attention does, whichever way it was put there.

* **capture**: keep each block's keys, values and mask (optionally stop the block right there);
* **row**: the block runs on the pooled row alone, (cells · examples, 1 token), and attends to the
  cached keys and values, its own new key and value standing at the pooled position.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class BlockStop(Exception):  # noqa: N818 (a signal, as StopIteration is, no error)
    """Raised inside a block once its keys and values are known."""


class OwnTerms(NamedTuple):
    """Embeddings of distance 0 in disentangled attention (``own_attention.py``)."""

    key: Float[Tensor, "heads #channels"]
    """What its query is compared with besides its key (content to position)."""
    query: Float[Tensor, "heads #channels"]
    """What its key is compared with besides its query (position to content)."""


@dataclass(frozen=True)
class KeyValues:
    """What one block's attention offers to the pooled row."""

    key: Float[Tensor, "examples heads tokens channels"]
    value: Float[Tensor, "examples heads tokens channels"]
    mask: Float[Tensor, "examples #heads tokens"] | None
    """Additive mask of the pooled row; None where every token may be attended."""
    place: Int[Tensor, " examples"]
    """Pooled position."""
    own: OwnTerms | None = None
    """What the row adds where it meets itself; None where keys alone are compared."""


@dataclass
class Tap:
    """What the attention function shall do at the next calls."""

    place: Int[Tensor, " examples"] | None = None
    captured: list[KeyValues] | None = None
    """Where capture puts what it sees; None = capture is off."""
    stop: bool = False
    row: KeyValues | None = None
    """What the row attends to; None = row mode is off."""
    calls: int = field(default=0)
    """Calls that reached this function: 0 after a forward means the model bypasses the registry."""


def offer(
    module: nn.Module | None,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    options: Mapping[str, Any],
    place: Int[Tensor, " examples"],
) -> KeyValues:
    """What one attention call offers to the pooled row: mask and position bias in one."""
    # query (examples, heads, tokens, channels); key and value (examples, groups, tokens, channels),
    # with fewer groups than heads in grouped-query attention: each serves heads / groups of them.
    groups, place = query.shape[1] // key.shape[1], place.to(key.device)
    row = pooled_mask(mask, place)
    if mask is None and query.shape[2] > 1 and _causal(module, options):
        # Causal without a mask: the kernel would hide later tokens itself, so the row must say so.
        later = torch.arange(key.shape[2], device=key.device) > place[:, None]  # (examples, tokens)
        row = torch.zeros(later.shape, dtype=key.dtype, device=key.device)
        row = row.masked_fill(later, float("-inf"))[:, None]
    bias = pooled_mask(options.get("position_bias"), place)
    if bias is not None:
        row = bias if row is None else row + bias
    return KeyValues(
        key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1), row, place
    )


def _causal(module: nn.Module | None, options: Mapping[str, Any]) -> bool:
    """As transformers' sdpa decides it."""
    named = options.get("is_causal")
    return bool(getattr(module, "is_causal", True) if named is None else named)


def pooled_mask(mask: Tensor | None, place: Int[Tensor, " examples"]) -> Tensor | None:
    """The mask's row of the pooled position, additive: (examples, heads or 1, tokens)."""
    if mask is None:
        return None
    row = place if mask.shape[2] > 1 else torch.zeros_like(place)
    chosen = mask.expand(len(place), -1, -1, -1)[torch.arange(len(place)), :, row]
    if chosen.dtype == torch.bool:
        return torch.zeros(chosen.shape).masked_fill(~chosen.cpu(), float("-inf")).to(chosen.device)
    return chosen


def row_attention(
    query: Float[Tensor, "rows heads 1 channels"],
    key: Float[Tensor, "rows groups 1 channels"],
    value: Float[Tensor, "rows groups 1 channels"],
    cached: KeyValues,
    scaling: float,
) -> Float[Tensor, "rows 1 heads channels"]:
    """Attention of one new row per (cell, example) over the clean tokens and itself.

    ``rows`` = cells · examples, cells slowest. All cells of an example share one matrix product
    with that example's cached keys.
    """
    examples, heads, _, channels = cached.key.shape
    cells = query.shape[0] // examples
    groups = heads // key.shape[1]
    # (examples, heads, cells, channels): the cells of an example are the rows of one product.
    own_query = _by_example(query, cells)
    own_key = _by_example(key.repeat_interleave(groups, 1), cells)
    own_value = _by_example(value.repeat_interleave(groups, 1), cells)
    # Against the clean keys: (examples, heads, cells, tokens). At the pooled token the key itself
    # has changed, and differs between cells: its score is replaced by that with the cell's own key.
    scores = own_query @ cached.key.transpose(-1, -2)
    own = _own_scores(own_query, own_key, cached.own)
    at = cached.place.view(examples, 1, 1, 1).expand(examples, heads, cells, 1)
    scores = scores.scatter(-1, at, own[..., None]) * scaling
    if cached.mask is not None:
        scores = scores + cached.mask[:, :, None].to(scores.dtype)
    shares = scores.softmax(-1)
    clean_value = cached.value[torch.arange(examples), :, cached.place]
    # The same for the value: Σ_t p_t v_t over the clean ones, and p (v_own − v_clean) on top at the
    # pooled token, so that no copy of the cached values is made per cell.
    context = shares @ cached.value
    context = context + shares.gather(-1, at) * (own_value - clean_value[:, :, None])
    return context.permute(2, 0, 1, 3).reshape(cells * examples, 1, heads, channels)


def _own_scores(
    query: Float[Tensor, "examples heads cells channels"],
    key: Float[Tensor, "examples heads cells channels"],
    own: OwnTerms | None,
) -> Float[Tensor, "examples heads cells"]:
    """Each row against itself: q·k, or q·(k + c) + k·p with the embeddings c, p of distance 0."""
    if own is None:
        return (query * key).sum(-1)
    beside_key, beside_query = own.key[:, None], own.query[:, None]  # (heads, 1 cell, channels)
    return (query * (key + beside_key) + key * beside_query).sum(-1)


def _by_example(
    rows: Float[Tensor, "rows heads 1 channels"], cells: int
) -> Float[Tensor, "examples heads cells channels"]:
    _, heads, _, channels = rows.shape
    return rows.reshape(cells, -1, heads, channels).permute(1, 2, 0, 3)
