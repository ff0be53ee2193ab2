"""Images, sounds and series on their way into a model: the model's own processor as encoder.

In: what the processor takes (images, waveforms, arrays of (time, channels)). Out: features of one
example each, all equally long or padded by the processor. Who reads files hands over their content.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from synapse_audit.classifier.encoded import Batch, Collator, Encoded, Encoder
from synapse_audit.errors import DataError

SignalEncoder = Callable[[Sequence[Any]], Encoded]


def image_encoder(processor: Any, tokens: int) -> SignalEncoder:
    """Resizes and normalises; every image becomes ``tokens`` tokens."""

    def encode(inputs: Sequence[Any]) -> Encoded:
        pixels = [processor(one, return_tensors="np")["pixel_values"][0] for one in inputs]
        return _fixed("pixel_values", pixels, tokens)

    return encode


def sound_encoder(extractor: Any, rate: int) -> SignalEncoder:
    """Normalises waveforms of the extractor's own sampling rate, without padding them."""

    def encode(inputs: Sequence[Any]) -> Encoded:
        rows = [extractor(one, sampling_rate=rate, return_tensors="np") for one in inputs]
        features = tuple({name: row[name][0] for name in row} for row in rows)
        lengths = [len(row["input_values"]) for row in features]
        return Encoded(features, np.array(lengths, dtype=np.int64), 0)

    return encode


def series_encoder(length: int, tokens: int) -> SignalEncoder:
    """The last ``length`` steps of each series, (time, channels)."""

    def encode(inputs: Sequence[Any]) -> Encoded:
        values = [np.asarray(one, dtype=np.float32)[-length:] for one in inputs]
        return _fixed("past_values", values, tokens)

    return encode


def stacking_collator() -> Collator:
    """Puts features of one size into one tensor."""

    def collate(features: Sequence[Mapping[str, Any]]) -> Batch:
        names = features[0] if features else ()
        return {n: torch.from_numpy(np.stack([row[n] for row in features])) for n in names}

    return collate


def sound_collator(extractor: Any) -> Collator:
    """Pads as the feature extractor does, with a mask where its model was trained with one."""

    def collate(features: Sequence[Mapping[str, Any]]) -> Batch:
        waves = [{"input_values": row["input_values"]} for row in features]
        return dict(extractor.pad(waves, padding=True, return_tensors="pt"))

    return collate


def _fixed(name: str, values: Sequence[np.ndarray], tokens: int) -> Encoded:
    lengths = np.full(len(values), tokens, dtype=np.int64)
    return Encoded(tuple({name: value} for value in values), lengths, 0)


def as_encoder(encode: SignalEncoder) -> Encoder:
    """The same encoder under the type that texts have; texts themselves are refused."""

    def checked(inputs: Sequence[Any]) -> Encoded:
        if any(isinstance(one, str) for one in inputs):
            raise DataError(
                "texts given to a model that reads images, sounds or series; expected arrays: "
                "files are read as texts only, so audit this model from Python"
            )
        return encode(inputs)

    return checked
