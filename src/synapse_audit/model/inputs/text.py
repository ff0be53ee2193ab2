"""Texts on their way into a model: the tokenizer as encoder and collator."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from synapse_audit.artifacts import TextInput
from synapse_audit.errors import DataError, ModelError
from synapse_audit.model.inputs.encoded import Batch, Collator, Encoded, Encoder, joined
from synapse_audit.model.inputs.windows import Window

NUMBERED = ("roberta", "xlm-roberta", "camembert", "longformer", "mpnet")
"""Model types whose positions count from the padding token's number on."""


TEXTS = 1024
"""Texts given to a tokenizer at once: what it returns takes 50 times the memory of the numbers."""


def max_length(config: Any, tokenizer: Any = None) -> int:
    """The longest input that position embeddings, and the tokenizer if any, allow."""
    limits = [sys.maxsize if tokenizer is None else tokenizer.model_max_length]
    places = getattr(config, "max_position_embeddings", None)
    if places is not None:
        # Positions count from padding_idx + 1 on there, so that many rows are never used.
        offset = (config.pad_token_id or 0) + 1 if config.model_type in NUMBERED else 0
        limits.append(places - offset)
    return int(min(limits))


def text_encoder(tokenizer: Any, limit: int, window: Window | None = None) -> Encoder:
    """Tokenises without padding; longer texts are cut at ``limit`` and counted, or become windows.

    Raises:
        ModelError: windows asked of a tokenizer that cannot cut them.
        UsageError: windows that make no sense for this model.
    """
    if window is not None:
        return _window_encoder(tokenizer, limit, window)

    def encode(inputs: Sequence[TextInput]) -> Encoded:
        starts = range(0, max(1, len(inputs)), TEXTS)
        return joined([encode_some(inputs[start : start + TEXTS]) for start in starts])

    def encode_some(inputs: Sequence[TextInput]) -> Encoded:
        first = [text if isinstance(text, str) else text[0] for text in inputs]
        pairs = None if not inputs or isinstance(inputs[0], str) else [text[1] for text in inputs]
        rows = tokenizer(first, pairs, truncation=False, verbose=False)
        n_truncated = sum(len(row) > limit for row in rows["input_ids"])
        if n_truncated:
            rows = tokenizer(first, pairs, truncation=True, max_length=limit)
        return _encoded(rows, n_truncated)

    return encode


def _window_encoder(tokenizer: Any, limit: int, window: Window) -> Encoder:
    if not tokenizer.is_fast:
        raise ModelError(
            f"windows asked of {type(tokenizer).__name__}, which cannot cut them; expected a fast "
            "tokenizer (tokenizer.json)"
        )
    added = tokenizer.num_special_tokens_to_add()
    overlap = window.size - added - window.step(limit, added)

    def encode(inputs: Sequence[TextInput]) -> Encoded:
        if not all(isinstance(text, str) for text in inputs):
            raise DataError("windows of pairs of texts given; expected one text per row")
        rows = tokenizer(
            list(inputs),
            truncation=True,
            max_length=window.size,
            stride=overlap,
            return_overflowing_tokens=True,
        )
        of = np.array(rows.pop("overflow_to_sample_mapping"), dtype=np.int64)
        return replace(_encoded(rows, 0), rows=of)

    return encode


def _encoded(rows: Mapping[str, Any], n_truncated: int) -> Encoded:
    """What a tokenizer returned, example by example."""
    lengths = np.array([len(row) for row in rows["input_ids"]], dtype=np.int64)
    columns = [list(rows[name]) for name in rows]
    features = tuple(dict(zip(rows, row, strict=True)) for row in zip(*columns, strict=True))
    return Encoded(features, lengths, n_truncated)


def text_collator(tokenizer: Any) -> Collator:
    """Pads as the tokenizer does."""

    def collate(features: Sequence[Mapping[str, Any]]) -> Batch:
        return dict(
            tokenizer.pad([dict(row) for row in features], padding=True, return_tensors="pt")
        )

    return collate
