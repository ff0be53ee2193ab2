"""Rows, files and refusals that the tests of data share."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synapse_audit.artifacts import LabelledData
from synapse_audit.errors import DataError

CLASSES = ("norm", "sqli", "path-traversal")
SHARED = Path(__file__).parents[3] / "shared" / "data"


def rows_of(sizes: dict[str, int], prefix: str = "") -> list[dict[str, Any]]:
    """One row per example, sorted by class, every text different."""
    return [
        {"text": f"{prefix}{label} {i}", "label": label}
        for label, size in sizes.items()
        for i in range(size)
    ]


def write_csv(path: Path, rows: Sequence[dict[str, Any]], separator: str = ",") -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def make(labels: Iterable[int], groups: Iterable[int] | None = None) -> LabelledData:
    """Labelled data built in memory, for the splits alone."""
    index = np.array(list(labels), dtype=np.int64)
    return LabelledData(
        inputs=tuple(f"text {i}" for i in range(len(index))),
        labels=index,
        classes=tuple(f"c{i}" for i in range(max(index) + 1)),
        weights=np.ones(len(index)),
        origin=np.zeros(len(index), dtype=np.int64),
        groups=None if groups is None else np.array(list(groups), dtype=np.int64),
        sha256="",
        source="memory",
        n_rows=len(index),
        n_repeats=0,
    )


def error_of(call: Callable[..., Any], *args: Any, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        call(*args, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message
