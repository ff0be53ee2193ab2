"""Inputs that differ and become the same token ids, as where the tokenizer is not the model's own.

A tokenizer whose vocabulary does not fit turns every word into the unknown token: the audit would
run, and speak of a model that sees nothing but lengths.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from synapse_audit.errors import DataError
from synapse_audit.model import Encoded

READ = ("input_ids", "token_type_ids")
"""Features that tell what is read; inputs without the first one (images, sounds) are not judged."""

SHOWN = 6
"""Token ids that a message shows."""


class TokenizerCheck(NamedTuple):
    """How many of the distinct inputs are read exactly as another one of them."""

    n: int
    distinct: int

    @property
    def note(self) -> str:
        """One line where they are more than half; empty otherwise."""
        if 2 * self.n <= self.distinct:
            return ""
        return (
            f"{self.n:,} of {self.distinct:,} distinct inputs become the same token ids as another "
            "one; check that the tokenizer is the one that the model was trained with"
        )


NOT_COMPARED = TokenizerCheck(0, 0)


def check_tokenizer(inputs: Sequence[Hashable], encoded: Encoded) -> TokenizerCheck:
    """Compares what the model reads of each distinct input: token ids, or windows of them.

    Args:
        inputs: what was encoded, in that order; equal ones count once.
        encoded: before repeated windows are dropped.

    Raises:
        DataError: all of two or more distinct inputs become the same token ids.
    """
    if not len(encoded) or READ[0] not in encoded.features[0]:
        return NOT_COMPARED
    read = dict(zip(inputs, _digests(encoded, len(inputs)), strict=True))
    counts = Counter(read.values())
    if len(counts) == 1 < len(read):
        raise DataError(_all_the_same(len(read), encoded))
    return TokenizerCheck(sum(n for n in counts.values() if n > 1), len(read))


def _digests(encoded: Encoded, n: int) -> list[bytes]:
    """What is read of each input, all its windows together."""
    found = [hashlib.sha256() for _ in range(n)]
    rows = range(n) if encoded.rows is None else encoded.rows.tolist()
    for row, example in zip(rows, encoded.features, strict=True):
        for name in READ:
            numbers = np.asarray(example.get(name, ()), dtype=np.int64)
            found[row].update(f"{name} {len(numbers)}".encode() + numbers.tobytes())
    return [one.digest() for one in found]


def _all_the_same(n: int, encoded: Encoded) -> str:
    ids = np.asarray(encoded.features[0][READ[0]]).tolist()
    shown = ", ".join(map(str, ids[:SHOWN])) + (", ..." if len(ids) > SHOWN else "")
    cut = (
        f", {encoded.n_truncated:,} of them cut at the longest that the model reads"
        if encoded.n_truncated
        else ""
    )
    return (
        f"{n:,} distinct inputs given, which all become the same token ids {shown}{cut}; "
        "expected the tokenizer that the model was trained with (for some model types transformers "
        "builds one of its own, whatever was saved), or token ids with --tokens ids"
    )
