"""Files into images, waveforms and series, against Pillow, NumPy and arithmetic; broken ones."""

import io
import struct
import wave
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from synapse_audit.artifacts import Signal
from synapse_audit.errors import DataError
from synapse_audit.model.inputs import decoding
from synapse_audit.model.inputs.decoding import decode_image, decode_series, decode_sound

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (5, 7, 3), dtype=np.uint8)
TONE = (9000 * np.sin(np.arange(400) / 9)).astype(np.int16)


def signal(content: Any, rate: int | None = None) -> Signal:
    return Signal("'it'", "", content, rate)


def png(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **({"format": "PNG"} | options))
    return buffer.getvalue()


def wav(samples: np.ndarray, rate: int = 16000) -> bytes:
    buffer = io.BytesIO()
    wavfile.write(buffer, rate, samples)
    return buffer.getvalue()


def npy(values: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, **options)
    return buffer.getvalue()


def refusal(decode: Callable[..., object], content: Any, *more: Any) -> str:
    with pytest.raises(DataError) as caught:
        decode(signal(content), *more)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("'it' ")
    return message


# ---------------------------------------------------------------- images


@pytest.mark.parametrize("kind", ["path", "bytes", "array", "npy"])
def test_pixels_are_those_that_were_written(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(Image.fromarray(PIXELS)))
    content = {
        "path": tmp_path / "a.png",
        "bytes": png(Image.fromarray(PIXELS)),
        "array": PIXELS.astype(np.int64),
        "npy": npy(PIXELS),
    }[kind]
    assert np.array_equal(np.asarray(decode_image(signal(content), 3)), PIXELS)
    grey = np.asarray(Image.fromarray(PIXELS).convert("L"))
    assert np.array_equal(np.asarray(decode_image(signal(content), 1)), grey)


def test_images_are_upright_and_of_one_frame() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    turned = png(Image.fromarray(PIXELS), exif=exif)
    assert np.array_equal(np.asarray(decode_image(signal(turned), 3)), np.rot90(PIXELS, -1))
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    film = png(frames[0], format="GIF", save_all=True, append_images=frames[1:])
    assert decode_image(signal(film), 3).getpixel((0, 0)) == (255, 0, 0)


def test_transparent_palettes_are_read_without_a_warning() -> None:
    image = Image.fromarray(PIXELS).quantize(8)
    content = png(image, transparency=bytes(range(8)))
    expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(np.asarray(decode_image(signal(content), 3)), expected)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few dozen bytes that says it is huge."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_images_that_cannot_be_had() -> None:
    whole = png(Image.fromarray(RANDOM.integers(0, 256, (40, 40, 3), dtype=np.uint8)))
    assert "cannot identify image file" in refusal(decode_image, b"no image", 3)
    assert "expected PNG, JPEG" in refusal(decode_image, whole[: len(whole) // 2], 3)
    assert "decompression bomb" in refusal(decode_image, bomb(10_000, 10_000), 3)  # Pillow warns
    assert "decompression bomb" in refusal(decode_image, bomb(60_000, 60_000), 3)  # it raises
    deep = png(Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16)))
    assert "more than 8 bits per channel" in refusal(decode_image, deep, 3)
    script = png(Image.fromarray(PIXELS), format="EPS")
    assert "cannot identify image file" in refusal(decode_image, script, 3)  # no Ghostscript
    assert "whole ones from 0 to 255" in refusal(decode_image, PIXELS / 255, 3)
    assert "not (height, width, channels)" in refusal(decode_image, PIXELS[..., :2], 3)


# ---------------------------------------------------------------- sounds


def test_whole_numbers_become_shares_of_the_largest() -> None:
    for samples, share in (
        (TONE, TONE / 2**15),
        (TONE.astype(np.int32) * 65536, TONE / 2**15),
        ((TONE // 128 + 128).astype(np.uint8), (TONE // 128) / 128),
        ((TONE / 2**15).astype(np.float32), TONE / 2**15),
    ):
        for content in (wav(samples), npy(samples), samples):
            heard = decode_sound(signal(content, None))
            assert np.array_equal(heard.values, share.astype(np.float32))
            assert heard.channels == 1
        assert decode_sound(signal(wav(samples, 8000))).rate == 8000


def test_24_bits_are_read_and_remarks_skipped(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 3, 16000, 0, "NONE", ""))
        file.writeframes(b"".join(int(v).to_bytes(4, "little", signed=True)[:3] for v in TONE))
    content = (tmp_path / "a.wav").read_bytes() + b"LIST" + struct.pack("<I", 4) + b"abcd"
    riff = content[:4] + struct.pack("<I", len(content) - 8) + content[8:]
    heard = decode_sound(signal(riff))
    assert np.allclose(heard.values, TONE / 2**23, atol=1e-9)


def test_channels_are_averaged_whichever_axis_they_are_on() -> None:
    both = np.stack([TONE, TONE // 2])
    for content in (wav(both.T), both, both.T):
        heard = decode_sound(signal(content))
        assert heard.channels == 2
        assert np.allclose(heard.values, both.mean(0) / 2**15, atol=1e-7)


def test_sounds_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "find_spec", lambda name: None)
    assert "the package soundfile is not installed" in refusal(decode_sound, b"fLaC....")
    whole = wav(TONE)
    for broken in (whole[:30], whole[:100], whole[:8] + b"JUNK" * 9, whole[:20] + b"\0" * 60):
        assert "cannot be decoded" in refusal(decode_sound, broken)
    assert "no samples" in refusal(decode_sound, wav(TONE[:0]))
    assert "no samples" in refusal(decode_sound, np.array([0.0, np.nan]))
    assert "int64, not int16" in refusal(decode_sound, TONE.astype(np.int64))
    assert "lasts 601 s; expected 600 s at most" in refusal(
        decode_sound, wav(TONE[:1].repeat(601_000), 1000)
    )


# ---------------------------------------------------------------- series


@pytest.mark.parametrize("rate", [1, 100_000_007, 2_000_000_000, 10**300])
def test_no_rate_of_a_header_makes_a_filter_of_gigabytes(rate: int) -> None:
    with pytest.raises(DataError, match="its sampling rate is"):
        decode_sound(signal(TONE / 2**15, rate))


def test_series_have_a_channel_even_where_none_was_written(tmp_path: Path) -> None:
    values = RANDOM.normal(size=(6, 2))
    np.save(tmp_path / "a.npy", values)
    for content in (values, npy(values), tmp_path / "a.npy"):
        assert np.array_equal(decode_series(signal(content)), values.astype(np.float32))
    assert decode_series(signal(np.arange(4))).tolist() == [[0.0], [1.0], [2.0], [3.0]]


def test_series_that_cannot_be_had() -> None:
    assert "it is no .npy file" in refusal(decode_series, b"1,2,3")
    assert "3 axes" in refusal(decode_series, np.zeros((2, 2, 2)))
    objects = npy(np.array([{}], dtype=object), allow_pickle=True)
    assert "allow_pickle=False" in refusal(decode_series, objects)
    assert "no numbers" in refusal(decode_series, npy(np.array(["a"])))
    assert "cannot be decoded" in refusal(decode_series, npy(np.zeros((9, 2)))[:100])
