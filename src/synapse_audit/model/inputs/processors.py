"""The processor saved beside a model of images, sounds or series, as encoder and collator.

In: a folder or a hub id, and its configuration. Out: :class:`Inputs`. A processor is tried once on
noise, so that one that does not work here is refused before any data is read.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from synapse_audit.artifacts import Signal
from synapse_audit.errors import BROKEN, DataError, ModelError, first_line
from synapse_audit.model.families.record import AUDIO, IMAGE, SERIES
from synapse_audit.model.inputs.encoded import Encoded, Encoder, Inputs
from synapse_audit.model.inputs.signals import (
    image_encoder,
    in_format,
    series_encoder,
    sound_collator,
    sound_encoder,
    stacking_collator,
)

FRAME = 0.025
STEP = 0.01
"""Seconds of the frames of a spectrogram, and from one to the next."""

PADDED = (
    "what it says of a sound depends on how long the others in its batch are, as in transformers: "
    "its first norm takes padding in"
)


def signal_inputs(source: str, modality: str, dtype: str = "float32") -> Inputs:
    """How signals become batches for a saved model whose weights are loaded as ``dtype``.

    Raises:
        ModelError: its processor cannot be loaded, or does not work.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    if modality == SERIES:
        inputs = _series(config)
    else:
        inputs = _images(source, config) if modality == IMAGE else _sounds(source, config)
    return inputs._replace(collator=in_format(inputs.collator, getattr(torch, dtype)))


def noise(modality: str) -> tuple[Any, ...] | None:
    """A few inputs to try a model on that reads no texts; None where nothing fits every model."""
    random = np.random.default_rng(0)
    if modality == IMAGE:
        return tuple(random.integers(0, 256, (3, 64, 64, 3), dtype=np.uint8))
    if modality == AUDIO:
        return tuple(random.standard_normal(n).astype(np.float32) for n in (12000, 14000, 16000))
    return None


def _images(source: str, config: Any) -> Inputs:
    from transformers import AutoImageProcessor

    if find_spec("PIL") is None:
        raise ModelError(
            f"model '{source}' reads images, which needs the package Pillow; expected "
            "pip install 'synapse-audit[images]'"
        )
    processor = _load(AutoImageProcessor, source)
    channels = int(getattr(getattr(config, "vision_config", config), "num_channels", 3))
    encoder = image_encoder(processor, _patches(config), channels)
    height, width = (
        _tried(source, encoder, np.full((64, 64), 128, dtype=np.uint8))
        .features[0]["pixel_values"]
        .shape[-2:]
    )
    colours = {1: "grey", 3: "RGB"}.get(channels, f"{channels} channels")
    reads = f"images, {colours}, {height} × {width} pixels after {type(processor).__name__}"
    return Inputs(encoder, stacking_collator(), reads=reads)


def _sounds(source: str, config: Any) -> Inputs:
    from transformers import AutoFeatureExtractor

    extractor = _load(AutoFeatureExtractor, source)
    rate = int(getattr(extractor, "sampling_rate", 0))
    if rate < 1:
        raise ModelError(
            f"model '{source}': its processor names no sampling rate; expected sampling_rate in "
            "preprocessor_config.json"
        )
    reads = f"sounds, {rate:,} samples per second, by {type(extractor).__name__}"
    name = str(extractor.model_input_names[0])
    trial = np.sin(np.arange(rate, dtype=np.float32))
    if hasattr(extractor, "nb_max_frames"):  # Whisper: every sound becomes one of 30 s
        longest, step = int(extractor.n_samples), int(extractor.hop_length)
        encoder = sound_encoder(extractor, rate, name=name, shortest=step, longest=longest)
        _tried(source, encoder, trial)
        reads += f", cut or padded to {longest / rate:g} s"
        return Inputs(encoder, stacking_collator(), reads=reads)
    if not (hasattr(extractor, "max_length") and hasattr(extractor, "num_mel_bins")):
        encoder = sound_encoder(extractor, rate, name=name, shortest=_field(config))
        _tried(source, encoder, trial)
        # Its first norm runs over time, padding included.
        padded = getattr(config, "feat_extract_norm", None) == "group"
        notes = (PADDED,) if padded else ()
        return Inputs(encoder, sound_collator(extractor, name), notes=notes, reads=reads)
    frames = int(extractor.max_length)
    # One frame more fits as soon as a whole step has been added.
    longest = int(FRAME * rate) + int(STEP * rate) * frames - 1
    encoder = sound_encoder(extractor, rate, shortest=int(FRAME * rate), longest=longest)
    _tried(source, encoder, trial)
    reads += f", cut or padded to {frames * STEP:g} s"
    return Inputs(encoder, stacking_collator(), reads=reads)


def _series(config: Any) -> Inputs:
    length, channels = int(config.context_length), int(config.num_input_channels)
    encoder = series_encoder(length, length, channels)
    reads = f"series, {length} steps of {channels} channels (of longer ones the last)"
    return Inputs(encoder, stacking_collator(), reads=reads)


def _load(kind: Any, source: str) -> Any:
    try:
        return kind.from_pretrained(source, trust_remote_code=False)
    except BROKEN as error:
        raise ModelError(
            f"model '{source}': its processor cannot be loaded; expected preprocessor_config.json: "
            f"{first_line(error)}"
        ) from error


def _tried(source: str, encoder: Encoder, example: np.ndarray) -> Encoded:
    try:
        return encoder([Signal("a trial input", "", example)])
    except DataError as error:
        raise ModelError(f"model '{source}': its processor does not work: {error}") from error


def _patches(config: Any) -> int:
    """Tokens that an image becomes; 1 where the configuration does not say: all have as many."""
    sized = getattr(config, "vision_config", config)
    if not hasattr(sized, "image_size") or not hasattr(sized, "patch_size"):
        return 1
    size, patch = (
        value if isinstance(value, int) else value[0]
        for value in (sized.image_size, sized.patch_size)
    )
    return (size // patch) ** 2 + 1


def _field(config: Any) -> int:
    """Samples behind one state, through the convolutions that a waveform passes first."""
    samples = 1
    kernels, strides = getattr(config, "conv_kernel", ()), getattr(config, "conv_stride", ())
    for kernel, stride in reversed(list(zip(kernels, strides, strict=True))):
        samples = (samples - 1) * stride + kernel
    return samples
