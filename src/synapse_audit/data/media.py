"""Inputs that are no texts: what they are called, in which columns and files they are found.

Adding a kind = one entry of ``MEDIA`` and a decoder in :mod:`synapse_audit.model.inputs.decoding`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ARRAYS = ".npy"
"""NumPy's own file, of any kind of numbers."""

_PATHS = ("path", "paths", "file", "files", "file_name", "filename", "file_path", "filepath")
"""Columns that say where a file is."""


@dataclass(frozen=True)
class Medium:
    """One kind of input."""

    one: str
    """What one of them is called."""
    columns: tuple[tuple[str, ...], ...]
    """Columns taken for them when none is named, the surer ones first; case does not matter."""
    suffixes: tuple[str, ...]
    """Files that count in a folder of classes, in small letters."""


MEDIA: Mapping[str, Medium] = {
    "image": Medium(
        one="image",
        columns=(
            ("image", "images", "img", "picture", "photo"),
            (*_PATHS, "image_path", "image_file", "img_path"),
        ),
        suffixes=(
            *(".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff"),
            *(".ppm", ".pgm", ARRAYS),
        ),
    ),
    "audio": Medium(
        one="sound",
        columns=(
            ("audio", "sound", "speech", "wav", "waveform"),
            (*_PATHS, "audio_path", "audio_file", "wav_path"),
        ),
        suffixes=(".wav", ".flac", ".ogg", ".mp3", ARRAYS),
    ),
    "series": Medium(
        one="series",
        columns=(("series", "values", "past_values", "signal", "array", "data"), _PATHS),
        suffixes=(ARRAYS,),
    ),
}
"""Modality of a classifier → what it reads; texts are not among them."""
