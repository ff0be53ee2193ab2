"""Token ids on their way into a model: no tokenizer, nothing added.

In: sequences of whole numbers, written with single spaces between (``"7 12 12 3"``). Out: features
and batches as a tokenizer would give them. The ids are what the model gets: special tokens such as
[CLS] are there only where the data has them. The padding token at the end of a sequence is taken
for padding, as transformers' own heads do, and is taken off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from synapse_audit.artifacts import TextInput
from synapse_audit.data import read_ids
from synapse_audit.errors import DataError, ModelError
from synapse_audit.model.inputs.encoded import Batch, Collator, Encoded, Encoder
from synapse_audit.model.inputs.windows import Window, starts

EXAMPLES = ("1", "1 2 3 4 5 6", "3 2 1 1 2 3 1 2 3 2 1")
"""Traced where no record serves a model; taken modulo its vocabulary."""


class Known(NamedTuple):
    """What a model says of its tokens."""

    vocabulary: int
    """They are numbered from 0."""
    padding: int | None
    end: int | None
    """The end-of-sequence token that the head looks for; None where it looks for none."""


def vocabulary_size(model: Any) -> int:
    """How many tokens a model knows.

    Raises:
        ModelError: it does not say.
    """
    try:
        return int(model.get_input_embeddings().num_embeddings)
    except (AttributeError, NotImplementedError) as error:
        raise ModelError(
            f"{type(model).__name__} has no table of token embeddings; expected one where token "
            "ids are given"
        ) from error


def id_encoder(known: Known, limit: int, window: Window | None = None) -> Encoder:
    """Reads numbers; longer sequences are cut at ``limit`` and counted, or become windows."""
    step = None if window is None else window.step(limit, added=0)
    size = limit if window is None else window.size

    def encode(inputs: Sequence[TextInput]) -> Encoded:
        given = [_numbers(one, place, known) for place, one in enumerate(inputs, start=1)]
        sequences = [_unpadded(ids, place, known) for place, ids in enumerate(given, start=1)]
        padded = sum(map(len, given)) > sum(map(len, sequences))
        parts: list[list[int]] = []
        rows: list[int] = []
        for row, ids in enumerate(sequences):
            begins = (0,) if step is None else starts(len(ids), size, step)
            parts += [ids[begin : begin + size] for begin in begins]
            rows += [row] * len(begins)
        _check_ends(parts, rows, known.end)
        return Encoded(
            tuple({"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in parts),
            np.array([len(ids) for ids in parts], dtype=np.int64),
            0 if window else sum(len(ids) > limit for ids in sequences),
            rows=np.array(rows, dtype=np.int64) if window else None,
            notes=(f"padding (token id {known.padding}) at the end was taken off",) * padded,
        )

    return encode


def id_collator(padding: int) -> Collator:
    """Pads on the right."""

    def collate(features: Sequence[Mapping[str, Any]]) -> Batch:
        def padded(name: str, value: int) -> torch.Tensor:
            rows = [torch.tensor(row[name], dtype=torch.long) for row in features]
            return pad_sequence(rows, batch_first=True, padding_value=value)

        return {
            "input_ids": padded("input_ids", padding),
            "attention_mask": padded("attention_mask", 0),
        }

    return collate


def id_examples(vocabulary: int) -> tuple[str, ...]:
    """A few sequences to trace a model on."""
    return tuple(
        " ".join(str(int(piece) % vocabulary) for piece in one.split()) for one in EXAMPLES
    )


def _numbers(given: TextInput, place: int, known: Known) -> list[int]:
    if not isinstance(given, str):
        raise DataError(f"input {place} is a pair; expected one sequence of token ids")
    return read_ids(given, known.vocabulary, f"input {place}")


def _unpadded(ids: list[int], place: int, known: Known) -> list[int]:
    end = len(ids)
    while end and ids[end - 1] == known.padding:
        end -= 1
    if not end:
        raise DataError(
            f"input {place} holds nothing but padding (token id {known.padding}); expected a token"
        )
    return ids[:end]


def _check_ends(parts: Sequence[list[int]], rows: Sequence[int], end: int | None) -> None:
    """A head that reads the end-of-sequence token needs exactly one."""
    for ids, row in zip(parts, rows, strict=True):
        if end is not None and ids.count(end) != 1:
            raise DataError(
                f"input {row + 1} does not hold token id {end} once within what the model can "
                "read; expected it in every sequence and window, since the model's head reads it"
            )
