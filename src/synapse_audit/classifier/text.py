"""Texts on their way into a model: the tokenizer as encoder and collator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from synapse_audit.artifacts import TextInput
from synapse_audit.classifier.encoded import Batch, Collator, Encoded, Encoder

NUMBERED = ("roberta", "xlm-roberta", "camembert", "longformer", "mpnet")
"""Model types whose positions count from the padding token's number on."""


def max_length(tokenizer: Any, config: Any) -> int:
    """The longest input that both tokenizer and position embeddings allow."""
    limits = [tokenizer.model_max_length]
    places = getattr(config, "max_position_embeddings", None)
    if places is not None:
        # Positions count from padding_idx + 1 on there, so that many rows are never used.
        offset = (config.pad_token_id or 0) + 1 if config.model_type in NUMBERED else 0
        limits.append(places - offset)
    return int(min(limits))


def text_encoder(tokenizer: Any, limit: int) -> Encoder:
    """Tokenises without padding; longer texts are cut at ``limit`` and counted."""

    def encode(inputs: Sequence[TextInput]) -> Encoded:
        first = [text if isinstance(text, str) else text[0] for text in inputs]
        pairs = None if not inputs or isinstance(inputs[0], str) else [text[1] for text in inputs]
        rows = tokenizer(first, pairs, truncation=False, verbose=False)
        n_truncated = sum(len(row) > limit for row in rows["input_ids"])
        if n_truncated:
            rows = tokenizer(first, pairs, truncation=True, max_length=limit)
        lengths = np.array([len(row) for row in rows["input_ids"]], dtype=np.int64)
        columns = [list(rows[name]) for name in rows]
        features = tuple(dict(zip(rows, row, strict=True)) for row in zip(*columns, strict=True))
        return Encoded(features, lengths, n_truncated)

    return encode


def text_collator(tokenizer: Any) -> Collator:
    """Pads as the tokenizer does."""

    def collate(features: Sequence[Mapping[str, Any]]) -> Batch:
        return dict(
            tokenizer.pad([dict(row) for row in features], padding=True, return_tensors="pt")
        )

    return collate
