"""Encoded windows and the labels of the rows they were cut from, put together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from synapse_audit.artifacts import LabelledData
from synapse_audit.data import windowed
from synapse_audit.model import Encoded


class WindowedInputs(NamedTuple):
    """Labelled data and the same examples as the model reads them."""

    data: LabelledData
    encoded: Encoded


def by_window(data: LabelledData, encoded: Encoded) -> WindowedInputs:
    """Example by example: as they are where no windows were cut, else one per distinct window.

    Raises:
        DataError: every window of the file to fit on occurs in the data too.
    """
    if encoded.rows is None:
        return WindowedInputs(data, encoded)
    made = windowed(data, encoded.rows, [_content(example) for example in encoded.features])
    examples = replace(
        encoded,
        features=[encoded.features[place] for place in made.kept.tolist()],
        lengths=encoded.lengths[made.kept],
        rows=encoded.rows[made.kept],
    )
    return WindowedInputs(made.data, examples)


def _content(features: Mapping[str, Any]) -> str:
    """What a window holds: its tokens, or the hash of all numbers of whoever has no tokens."""
    if "input_ids" in features:
        return " ".join(map(str, features["input_ids"]))
    found = hashlib.sha256()
    for name in sorted(features):
        values = np.asarray(features[name])
        found.update(f"{name} {values.dtype.str} {values.shape}".encode())
        found.update(values.tobytes())
    return found.hexdigest()
