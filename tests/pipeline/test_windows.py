"""Windows that an encoder of one's own cuts out of arrays."""

import numpy as np

from synapse_audit.artifacts import LabelledData, Signal
from synapse_audit.model import Encoded
from synapse_audit.pipeline.stages.windows import by_window


def test_windows_without_tokens_are_distinguished_by_their_numbers() -> None:
    """Equal numbers are a repeat; another shape or type is not."""
    numbers = [[1, 2], [3, 4], [3, 4], [5, 6], [1, 2], [7, 8]]
    windows = [np.array(one, dtype=np.float32) for one in numbers]
    windows[4] = windows[4][:, None]
    data = LabelledData(
        inputs=tuple(Signal(str(row), str(row), np.zeros(4)) for row in range(3)),
        labels=np.array([0, 1, 0]),
        classes=("a", "b"),
        weights=np.ones(3),
        origin=np.zeros(3, dtype=np.int64),
        groups=None,
        sha256="",
        source="rows",
        n_rows=3,
        n_repeats=0,
    )
    encoded = Encoded(
        tuple({"values": window} for window in windows),
        np.full(6, 2),
        0,
        rows=np.array([0, 0, 1, 1, 2, 2]),
    )
    read = by_window(data, encoded)
    assert read.data.windows is not None and read.data.windows.n_repeats == 1
    kept = [np.ravel(one["values"]).tolist() for one in read.encoded.features]
    assert kept == [[1, 2], [3, 4], [5, 6], [1, 2], [7, 8]]
