"""Images, sounds and series on their way into a model: the model's own processor as encoder.

In: signals as they were found, or what a processor takes (images, waveforms, arrays of (time,
channels)). Out: features of one example each, all equally long or padded by the processor. Signals
are decoded one by one, and only the features are kept: 602 kB for an image of 224 × 224.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import gcd
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from synapse_audit.artifacts import Signal
from synapse_audit.errors import DataError, first_line
from synapse_audit.model.inputs.decoding import decode_image, decode_series, decode_sound
from synapse_audit.model.inputs.encoded import Batch, Collator, Encoded, Encoder

_REFUSED = (ValueError, TypeError, RuntimeError, IndexError, AttributeError, KeyError)
"""What processors raise for what they cannot take."""


def image_encoder(processor: Any, tokens: int, channels: int = 3) -> Encoder:
    """Resizes and normalises; every image becomes ``tokens`` tokens.

    Features are ``pixel_values`` (channels, height, width), float32.

    Args:
        processor: of the model, which resizes or crops.
        tokens: patches, and special tokens where there are any.
        channels: 3 for colour, 1 for grey.

    Raises:
        DataError: by the encoder, where an image cannot be decoded or comes out in another size.
    """

    def encode(inputs: Sequence[Any]) -> Encoded:
        pixels = [pixels_of(one) for one in inputs]
        if len({values.shape for values in pixels}) > 1:
            raise DataError(
                f"{type(processor).__name__} makes images of several sizes of these; expected a "
                "processor that resizes or crops all to one size"
            )
        return _fixed("pixel_values", pixels, tokens)

    def pixels_of(one: Any) -> np.ndarray:
        image = decode_image(one, channels) if isinstance(one, Signal) else one
        return _processed(one, lambda: processor(image, return_tensors="np")["pixel_values"][0])

    return as_encoder(encode)


def sound_encoder(
    extractor: Any,
    rate: int,
    *,
    name: str = "input_values",
    shortest: int = 1,
    longest: int | None = None,
) -> Encoder:
    """Brings waveforms to ``rate`` and normalises them, without padding.

    Arrays that are no :class:`Signal` are taken at that rate. Sounds of another one are resampled
    (:func:`scipy.signal.resample_poly`), several channels averaged; notes say of how many.

    Args:
        name: what the extractor calls what the model reads.
        shortest: samples that the model needs.
        longest: samples that the extractor keeps; longer sounds are counted as cut.

    Raises:
        DataError: by the encoder, where a sound cannot be decoded or is too short.
    """

    def encode(inputs: Sequence[Any]) -> Encoded:
        found: list[Mapping[str, Any]] = []
        said = _Said(rate)
        n_cut = 0
        for one in inputs:
            samples = said.heard(one) if isinstance(one, Signal) else np.asarray(one)
            if len(samples) < shortest:
                raise DataError(
                    f"{_name(one)} has {len(samples)} samples at {rate:,} per second; expected "
                    f"{shortest} at least, which is what the model needs"
                )
            n_cut += longest is not None and len(samples) > longest
            found.append(_processed(one, partial(features_of, samples)))
        lengths = [len(row[name]) for row in found]
        return Encoded(
            tuple(found), np.array(lengths, dtype=np.int64), n_cut, notes=said.notes(len(inputs))
        )

    def features_of(samples: np.ndarray) -> Mapping[str, Any]:
        row = extractor(samples, sampling_rate=rate, return_tensors="np")
        return {name: row[name][0] for name in row}

    return as_encoder(encode)


class _Said:
    """What was done to sounds, counted for the notes."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.counts: dict[str, int] = {}

    def heard(self, signal: Signal) -> Float[np.ndarray, " samples"]:
        """The waveform of a signal at the model's rate."""
        wave = decode_sound(signal)
        if wave.channels > 1:
            self._count("averaged over their channels")
        if wave.rate is None:
            self._count(f"without a sampling rate, taken at {self.rate:,} samples per second")
        if wave.rate in (None, self.rate):
            return wave.values
        self._count(f"resampled from {wave.rate:,} to {self.rate:,} samples per second")
        return resampled(wave.values, wave.rate or self.rate, self.rate)

    def notes(self, n: int) -> tuple[str, ...]:
        """One line per thing that was done."""
        return tuple(f"{count} of {n} sounds {what}" for what, count in self.counts.items())

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


def resampled(
    samples: Float[np.ndarray, " samples"], given: int, wanted: int
) -> Float[np.ndarray, " resampled"]:
    """The same sound at another rate, by a polyphase filter that keeps what both rates can hold."""
    # Imported here: it would take a second of every start, whatever the model reads.
    from scipy.signal import resample_poly

    common = gcd(given, wanted)
    return resample_poly(samples, wanted // common, given // common).astype(np.float32)


def series_encoder(length: int, tokens: int, channels: int | None = None) -> Encoder:
    """The last ``length`` steps of each series, (time, channels); longer ones count as cut.

    Raises:
        DataError: by the encoder, where a series is too short, has other channels or holds values
            that are not numbers.
    """

    def encode(inputs: Sequence[Any]) -> Encoded:
        found = [decode_series(one) if isinstance(one, Signal) else one for one in inputs]
        values = [np.asarray(one, dtype=np.float32) for one in found]
        for one, given in zip(values, inputs, strict=True):
            check(one, given)
        n_cut = sum(len(one) > length for one in values)
        return _fixed("past_values", [one[-length:] for one in values], tokens, n_cut)

    def check(values: np.ndarray, given: Any) -> None:
        fits = values.ndim == 2 and (channels is None or values.shape[1] == channels)
        if not fits or len(values) < length:
            width = "any number of" if channels is None else channels
            raise DataError(
                f"{_name(given)} has the shape {values.shape}; expected (time, channels) with "
                f"{length} steps or more and {width} channels"
            )
        if not np.isfinite(values).all():
            raise DataError(f"{_name(given)} holds values that are no numbers; expected none")

    return as_encoder(encode)


def stacking_collator() -> Collator:
    """Puts features of one size into one tensor."""

    def collate(features: Sequence[Mapping[str, Any]]) -> Batch:
        names = features[0] if features else ()
        return {n: torch.from_numpy(np.stack([row[n] for row in features])) for n in names}

    return collate


def sound_collator(extractor: Any, name: str = "input_values") -> Collator:
    """Pads as the feature extractor does, with a mask where its model was trained with one."""

    def collate(features: Sequence[Mapping[str, Any]]) -> Batch:
        waves = [{name: row[name]} for row in features]
        return dict(extractor.pad(waves, padding=True, return_tensors="pt"))

    return collate


def in_format(collator: Collator, dtype: torch.dtype) -> Collator:
    """The same batches with their floating-point numbers in the format of the model's weights."""

    def collate(features: Sequence[Mapping[str, Any]]) -> Batch:
        batch = collator(features)
        return {n: x.to(dtype) if x.is_floating_point() else x for n, x in batch.items()}

    return collate


def _fixed(name: str, values: Sequence[np.ndarray], tokens: int, n_cut: int = 0) -> Encoded:
    lengths = np.full(len(values), tokens, dtype=np.int64)
    return Encoded(tuple({name: value} for value in values), lengths, n_cut)


def _processed(given: Any, process: Callable[[], Any]) -> Any:
    """What the processor makes of one input."""
    try:
        return process()
    except _REFUSED as error:
        raise DataError(
            f"{_name(given)} is refused by the model's processor: {first_line(error)}; expected "
            "what the model was trained on"
        ) from error


def _name(given: Any) -> str:
    return given.name if isinstance(given, Signal) else "an input"


def as_encoder(encode: Encoder) -> Encoder:
    """The same encoder; texts are refused."""

    def checked(inputs: Sequence[Any]) -> Encoded:
        if any(isinstance(one, str | tuple) for one in inputs):
            raise DataError(
                "texts given to a model that reads images, sounds or series; expected arrays, or "
                "signals as load_data reads them from files"
            )
        return encode(inputs)

    return checked
