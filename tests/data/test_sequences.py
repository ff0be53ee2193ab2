"""Columns of token ids, and rows cut into windows, as labelled data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synapse_audit.artifacts import LabelledData
from synapse_audit.data import load_data, split, windowed
from synapse_audit.errors import DataError

CLASSES = ("calm", "rage")
ROWS = [[3, 14, 15, i] for i in range(20)] + [[i, 7] for i in range(20)]
LABELS = ["calm"] * 20 + ["rage"] * 20


def _load(path: Path, **options: Any) -> LabelledData:
    return load_data(str(path), classes=CLASSES, vocabulary=20, **options)


def _csv(path: Path, texts: Sequence[str]) -> Path:
    pd.DataFrame({"text": texts, "label": LABELS[: len(texts)]}).to_csv(path, index=False)
    return path


def _jsonl(path: Path, values: Sequence[Any]) -> Path:
    lines = [json.dumps({"text": v, "label": la}) for v, la in zip(values, LABELS, strict=False)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_every_way_of_writing_ids_is_the_same_data(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ROWS, "label": LABELS})
    frame.to_parquet(tmp_path / "ids.parquet")
    read = [
        _load(_jsonl(tmp_path / "ids.jsonl", ROWS)),
        _load(tmp_path / "ids.parquet"),
        _load(_csv(tmp_path / "spaces.csv", [" ".join(map(str, row)) for row in ROWS])),
        _load(_csv(tmp_path / "commas.csv", [", ".join(map(str, row)) for row in ROWS])),
        _load(_csv(tmp_path / "brackets.csv", [str(row) for row in ROWS])),
    ]
    assert read[0].inputs[0] == "3 14 15 0" and read[0].inputs[-1] == "19 7"
    assert {data.inputs for data in read} == {read[0].inputs}
    assert len({data.sha256 for data in read}) == 1


def test_equal_sequences_are_repeats_however_written(tmp_path: Path) -> None:
    texts = [" ".join(map(str, row)) for row in ROWS]
    texts[1] = "3,14, 15,0"
    data = _load(_csv(tmp_path / "ids.csv", texts))
    assert data.n_repeats == 1 and len(data) == 39


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([1, 20], ["row 3", "token id 20", "whole numbers from 0 to 19"]),
        ([1, -1], ["row 3", "token id -1", "0 to 19"]),
        ([1, 2.5], ["row 3", "'2.5'"]),
        ([1, True], ["row 3", "'True'"]),
        ([1, "2"], ["row 3", "'2'"]),
        ([[1, 2]], ["row 3", "'[1, 2]'"]),
        ([], ["row 3", "no token id"]),
        (None, ["row 3", "'None'", "sequence"]),
        (7, ["row 3", "'7'", "sequence"]),
        ("ntopen ntclose", ["row 3", "'ntopen'", "spaces or commas"]),
        ("9" * 5000, ["row 3", "'9999"]),
    ],
)
def test_the_first_row_that_is_no_sequence_is_named(
    tmp_path: Path, value: Any, words: list[str]
) -> None:
    values: list[Any] = [*ROWS]
    values[2] = values[5] = value
    with pytest.raises(DataError) as caught:
        _load(_jsonl(tmp_path / "ids.jsonl", values))
    message = str(caught.value)
    assert "\n" not in message and len(message) < 300
    assert all(word in message for word in words), message


def test_lists_where_texts_are_expected_name_the_option(tmp_path: Path) -> None:
    path = _jsonl(tmp_path / "ids.jsonl", ROWS)
    with pytest.raises(DataError, match="lists of token ids need --tokens ids"):
        load_data(str(path), classes=CLASSES)


def test_pairs_of_sequences_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ids.jsonl"
    frame = pd.DataFrame({"text": ROWS, "other": ROWS, "label": LABELS})
    frame.to_json(path, orient="records", lines=True)
    with pytest.raises(DataError, match="'other' given with token ids"):
        _load(path, text_pair_column="other")


def _data(labels: Sequence[int], **fields: Any) -> LabelledData:
    n = len(labels)
    plain = {
        "weights": np.ones(n),
        "origin": np.zeros(n, dtype=np.int64),
        "groups": None,
    }
    return LabelledData(
        inputs=tuple(f"row {i}" for i in range(n)),
        labels=np.array(labels, dtype=np.int64),
        classes=CLASSES,
        sha256="",
        source="memory",
        n_rows=n,
        n_repeats=0,
        **(plain | fields),
    )


def _distinct(n: int) -> list[str]:
    return [str(i) for i in range(n)]


def test_a_window_has_the_label_of_its_row_and_the_row_is_its_group() -> None:
    rows = np.array([0, 0, 0, 1, 2, 2])
    made = windowed(_data([1, 0, 1]), rows, _distinct(6))
    assert made.data.labels.tolist() == [1, 1, 1, 0, 1, 1]
    assert made.data.groups is not None and made.data.groups.tolist() == rows.tolist()
    assert made.data.inputs == tuple(f"row {i}" for i in rows)
    assert made.data.windows is not None
    assert made.data.windows.rows.tolist() == rows.tolist()
    assert (made.data.windows.n_rows, made.data.windows.n_windows) == (3, 6)


def test_a_group_that_is_given_wins() -> None:
    made = windowed(
        _data([0, 0, 1], groups=np.array([5, 5, 9])), np.array([0, 0, 1, 2]), _distinct(4)
    )
    assert made.data.groups is not None and made.data.groups.tolist() == [5, 5, 5, 9]


def test_a_class_whose_windows_all_repeat_is_missed() -> None:
    with pytest.raises(DataError, match=f"windows of memory' holds only class '{CLASSES[0]}'"):
        windowed(_data([0, 0]), np.array([0, 1]), ["a", "b"])


def test_rows_that_fit_one_window_are_no_groups() -> None:
    made = windowed(_data([0, 1]), np.array([0, 1]), ["a", "b"])
    assert made.data.groups is None and made.data.windows is not None


def test_equal_windows_count_once_and_weights_keep_their_mean() -> None:
    weights, origin = np.array([3.0, 1.0, 2.0]), np.array([0, 0, 1])
    made = windowed(
        _data([0, 1, 0], weights=weights, origin=origin),
        np.array([0, 0, 1, 1, 2, 2]),
        ["a", "a", "b", "c", "b", "d"],
    )
    # The second "a" repeats; "b" of the file to fit on occurs in the data.
    assert made.kept.tolist() == [0, 2, 3, 5]
    assert made.data.windows is not None and made.data.windows.n_repeats == 2
    np.testing.assert_allclose(made.data.weights, [9 / 5, 3 / 5, 3 / 5, 1])


@pytest.mark.parametrize("seed", range(3))
def test_windows_of_one_row_never_fall_into_different_splits(seed: int) -> None:
    generator = np.random.default_rng(seed)
    rows = np.repeat(np.arange(60), generator.integers(1, 9, size=60))
    made = windowed(_data([i % 2 for i in range(60)]), rows, _distinct(len(rows)))
    splits = split(made.data, seed=seed)
    parts = [set(rows[made.kept[part]]) for part in (splits.fit, splits.select, splits.evaluate)]
    assert sum(map(len, parts)) == 60 == len(set.union(*parts))
