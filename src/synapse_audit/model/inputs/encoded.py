"""Inputs on their way into a model: tokenised, then padded into a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, SupportsIndex, overload

import numpy as np
from jaxtyping import Int
from torch import Tensor

from synapse_audit.artifacts import Brief
from synapse_audit.errors import UsageError

Batch = Mapping[str, Tensor]
"""Keyword arguments of the model's forward, examples first."""

Example = Mapping[str, Any]
"""Features of one example: name → value, lists of token numbers as a tokenizer gives them."""


@dataclass(frozen=True)
class Ragged:
    """Lists of whole numbers end to end: 4 bytes a number, where a list of Python takes 8 or 36."""

    values: Int[np.ndarray, " tokens"]
    """int32."""
    ends: Int[np.ndarray, " examples"]

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, i: int) -> list[int]:
        start = self.ends[i - 1] if i > 0 else 0
        found: list[int] = self.values[start : self.ends[i]].tolist()
        return found


class Features(Sequence[Example]):
    """One mapping per example, put together when it is asked for.

    A field whose value is a list of int32 numbers in every example is kept :class:`Ragged`, any
    other one (another modality) as it came.
    """

    def __init__(self, fields: Mapping[str, Sequence[Any] | Ragged], n: int) -> None:
        """Takes name → one value per example, for ``n`` examples."""
        self._fields = {name: _packed(values) for name, values in fields.items()}
        self._n = n

    @classmethod
    def joined(cls, parts: Sequence[Sequence[Example]]) -> Sequence[Example]:
        """The examples of all parts, in order."""
        packed = [part for part in parts if isinstance(part, Features)]
        names = {tuple(part._fields) for part in packed}
        if len(packed) < len(parts) or len(names) > 1:
            return pack([*chain.from_iterable(parts)])
        fields = {n: _end_to_end([part._fields[n] for part in packed]) for n in packed[0]._fields}
        return cls(fields, sum(map(len, packed)))

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, i: SupportsIndex) -> Example: ...
    @overload
    def __getitem__(self, i: slice) -> tuple[Example, ...]: ...
    def __getitem__(self, i: SupportsIndex | slice) -> Example | tuple[Example, ...]:
        if isinstance(i, slice):
            return tuple(self[j] for j in range(*i.indices(self._n)))
        at = range(self._n)[i]  # refuses what is out of range; counts from the end as a list does
        return {name: values[at] for name, values in self._fields.items()}

    def __iter__(self) -> Iterator[Example]:
        return (self[i] for i in range(self._n))


@dataclass(frozen=True, repr=False)
class Encoded(Brief):
    """Inputs as the model's own features, not yet padded."""

    features: Sequence[Example]
    """One mapping per example; kept as :class:`Features` whatever is given."""
    lengths: Int[np.ndarray, " examples"]
    """Tokens per example, after truncation."""
    n_truncated: int
    """Examples that did not fit the model's maximum length."""
    rows: Int[np.ndarray, " examples"] | None = None
    """The input that each example was cut from; None where each input is one example."""
    notes: tuple[str, ...] = ()
    """What was done to inputs that a reader of results should know of."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", pack(self.features))

    def __len__(self) -> int:
        return len(self.features)


def joined(parts: Sequence[Encoded]) -> Encoded:
    """Examples one after the other, as if they had been encoded together."""
    if len(parts) == 1:
        return parts[0]
    return Encoded(
        Features.joined([part.features for part in parts]),
        np.concatenate([part.lengths for part in parts]),
        sum(part.n_truncated for part in parts),
        notes=tuple(dict.fromkeys(chain.from_iterable(part.notes for part in parts))),
    )


Encoder = Callable[[Sequence[Any]], Encoded]
"""Turns inputs (texts, signals, or what a processor takes) into features, without padding."""

Collator = Callable[[Sequence[Example]], Batch]
"""Pads the features of some examples to the longest among them."""


class Inputs(NamedTuple):
    """How raw inputs become batches."""

    encoder: Encoder
    collator: Collator
    notes: tuple[str, ...] = ()
    """What was chosen for want of a word in the checkpoint."""
    reads: str = ""
    """What the model reads, in words."""
    modality: str = "text"
    """As of a :class:`Classifier`."""
    examples: tuple[Any, ...] | None = None
    """A few inputs to trace a module on; texts where None."""
    cut: str = ""
    """At how many tokens texts are cut, and who says so; empty where nobody does."""

    def __repr__(self) -> str:
        return f"<Inputs: {self.modality}, {self.reads or 'of its own kind'}>"


def either(
    inputs: Inputs | None,
    encoder: Encoder | None,
    collator: Collator | None,
    examples: Sequence[Any] | None,
) -> Inputs:
    """Encoder and collator as one, given so or one by one; ``examples`` win over its own.

    Raises:
        UsageError: both ways or neither.
    """
    if inputs is None and encoder is not None and collator is not None:
        inputs = Inputs(encoder, collator)
    elif inputs is None or encoder is not None or collator is not None:
        raise UsageError(
            "what the module reads is given twice or not at all; expected encoder and collator, or "
            "inputs in their place, such as table_inputs(30)"
        )
    return inputs if examples is None else inputs._replace(examples=tuple(examples))


def sent(batch: Batch, device: str) -> Batch:
    """On the device; a GPU fetches it from page-locked memory while this process goes on."""
    if device.startswith("cuda"):
        return {n: tensor.pin_memory().to(device, non_blocking=True) for n, tensor in batch.items()}
    return {name: tensor.to(device) for name, tensor in batch.items()}


def pack(examples: Sequence[Example]) -> Sequence[Example]:
    """The same examples in flat arrays; as they are where they do not have the same fields."""
    if isinstance(examples, Features):
        return examples
    names = tuple(examples[0]) if examples else ()
    if any(tuple(example) != names for example in examples):
        return examples
    return Features({name: [row[name] for row in examples] for name in names}, len(examples))


def _packed(values: Sequence[Any] | Ragged) -> Sequence[Any] | Ragged:
    if isinstance(values, Ragged) or not all(_plain(value) for value in values):
        return values
    ends = np.cumsum([len(value) for value in values], dtype=np.int64)
    numbers: Iterable[int] = chain.from_iterable(values)
    try:
        flat = np.fromiter(numbers, dtype=np.int32, count=int(ends[-1]) if len(ends) else 0)
    except OverflowError:
        return values
    return Ragged(flat, ends)


def _end_to_end(parts: Sequence[Sequence[Any] | Ragged]) -> Sequence[Any] | Ragged:
    ragged = [part for part in parts if isinstance(part, Ragged)]
    if len(ragged) < len(parts):
        return [part[i] for part in parts for i in range(len(part))]
    starts = np.cumsum([0, *(len(part.values) for part in ragged)])
    return Ragged(
        np.concatenate([part.values for part in ragged]),
        np.concatenate([part.ends + start for part, start in zip(ragged, starts, strict=False)]),
    )


def _plain(value: object) -> bool:
    """Whether a value is a list of whole numbers and nothing else."""
    return isinstance(value, list) and all(type(number) is int for number in value)
