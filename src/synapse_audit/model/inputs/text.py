"""Texts on their way into a model: the tokenizer as encoder and collator."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from synapse_audit.artifacts import TextInput
from synapse_audit.errors import DataError, ModelError
from synapse_audit.model.inputs.encoded import Batch, Collator, Encoded, Encoder, joined
from synapse_audit.model.inputs.windows import Window

TEXTS = 1024
"""Texts given to a tokenizer at once: what it returns takes 50 times the memory of the numbers."""

SHOWN = 60
"""Characters of a text that a message shows."""

UNLIMITED = sys.maxsize


class Limits(NamedTuple):
    """What a model can read of a text."""

    tokens: int = UNLIMITED
    """The longest input; longer ones are cut and counted."""
    vocabulary: int | None = None
    """Rows of its table of embeddings; None where it has none."""
    end: int | None = None
    """The token whose last state its head reads, if it looks for one: once in every text."""


def max_length(model: Any, tokenizer: Any = None) -> int:
    """The longest input that position embeddings, and the tokenizer if any, allow.

    A limit below 1 stands for none, as XLNet's −1 does.
    """
    named = getattr(model.config, "max_position_embeddings", None)
    limits = [getattr(tokenizer, "model_max_length", None), named, _positions(model)]
    sound = [limit for limit in limits if isinstance(limit, int | float) and limit >= 1]
    return int(min([UNLIMITED, *sound]))


def _positions(model: Any) -> int | None:
    """Rows of a table of positions that are counted from the padding token's number on.

    So many rows and one more are never used. None where no table says that it counts so.
    """
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in ("position_embeddings", "embed_positions"):
            padding, weight = getattr(module, "padding_idx", None), getattr(module, "weight", None)
            if padding is not None and weight is not None:
                return len(weight) - int(padding) - 1
    return None


def text_encoder(tokenizer: Any, limits: Limits | int, window: Window | None = None) -> Encoder:
    """Tokenises without padding; longer texts are cut and counted, or become windows.

    The encoder raises DataError for a text with a token that the model does not know, or with more
    or fewer end tokens than the others.

    Args:
        limits: what the model can read; a number alone is that of tokens.

    Raises:
        ModelError: windows asked of a tokenizer that cannot cut them.
        UsageError: windows that make no sense for this model.
    """
    known = Limits(limits) if isinstance(limits, int) else limits
    if window is not None:
        return _checked(_window_encoder(tokenizer, known.tokens, window), tokenizer, known)
    return _checked(_cutting_encoder(tokenizer, known.tokens), tokenizer, known)


def _cutting_encoder(tokenizer: Any, limit: int) -> Encoder:

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


def _checked(encoder: Encoder, tokenizer: Any, limits: Limits) -> Encoder:
    """The same encoder; what the model would stumble over is refused by the text that holds it."""

    def encode(inputs: Sequence[TextInput]) -> Encoded:
        encoded = encoder(inputs)
        for place, example in enumerate(encoded.features):
            ids = example["input_ids"]
            row = place if encoded.rows is None else int(encoded.rows[place])
            largest = max(ids, default=0)
            if limits.vocabulary is not None and largest >= limits.vocabulary:
                raise DataError(
                    f"text {_shown(inputs[row])} holds the token "
                    f"{tokenizer.convert_ids_to_tokens(largest)!r} (id {largest}); expected ids "
                    f"below {limits.vocabulary:,}, for which the model has embeddings: its "
                    "tokenizer is larger than it"
                )
        if limits.end is not None:
            _check_ends(inputs, encoded, tokenizer, limits.end)
        return encoded

    return encode


def _check_ends(inputs: Sequence[TextInput], encoded: Encoded, tokenizer: Any, end: int) -> None:
    """transformers wants as many end tokens in every text of a batch, and reads the last one."""
    counts = [example["input_ids"].count(end) for example in encoded.features]
    usual = Counter(counts).most_common(1)[0][0] if counts else 0
    for place, count in enumerate(counts):
        if count != usual or not count:
            row = place if encoded.rows is None else int(encoded.rows[place])
            raise DataError(
                f"text {_shown(inputs[row])} becomes {count} end-of-sequence tokens "
                f"({tokenizer.convert_ids_to_tokens(end)!r}, id {end}), the others {usual}; "
                "expected as many in every text, since the model's head looks for the last one: "
                "take the token out of the text"
            )


def _shown(text: TextInput) -> str:
    """The beginning of a text, on one line."""
    whole = text if isinstance(text, str) else " / ".join(text)
    line = " ".join(whole.split())
    return repr(line if len(line) <= SHOWN else f"{line[:SHOWN]}…")


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
