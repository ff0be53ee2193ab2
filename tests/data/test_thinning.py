"""Repeats, the cap on rows, and weights that restore the file's shares."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_audit.data import load_data, split, split_weights
from synapse_audit.data.thinning import quotas

from .files import CLASSES, rows_of, write_csv


def test_the_first_copy_of_a_repeat_is_kept(tmp_path: Path) -> None:
    rows = rows_of({"norm": 3, "sqli": 2})
    data = load_data(
        write_csv(tmp_path / "a.csv", [*rows, rows[1], rows[4], rows[1]]), classes=CLASSES
    )
    assert data.inputs == tuple(row["text"] for row in rows)
    assert (data.n_rows, data.n_repeats) == (8, 3)


def test_contradictory_labels_are_drawn_in_proportion_and_ignore_row_order(tmp_path: Path) -> None:
    rows = [
        {"text": str(i), "label": label} for label in ("norm", "norm", "sqli") for i in range(600)
    ]
    data = load_data(write_csv(tmp_path / "a.csv", rows), classes=CLASSES)
    back = load_data(write_csv(tmp_path / "b.csv", rows[::-1]), classes=CLASSES, seed=3)
    assert dict(zip(data.inputs, data.labels, strict=True)) == dict(
        zip(back.inputs, back.labels, strict=True)
    )
    assert data.n_repeats == 1200
    # Binomial(600, 1/3): mean 200, sd 11.5; four sd.
    assert abs(np.count_nonzero(data.labels == 1) - 200) < 46


def test_the_hash_covers_every_content_and_nothing_else(tmp_path: Path) -> None:
    rows = [row | {"g": i // 2} for i, row in enumerate(rows_of({"norm": 40, "sqli": 40}))]

    def digest(rows: Sequence[dict[str, Any]], **options: Any) -> str:
        return load_data(write_csv(tmp_path / "x.csv", rows), classes=CLASSES, **options).sha256

    plain = digest(rows)
    assert plain == digest(rows, seed=5, max_examples=60)
    assert plain == digest([dict(reversed(row.items())) for row in rows])
    variants = [
        digest([*rows, rows[0]]),
        digest(rows[1:]),
        digest(rows[::-1]),
        digest([rows[0] | {"text": "other"}, *rows[1:]]),
        digest([rows[0] | {"label": "sqli"}, *rows[1:]]),
        digest(rows, group_column="g"),
        digest([row | {"g": 0} for row in rows], group_column="g"),
    ]
    assert len({plain, *variants}) == 8


@given(sizes=st.lists(st.integers(0, 400), min_size=1, max_size=8), limit=st.integers(1, 1500))
def test_quotas_fill_the_cap_and_keep_thirty(sizes: list[int], limit: int) -> None:
    array = np.array(sizes, dtype=np.int64)
    kept = quotas(array, limit)
    floor = np.minimum(array, 30)
    assert (kept <= array).all()
    assert (kept >= floor).all()
    assert kept.sum() == min(array.sum(), max(limit, floor.sum()))
    # One common rate explains all classes above the floor, up to one row of rounding.
    thinned = kept > floor
    if thinned.any():
        assert ((kept - 1) / np.maximum(array, 1))[thinned].max() <= (
            (kept + 1) / np.maximum(array, 1)
        )[thinned].min()


def test_every_split_weighs_what_the_file_holds(tmp_path: Path) -> None:
    # 16 of 216 are 7.4 %; evaluate gets 5 of 85, 5.9 %.
    path = write_csv(tmp_path / "a.csv", rows_of({"norm": 200, "sqli": 16}))
    data = load_data(path, classes=CLASSES)
    splits = split(data, seed=1)
    weights = split_weights(data, splits)
    for rows in (splits.fit, splits.select, splits.evaluate):
        assert weights[rows].mean() == pytest.approx(1.0)
        share = weights[rows][data.labels[rows] == data.labels.max()].sum() / weights[rows].sum()
        assert share == pytest.approx(16 / 216)
    assert (data.labels[splits.evaluate] == data.labels.max()).mean() == pytest.approx(5 / 85)


def test_the_cap_and_the_weights_on_known_numbers(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", rows_of({"norm": 900, "sqli": 60, "path-traversal": 40}))
    data = load_data(path, classes=CLASSES, max_examples=500)
    assert np.bincount(data.labels).tolist() == [440, 30, 30]
    assert data.weights[0] == pytest.approx(0.9 / (440 / 500))
    assert data.weights.mean() == pytest.approx(1.0)
    assert (data.n_rows, data.n_repeats) == (1000, 0)
    share = np.bincount(data.labels, data.weights) / data.weights.sum()
    np.testing.assert_allclose(share, [0.9, 0.06, 0.04], atol=1e-12)
    evaluate = split(data, seed=1).evaluate
    weighted = np.bincount(data.labels[evaluate], data.weights[evaluate])
    np.testing.assert_allclose(weighted / weighted.sum(), [0.9, 0.06, 0.04], atol=0.01)
    # 2,000 is no cap for 1,000 rows.
    assert load_data(path, classes=CLASSES, max_examples=2000).weights.tolist() == [1.0] * 1000


def test_the_cap_is_random_within_a_class_and_set_by_the_seed(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", rows_of({"norm": 300, "sqli": 300}))
    first = load_data(path, classes=CLASSES, max_examples=100, seed=1)
    assert first.inputs == load_data(path, classes=CLASSES, max_examples=100, seed=1).inputs
    assert first.inputs != load_data(path, classes=CLASSES, max_examples=100, seed=2).inputs
    positions = [int(str(text).split()[1]) for text in first.inputs]
    assert max(positions) > 250
