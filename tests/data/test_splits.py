"""Three disjoint, stratified splits, also by group and with a file to fit on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synapse_audit.data import load_data, split
from synapse_audit.data.splitting import part_sizes

from .files import CLASSES, error_of, make, rows_of, write_csv


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.sampled_from([0, 15, 16, 19, 24, 25, 33, 60]), min_size=2, max_size=5),
    seed=st.integers(0, 5),
)
def test_splits_are_disjoint_complete_and_stratified(sizes: list[int], seed: int) -> None:
    if not any(sizes):
        return
    data = make([label for label, n in enumerate(sizes) for _ in range(n)])
    parts = split(data, seed=seed)
    joined = np.concatenate([parts.fit, parts.select, parts.evaluate])
    assert sorted(joined) == list(range(len(data)))
    for part in (parts.fit, parts.select, parts.evaluate):
        assert (np.diff(part) > 0).all()
    counted = [
        np.bincount(data.labels[part], minlength=len(data.classes))
        for part in (parts.fit, parts.select, parts.evaluate)
    ]
    for label, n in enumerate(np.bincount(data.labels)):
        got = [int(counts[label]) for counts in counted]
        assert got == part_sizes(int(n), 3)
        assert n == 0 or min(got) >= 5


def test_shares_are_40_20_40() -> None:
    parts = split(make([0] * 500 + [1] * 300 + [2] * 200), seed=0)
    assert (len(parts.fit), len(parts.select), len(parts.evaluate)) == (400, 200, 400)


def test_splits_follow_the_seed() -> None:
    data = make([0, 1] * 50)
    assert np.array_equal(split(data, seed=1).fit, split(data, seed=1).fit)
    assert not np.array_equal(split(data, seed=1).fit, split(data, seed=2).fit)


def test_too_few_examples_say_how_many_are_needed(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", rows_of({"norm": 40, "sqli": 14, "path-traversal": 3}))
    message = error_of(split, load_data(path, classes=CLASSES), seed=0)
    assert "'sqli' has 14, 'path-traversal' has 3; expected at least 15" in message


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), per_group=st.integers(1, 12))
def test_groups_stay_whole_and_shares_hold_roughly(seed: int, per_group: int) -> None:
    generator = np.random.default_rng(seed)
    groups = generator.integers(0, 600 // per_group, 600)
    labels = generator.choice(3, 600, p=[0.6, 0.3, 0.1])
    data = make(labels.tolist(), groups.tolist())
    parts = split(data, seed=seed)
    assert sorted(np.concatenate([parts.fit, parts.select, parts.evaluate])) == list(range(600))
    members = [set(groups[part]) for part in (parts.fit, parts.select, parts.evaluate)]
    assert not members[0] & members[1]
    assert not members[0] & members[2]
    assert not members[1] & members[2]
    for part, share in zip((parts.fit, parts.select, parts.evaluate), (0.4, 0.2, 0.4), strict=True):
        assert len(part) / 600 == pytest.approx(share, abs=0.05)
        assert np.bincount(labels[part]).min() >= 5
        np.testing.assert_allclose(
            np.bincount(labels[part]) / len(part), np.bincount(labels) / 600, atol=0.06
        )
    assert np.array_equal(parts.fit, split(data, seed=seed).fit)


def test_groups_of_unequal_size_need_more_than_one_order() -> None:
    # Class 1 lives in three groups only; each split must get one of them.
    labels = [0] * 300 + [1] * 15
    groups = list(range(300)) + [300] * 5 + [301] * 5 + [302] * 5
    parts = split(make(labels, groups), seed=0)
    assert [int((part >= 300).sum()) for part in (parts.fit, parts.select, parts.evaluate)] == [
        5
    ] * 3


def test_large_groups_go_where_they_fit() -> None:
    groups = np.repeat([0, 1, 2], [40, 40, 20])
    parts = split(make([0, 1] * 50, groups.tolist()), seed=0)
    assert [len(part) for part in (parts.fit, parts.select, parts.evaluate)] == [40, 20, 40]


def test_groups_that_cannot_be_dealt_out_are_refused() -> None:
    labels = [0] * 60 + [1] * 20
    few = make(labels, [i % 20 for i in range(60)] + [100] * 10 + [101] * 10)
    message = error_of(split, few, seed=0)
    assert "'c1' occurs in 2; expected at least 3" in message
    lopsided = make(labels, [i % 20 for i in range(60)] + [100] * 16 + [101, 101, 102, 102])
    message = error_of(split, lopsided, seed=0)
    assert "cannot be dealt out" in message
    assert "'c1'" in message


def test_fit_data_is_split_two_to_one_and_never_shares_an_input(tmp_path: Path) -> None:
    test = rows_of({"norm": 30, "sqli": 10})
    train = [*test[:7], *rows_of({"norm": 60, "sqli": 30}, prefix="train "), test[8]]
    data = load_data(
        write_csv(tmp_path / "test.csv", test),
        classes=CLASSES,
        fit_data=write_csv(tmp_path / "train.csv", train),
    )
    assert (data.n_rows, data.n_repeats, len(data)) == (138, 8, 130)
    assert len(set(data.inputs)) == len(data)
    parts = split(data, seed=0)
    assert parts.evaluate.tolist() == list(range(40))
    assert (len(parts.fit), len(parts.select)) == (60, 30)
    assert np.bincount(data.labels[parts.fit]).tolist() == [40, 20]
    assert np.bincount(data.labels[parts.select]).tolist() == [20, 10]
    assert not data.origin[parts.evaluate].any()
    assert data.origin[parts.fit].all()


def test_fit_data_shares_the_cap_and_takes_the_shares_of_the_data(tmp_path: Path) -> None:
    test = write_csv(tmp_path / "test.csv", rows_of({"norm": 900, "sqli": 100}))
    train = write_csv(tmp_path / "train.csv", rows_of({"norm": 500, "sqli": 500}, prefix="t "))
    data = load_data(test, classes=CLASSES, fit_data=train, max_examples=500)
    assert [np.bincount(data.labels[data.origin == side]).tolist() for side in (0, 1)] == [
        [170, 30],
        [150, 150],
    ]
    for side in (0, 1):
        rows = data.origin == side
        share = np.bincount(data.labels[rows], data.weights[rows]) / data.weights[rows].sum()
        np.testing.assert_allclose(share, [0.9, 0.1], atol=1e-12)
        assert data.weights[rows].mean() == pytest.approx(1.0)
    # A side that needs less leaves the rest to the other.
    small = write_csv(tmp_path / "small.csv", rows_of({"norm": 30, "sqli": 30}))
    data = load_data(small, classes=CLASSES, fit_data=train, max_examples=500)
    assert np.bincount(data.origin).tolist() == [60, 440]
    data = load_data(train, classes=CLASSES, fit_data=small, max_examples=500)
    assert np.bincount(data.origin).tolist() == [440, 60]


def test_fit_data_drops_groups_of_the_data(tmp_path: Path) -> None:
    def rows(prefix: str, first: int) -> list[dict[str, Any]]:
        plain = rows_of({"norm": 30, "sqli": 30}, prefix)
        return [row | {"who": first + i % 10} for i, row in enumerate(plain)]

    test, train = write_csv(tmp_path / "a.csv", rows("a", 0)), tmp_path / "b.csv"
    data = load_data(
        test, classes=CLASSES, fit_data=write_csv(train, rows("b", 4)), group_column="who"
    )
    assert data.groups is not None
    assert not set(data.groups[data.origin == 0]) & set(data.groups[data.origin == 1])
    assert data.n_repeats == 36
    message = error_of(load_data, test, classes=CLASSES, fit_data=test)
    assert "every input or group of the 60 rows" in message


def test_fit_data_needs_every_class_and_the_same_columns(tmp_path: Path) -> None:
    test = write_csv(tmp_path / "test.csv", rows_of({"norm": 10, "sqli": 5}))
    train = write_csv(tmp_path / "train.csv", rows_of({"norm": 30, "sqli": 9}, "t"))
    message = error_of(split, load_data(test, classes=CLASSES, fit_data=train), seed=0)
    assert "'sqli' has 9; expected at least 10 (5 for each of fit, select)" in message
    message = error_of(split, load_data(train, classes=CLASSES, fit_data=test), seed=0)
    assert "'sqli' has 5" in message
    other = write_csv(tmp_path / "o.csv", [{"txt": "a", "label": "norm"}])
    message = error_of(load_data, test, classes=CLASSES, fit_data=other)
    assert "did you mean 'txt'?" in message
    assert "o.csv" in message
