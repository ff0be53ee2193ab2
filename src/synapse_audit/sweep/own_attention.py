"""The tap under attentions that a module computes itself: DeBERTa, DeBERTa-v2 and v3, MPNet.

DeBERTa's attention is *disentangled* (He et al. 2021, "DeBERTa: Decoding-enhanced BERT with
Disentangled Attention", eq. 4): with query q_i, key k_j, and embeddings C (of keys, "content to
position") and P (of queries, "position to content") of the distance δ(i, j) between two tokens, the
score of token i for token j is

    s_ij = (q_i · k_j + q_i · C[δ(i, j)] + k_j · P[δ'(j, i)]) / scale

For the one pooled row i = p this is plain attention over other keys and another mask:

    s_pj = q_p · (k_j + C[δ(p, j)]) / scale + m_j,    m_j = k_j · P[δ'(j, p)] / scale

Neither k_j + C nor m_j depends on the row's state, so the clean pass keeps both: keys (examples,
heads, tokens, channels), m (examples, heads, tokens) as part of the mask. Only where the row meets
itself, j = p, its new key counts: m_p is left out of the mask and added per row, which needs the
embeddings of distance 0 (:class:`OwnTerms`).

MPNet adds one bias per head and distance, which no state changes: a mask.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from synapse_audit.model import Classifier
from synapse_audit.sweep.tap import BlockStop, KeyValues, OwnTerms, Tap, offer, row_attention
from synapse_audit.sweep.tap import pooled_mask as mask_of_row


class Projected(NamedTuple):
    """Queries, keys and values of one call, the queries not yet scaled."""

    query: Float[Tensor, "rows heads tokens channels"]
    key: Float[Tensor, "rows heads tokens channels"]
    value: Float[Tensor, "rows heads tokens channels"]


Arguments = Mapping[str, Any]
"""Of one call of an attention module, by name."""


@dataclass(frozen=True)
class OwnAttention:
    """What the tap must know of one class of attention modules."""

    project: Callable[[Any, Tensor], Projected]
    """(module, states (rows, tokens, width)) → its queries, keys and values."""
    scaling: Callable[[Any], float]
    """What scores are multiplied by."""
    offers: Callable[[Any, Projected, Arguments, Int[Tensor, " examples"]], KeyValues]
    """(module, projected, arguments, pooled positions) → what the pooled row attends to."""
    output: Callable[[Any, Tensor], tuple[Any, ...]]
    """(module, context (rows, 1, width)) → what the module returns."""
    supports: Callable[[Any], bool] = lambda module: True
    """Whether one row can be asked for as this module is configured."""


def own_attentions(classifier: Classifier) -> dict[nn.Module, OwnAttention]:
    """Every block's own attention module; empty unless each block has exactly one that is known."""
    blocks = dict.fromkeys(classifier.blocks)
    found = {
        module: known
        for block in blocks
        for module in block.modules()
        if (known := KNOWN.get(_name_of(module))) and known.supports(module)
    }
    return found if len(found) == len(blocks) else {}


def _name_of(module: nn.Module) -> str:
    """File and class: both DeBERTas call theirs the same."""
    return f"{type(module).__module__.rpartition('.')[2]}.{type(module).__name__}"


@contextmanager
def own_forwards(own: Mapping[nn.Module, OwnAttention], tap: Tap) -> Iterator[None]:
    """Replaces the modules' ``forward`` until the block ends; what stood there comes back."""
    with ExitStack() as stack:
        for module, known in own.items():
            stack.callback(_restore, module, vars(module).get("forward"))
            setattr(module, "forward", _tapping(module, known, tap))  # noqa: B010 (mypy: a method)
        yield


def _restore(module: nn.Module, before: Callable[..., Any] | None) -> None:
    del module.forward
    if before is not None:
        setattr(module, "forward", before)  # noqa: B010 (as above)


def _tapping(module: nn.Module, known: OwnAttention, tap: Tap) -> Callable[..., Any]:
    forward = module.forward
    signature = inspect.signature(forward)  # transformers 4 and 5 order MPNet's differently

    def attention(*args: Any, **options: Any) -> Any:
        tap.calls += 1
        if tap.row is None and (tap.captured is None or tap.place is None):
            return forward(*args, **options)
        given = signature.bind(*args, **options).arguments
        projected = known.project(module, given["hidden_states"])
        if tap.row is not None:
            context = row_attention(*projected, tap.row, known.scaling(module))
            return known.output(module, context.flatten(2))
        if tap.captured is not None and tap.place is not None:
            place = tap.place.to(projected.key.device)
            tap.captured.append(known.offers(module, projected, given, place))
        if tap.stop:
            raise BlockStop
        return forward(*args, **options)

    return attention


def _by_head(module: Any, states: Tensor) -> Float[Tensor, "rows heads tokens channels"]:
    return states.view(*states.shape[:-1], module.num_attention_heads, -1).transpose(1, 2)


def _project_mpnet(module: Any, states: Tensor) -> Projected:
    return Projected(*(_by_head(module, layer(states)) for layer in (module.q, module.k, module.v)))


def _offers_mpnet(
    module: Any, projected: Projected, given: Arguments, place: Int[Tensor, " examples"]
) -> KeyValues:
    options = {"position_bias": given.get("position_bias"), "is_causal": False}
    return offer(module, *projected, given.get("attention_mask"), options, place)


def _project_deberta(module: Any, states: Tensor) -> Projected:
    """One matrix, whose rows are ordered head by head: q, k, v of the first, of the second, …"""
    query, key, value = _by_head(module, module.in_proj(states)).chunk(3, dim=-1)
    biases = (_by_head(module, bias[None, None]) for bias in (module.q_bias, module.v_bias))
    query_bias, value_bias = biases
    return Projected(query + query_bias, key, value + value_bias)


def _project_deberta_v2(module: Any, states: Tensor) -> Projected:
    layers = (module.query_proj, module.key_proj, module.value_proj)
    return Projected(*(_by_head(module, layer(states)) for layer in layers))


def _scaling_deberta(module: Any) -> float:
    """1 / sqrt(channels · terms): one term, and one for each kind of position score."""
    channels = module.all_head_size // module.num_attention_heads
    return float((channels * (1 + len(module.pos_att_type))) ** -0.5)


def _scaling_deberta_v2(module: Any) -> float:
    terms = 1 + sum(kind in module.pos_att_type for kind in ("c2p", "p2c"))
    return float((module.attention_head_size * terms) ** -0.5)


class Distances(NamedTuple):
    """Embeddings of the distances from −span to span − 1; None where a term is not used."""

    span: int
    of_keys: Float[Tensor, "heads distances channels"] | None
    """C: what queries are compared with."""
    of_queries: Float[Tensor, "heads distances channels"] | None
    """P: what keys are compared with."""


def _distances_deberta(module: Any, embeddings: Tensor, tokens: int) -> Distances:
    """Of a table that is centred at ``max_relative_positions``; the span is what the text needs."""
    middle = module.max_relative_positions
    span = min(tokens, middle)
    near = embeddings[middle - span : middle + span]
    keys = module.pos_proj if "c2p" in module.pos_att_type else None
    queries = module.pos_q_proj if "p2c" in module.pos_att_type else None
    return _embedded(module, span, near, keys, queries)


def _distances_deberta_v2(module: Any, embeddings: Tensor, tokens: int) -> Distances:
    """Of buckets, whatever the text's length; v3 shares the projections of queries and keys."""
    span, shared = module.pos_ebd_size, module.share_att_key
    keys = module.key_proj if shared else getattr(module, "pos_key_proj", None)
    queries = module.query_proj if shared else getattr(module, "pos_query_proj", None)
    used = [
        layer if kind in module.pos_att_type else None
        for kind, layer in (("c2p", keys), ("p2c", queries))
    ]
    return _embedded(module, span, embeddings[: 2 * span], *used)


def _embedded(
    module: Any, span: int, embeddings: Tensor, keys: nn.Module | None, queries: nn.Module | None
) -> Distances:
    by_head = (
        None if layer is None else _by_head(module, layer(embeddings)[None])[0]
        for layer in (keys, queries)
    )
    return Distances(span, *by_head)


def _offers_disentangled(
    distances: Callable[[Any, Tensor, int], Distances], scaling: Callable[[Any], float]
) -> Callable[[Any, Projected, Arguments, Int[Tensor, " examples"]], KeyValues]:
    def offers(
        module: Any, projected: Projected, given: Arguments, place: Int[Tensor, " examples"]
    ) -> KeyValues:
        mask = mask_of_row(given["attention_mask"].bool(), place)
        cached = KeyValues(projected.key, projected.value, mask, place)
        relative = given.get("relative_pos")
        if not module.relative_attention or relative is None:
            return cached
        near = distances(module, given["rel_embeddings"], projected.key.shape[2])
        return _with_distances(cached, near, relative, scaling(module))

    return offers


def _with_distances(
    cached: KeyValues, near: Distances, relative: Int[Tensor, "... tokens tokens"], scaling: float
) -> KeyValues:
    """The two position terms of the pooled row, put into keys and mask (see the top)."""
    key, place, top = cached.key, cached.place, 2 * near.span - 1
    heads, channels = key.shape[1], key.shape[3]
    table = relative.to(key.device).reshape(-1, *relative.shape[-2:])[0].long()
    none = torch.zeros(heads, channels, dtype=key.dtype, device=key.device)
    keys, mask, own = key, cached.mask, OwnTerms(none, none)
    if near.of_keys is not None:
        # δ(p, j) for every j: (examples, tokens); C there: (heads, examples, tokens, channels).
        ahead = (table[place] + near.span).clamp(0, top)
        keys = key + near.of_keys[:, ahead].transpose(0, 1)
        own = own._replace(key=near.of_keys[:, near.span])
    if near.of_queries is not None:
        back = (near.span - table[:, place].T).clamp(0, top)
        score = (key * near.of_queries[:, back].transpose(0, 1)).sum(-1) * scaling
        # (examples, heads, tokens); the pooled position's own key is the row's, not the clean one.
        score[torch.arange(len(place), device=place.device), :, place] = 0.0
        mask = score if mask is None else mask + score
        own = own._replace(query=near.of_queries[:, near.span])
    return KeyValues(keys, cached.value, mask, place, own)


KNOWN: Mapping[str, OwnAttention] = {
    "modeling_mpnet.MPNetSelfAttention": OwnAttention(
        project=_project_mpnet,
        scaling=lambda module: float(module.attention_head_size**-0.5),
        offers=_offers_mpnet,
        output=lambda module, context: (module.o(context),),
    ),
    "modeling_deberta.DisentangledSelfAttention": OwnAttention(
        project=_project_deberta,
        scaling=_scaling_deberta,
        offers=_offers_disentangled(_distances_deberta, _scaling_deberta),
        output=lambda module, context: (context, None),
        supports=lambda module: not module.talking_head,  # heads that mix are no rows of scores
    ),
    "modeling_deberta_v2.DisentangledSelfAttention": OwnAttention(
        project=_project_deberta_v2,
        scaling=_scaling_deberta_v2,
        offers=_offers_disentangled(_distances_deberta_v2, _scaling_deberta_v2),
        output=lambda module, context: (context, None),
    ),
}
"""File and class of an attention module → how it is tapped."""
