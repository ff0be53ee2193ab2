"""Rows with several labels: read in three forms, drawn and weighted by their rarest label."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synapse_audit.artifacts.label_sets import decoded, encoded
from synapse_audit.data import load_data, split
from synapse_audit.data.several_labels import LEAST_STRATUM, label_strata
from synapse_audit.errors import DataError

NAMES = ("anger", "joy", "love")
ROWS = 300
GENERATOR = np.random.default_rng(0)
PRESENT = GENERATOR.random((ROWS, 3)) < (0.1, 0.5, 0.3)


def frame(how: str) -> pd.DataFrame:
    made = pd.DataFrame({"text": [f"text {i}" for i in range(ROWS)]})
    sets = [[name for name, yes in zip(NAMES, row, strict=True) if yes] for row in PRESENT]
    if how == "columns":
        return made.assign(**{name: PRESENT[:, i].astype(int) for i, name in enumerate(NAMES)})
    if how == "ids":
        return made.assign(labels=[[NAMES.index(name) for name in one] for one in sets])
    return made.assign(labels=sets if how == "lists" else ["|".join(one) for one in sets])


@pytest.mark.parametrize("how", ["joined", "lists", "columns", "ids"])
def test_every_form_gives_the_same_sets(how: str) -> None:
    data = load_data(frame(how), classes=NAMES, several=True)
    assert data.sets is not None and (data.truth == data.sets).all()
    assert (decoded(data.sets, 3) == PRESENT).all()
    assert data.inputs == tuple(f"text {i}" for i in range(ROWS))
    assert data.sha256 == load_data(frame("joined"), classes=NAMES, several=True).sha256


def test_a_row_is_drawn_by_its_rarest_label() -> None:
    data = load_data(frame("joined"), classes=NAMES, several=True)
    for row, stratum in zip(PRESENT, data.labels, strict=True):
        there = [c for c in (0, 2, 1) if row[c]]  # from the rarest on
        assert stratum == (there[0] if there else 3)
    splits = split(data)
    for part in (splits.fit, splits.select, splits.evaluate):
        assert PRESENT[part].any(axis=0).all()


def test_weights_restore_the_shares_of_the_file() -> None:
    data = load_data(frame("joined"), classes=NAMES, several=True, max_examples=100)
    assert len(data) == 100 and data.sets is not None
    counts = np.bincount(data.labels, minlength=4)
    assert (counts >= LEAST_STRATUM).all()
    every = label_strata(encoded(PRESENT), 3, np.zeros(ROWS, int))
    shares = np.bincount(data.labels, data.weights) / data.weights.sum()
    np.testing.assert_allclose(shares, np.bincount(every) / ROWS)


def test_labels_too_rare_for_a_stratum_join_another() -> None:
    present = np.zeros((100, 3), bool)
    present[:, 1], present[:40, 2], present[:3, 0] = True, True, True
    found = label_strata(encoded(present), 3, np.zeros(100, int))
    assert found.tolist() == [2] * 40 + [1] * 60
    present[97:] = False  # three rows without any label: too few as well
    found = label_strata(encoded(present), 3, np.zeros(100, int))
    assert found.tolist() == [2] * 40 + [1] * 60


def test_repeats_that_agree_are_one_row() -> None:
    twice = pd.concat([frame("joined"), frame("joined").head(20)], ignore_index=True)
    data = load_data(twice, classes=NAMES, several=True)
    assert (len(data), data.n_repeats) == (ROWS, 20)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": "joy|rage"}, r"label 'rage' in row 1 .* none of the model's"),
        ({"labels": "joy"}, r"the same labels in every row"),
        ({"labels": None, "kind": "joy"}, r"no label column given"),
        ({"labels": None, "anger": 2, "joy": 1, "love": 0}, r"'anger' .* holds '2' in row 1"),
    ],
)
def test_what_is_no_set_of_labels_is_one_line(change: dict, said: str) -> None:
    made = frame("joined").assign(**change).dropna(axis=1, how="all")
    with pytest.raises(DataError, match=said) as caught:
        load_data(made, classes=NAMES, several=True)
    assert "\n" not in str(caught.value)


def test_too_many_labels_are_one_line(tmp_path: Path) -> None:
    names = [f"l{i}" for i in range(64)]
    with pytest.raises(DataError, match=r"64 labels given; at most 63 .* --label NAME"):
        load_data(frame("joined"), classes=names, several=True)
