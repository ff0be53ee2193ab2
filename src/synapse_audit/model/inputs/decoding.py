"""From a signal as it was found to what a processor takes: an image, a waveform, a series.

In: :class:`Signal`. Out: a Pillow image, :class:`Wave` or an array (time, channels). One is decoded
at a time, so that no more than one is in memory at full size.

Files come from others: every format is read by a decoder that is named here, sizes are bounded
before anything large is allocated, and whatever a broken file makes a decoder raise becomes one
line that names the file. NumPy's own files are read for every kind, never with pickled objects.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float

from synapse_audit.artifacts import Signal
from synapse_audit.errors import DataError, first_line

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
"""Pillow's names; it knows others, some of which start programs."""

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Channels of a model → how Pillow calls such images."""

LEAST_RATE, MOST_RATE = 1_000, 768_000
"""Samples per second."""

MAX_SAMPLES = 100_000_000
"""Over all channels; 400 MB as float32."""

MAX_SECONDS = 600
"""Of one sound; a classifier takes it whole, so that longer ones are a slip or an attack."""

_NUMPY = b"\x93NUMPY"
_WAV = (b"RIFF", b"RIFX", b"RF64")

_BROKEN = (
    *(OSError, ValueError, EOFError, SyntaxError, TypeError, KeyError, IndexError),
    *(ArithmeticError, MemoryError, RuntimeError, struct.error, Warning),
)
"""What decoders raise for broken files. Pillow raises SyntaxError for a broken PNG."""

Decoded = TypeVar("Decoded")


class Wave(NamedTuple):
    """One sound."""

    values: Float[np.ndarray, " samples"]
    """float32, one channel."""
    rate: int | None
    """Samples per second as found; None where nobody says."""
    channels: int
    """As found; several were averaged."""


def decode_image(signal: Signal, channels: int) -> Any:
    """A Pillow image, upright as its EXIF says, of as many channels as the model reads.

    As transformers' own pipeline loads it: of several frames the first, transparency dropped.

    Raises:
        DataError: the file is broken, of another format or too large; more than 8 bits per channel.
    """
    from PIL import Image, ImageOps

    mode = MODES.get(channels)
    if mode is None:
        raise DataError(
            f"an image given to a model of {channels} channels; expected one of "
            f"{', '.join(map(str, MODES))} channels"
        )

    def decode() -> Any:
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        numbers = _numbers(signal)
        if numbers is not None:
            return Image.fromarray(_bytes(numbers)).convert(mode)
        with Image.open(_opened(signal), formats=FORMATS) as image:
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"{image.mode} is more than 8 bits per channel")
            return ImageOps.exif_transpose(image).convert(mode)

    # Pillow: an attack gets an error of its own, which is none of the built-in ones.
    return _decoded(signal, decode, FORMATS, (Image.DecompressionBombError,))


def decode_sound(signal: Signal) -> Wave:
    """A waveform of numbers between −1 and 1, its channels averaged.

    WAV is read by SciPy whatever else is installed, so that the numbers never depend on it; other
    formats by the optional package soundfile.

    Raises:
        DataError: the file is broken, of another format, silent for want of samples, or too long.
    """

    def decode() -> Wave:
        numbers, rate = _numbers(signal), signal.rate
        if numbers is None:
            head = _head(signal)
            numbers, rate = _wav(signal) if head.startswith(_WAV) else _other_sound(signal)
        _check_size(numbers.size, rate)
        samples, channels = _mono(_scaled(numbers))
        if not len(samples) or not np.isfinite(samples).all():
            raise ValueError("no samples, or some that are no numbers")
        return Wave(np.ascontiguousarray(samples, dtype=np.float32), rate, channels)

    wave = _decoded(signal, decode, ("WAV", "FLAC, OGG or MP3 (with 'synapse-audit[audio]')"))
    if wave.rate is not None and len(wave.values) > MAX_SECONDS * wave.rate:
        seconds = len(wave.values) / wave.rate
        raise DataError(
            f"{signal.name} lasts {seconds:,.0f} s; expected {MAX_SECONDS} s at most, since a "
            "classifier takes a sound whole"
        )
    return wave


def decode_series(signal: Signal) -> Float[np.ndarray, "time channels"]:
    """Numbers step by step; one list of numbers is one channel.

    Raises:
        DataError: the file is broken or no .npy file, or holds something else than a table.
    """

    def decode() -> Float[np.ndarray, "time channels"]:
        numbers = _numbers(signal)
        if numbers is None:
            raise ValueError("it is no .npy file")
        if numbers.ndim not in (1, 2):
            raise ValueError(f"its numbers have {numbers.ndim} axes, not 2")
        return numbers.reshape(len(numbers), -1).astype(np.float32)

    return _decoded(signal, decode, (".npy", "lists of numbers (time, channels)"))


def _decoded(
    signal: Signal,
    decode: Callable[[], Decoded],
    expected: tuple[str, ...],
    also: tuple[type[Exception], ...] = (),
) -> Decoded:
    broken: tuple[type[Exception], ...] = (*_BROKEN, *also)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return decode()
    except broken as error:
        raise DataError(
            f"{signal.name} cannot be decoded: {first_line(error)}; expected {', '.join(expected)}"
        ) from error


def _opened(signal: Signal) -> Path | io.BytesIO:
    content = signal.content
    if isinstance(content, Path):
        return content
    return io.BytesIO(content if isinstance(content, bytes) else b"")


def _head(signal: Signal) -> bytes:
    where = _opened(signal)
    if isinstance(where, io.BytesIO):
        return where.read(8)
    with where.open("rb") as file:
        return file.read(8)


def _numbers(signal: Signal) -> np.ndarray | None:
    """What the signal holds if it is an array or a .npy file."""
    if isinstance(signal.content, np.ndarray):
        return signal.content
    if not _head(signal).startswith(_NUMPY):
        return None
    numbers = np.load(_opened(signal), allow_pickle=False)
    if numbers.dtype.kind not in "iuf":
        raise ValueError(f"it holds {numbers.dtype}, no numbers")
    return numbers


def _bytes(numbers: np.ndarray) -> np.ndarray:
    """Pixels (height, width) or (height, width, channels), for Pillow."""
    whole = numbers.astype(np.uint8)
    if numbers.dtype.kind not in "iu" or not np.array_equal(whole, numbers):
        raise ValueError("its numbers are not whole ones from 0 to 255")
    if whole.ndim == 3 and whole.shape[2] == 1:
        return whole[:, :, 0]
    if whole.ndim != 2 and (whole.ndim != 3 or whole.shape[2] not in (3, 4)):
        raise ValueError(f"its numbers have the shape {whole.shape}, not (height, width, channels)")
    return whole


def _wav(signal: Signal) -> tuple[np.ndarray, int]:
    from scipy.io import wavfile

    # A file that ends early is broken; a chunk of remarks that SciPy skips is not.
    warnings.simplefilter("error", wavfile.WavFileWarning)
    warnings.filterwarnings("ignore", "Chunk", wavfile.WavFileWarning)
    rate, numbers = wavfile.read(_opened(signal))
    return numbers, int(rate)


def _check_size(n: int, rate: int | None) -> None:
    """A resampling filter grows with the rate, and rates are whatever a header says."""
    if rate is not None and not LEAST_RATE <= rate <= MOST_RATE:
        raise ValueError(f"its sampling rate is {rate:,}, not {LEAST_RATE:,} to {MOST_RATE:,}")
    if n > MAX_SAMPLES:
        raise ValueError(f"it has {n:,} samples, more than {MAX_SAMPLES:,}")


def _other_sound(signal: Signal) -> tuple[np.ndarray, int]:
    if find_spec("soundfile") is None:
        raise ValueError("it is no WAV file, and the package soundfile is not installed")
    import soundfile

    with soundfile.SoundFile(_opened(signal)) as file:
        # Compressed silence is tiny: no more is decoded than shows that it is too long.
        frames = min(file.frames, MAX_SECONDS * file.samplerate + 1)
        _check_size(frames * file.channels, file.samplerate)
        numbers = file.read(MAX_SECONDS * file.samplerate + 1, dtype="float32")
        return numbers, int(file.samplerate)


def _scaled(numbers: np.ndarray) -> np.ndarray:
    """Whole numbers as WAV files have them, between −1 and 1."""
    if numbers.dtype.kind == "f":
        return numbers.astype(np.float32)
    if numbers.dtype == np.uint8:
        return (numbers.astype(np.float32) - 128) / 128
    if numbers.dtype in (np.int16, np.int32):
        return (numbers / -float(np.iinfo(numbers.dtype).min)).astype(np.float32)
    raise ValueError(f"its samples are {numbers.dtype}, not int16, int32 or floats from -1 to 1")


def _mono(numbers: np.ndarray) -> tuple[np.ndarray, int]:
    """One channel; the shorter axis is that of the channels."""
    if numbers.ndim == 1:
        return numbers, 1
    if numbers.ndim != 2:
        raise ValueError(f"its samples have {numbers.ndim} axes, not 1 or 2")
    axis = int(np.argmin(numbers.shape))
    return numbers.mean(axis=axis), numbers.shape[axis]
