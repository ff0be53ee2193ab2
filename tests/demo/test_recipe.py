"""Which row goes where: counts, disjointness, repeatability, refusals."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from bundled_recipe import CLASSES, Recipe, per_class, read_rows, sample_rows

SMALL = replace(Recipe(), fit_rows=per_class(1, 2, 1, 2, 1), evaluate_rows=per_class(1, 3, 1, 2, 1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six texts of each class in either file; each train file's last one is in test as well."""
    for name in ("train", "test"):
        texts = [f"{name} {label} {i}" for label in CLASSES for i in range(6)]
        labels = [label for label in CLASSES for _ in range(6)]
        if name == "train":
            texts[5::6] = [f"test {label} 0" for label in CLASSES]
        pd.DataFrame({"text": texts, "label": labels}).to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path


def test_tables_have_the_counts_asked_for_and_do_not_meet(folder: Path) -> None:
    rows = sample_rows(folder, SMALL)
    assert rows.fit["label"].value_counts().to_dict() == SMALL.fit_rows
    assert rows.evaluate["label"].value_counts().to_dict() == SMALL.evaluate_rows
    assert len(rows.test) == 30
    assert len(rows.train) == 25 - 7  # 5 of the 30 repeat a test text, 7 are held out
    assert not set(rows.train["text"]) & (set(rows.fit["text"]) | set(rows.test["text"]))
    assert not set(rows.fit["text"]) & set(rows.test["text"])
    assert set(rows.evaluate["text"]) <= set(rows.test["text"])


def test_seed_decides_the_draw(folder: Path) -> None:
    first, again = sample_rows(folder, SMALL), sample_rows(folder, SMALL)
    other = sample_rows(folder, replace(SMALL, seed=1))
    pd.testing.assert_frame_equal(first.fit, again.fit)
    assert list(first.evaluate["text"]) != list(other.evaluate["text"])


def test_words_for_nothing_stay_text_and_repeats_go(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,label\nnull,norm\nnan,norm\nnull,norm\n")
    assert list(read_rows(path)["text"]) == ["null", "nan"]


def test_unknown_label_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,label\nx,malware\n")
    with pytest.raises(ValueError, match=r"rows\.csv: labels \['malware'\]"):
        read_rows(path)


def test_too_few_rows_of_a_class_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="larger sample"):
        sample_rows(folder, replace(SMALL, fit_rows=per_class(9, 1, 1, 1, 1)))
