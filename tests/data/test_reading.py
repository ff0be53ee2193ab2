"""Formats and columns that are read, and what is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synapse_audit.data import load_data, split

from .files import CLASSES, error_of, rows_of, write_csv


def test_all_formats_and_spellings_of_labels_read_as_the_same(tmp_path: Path) -> None:
    rows = rows_of({"norm": 20, "sqli": 15, "path-traversal": 15})
    write_csv(tmp_path / "a.csv", rows)
    write_csv(tmp_path / "b.TSV", rows, "\t")
    (tmp_path / "c.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    pd.DataFrame(rows).to_parquet(tmp_path / "d.parquet")
    spelled = {"norm": " NORM", "sqli": "sqli", "path-traversal": "Path Traversal"}
    write_csv(tmp_path / "e.csv", [row | {"label": spelled[row["label"]]} for row in rows])
    ids = [row | {"label": CLASSES.index(row["label"])} for row in rows]
    write_csv(tmp_path / "f.csv", ids)
    (tmp_path / "g.jsonl").write_text("\n".join(json.dumps(row) for row in ids))
    pd.DataFrame([row | {"label": float(row["label"])} for row in ids]).to_parquet(
        tmp_path / "h.parquet"
    )
    for path in sorted(tmp_path.iterdir()):
        data = load_data(str(path), classes=CLASSES)
        assert data.inputs == tuple(row["text"] for row in rows)
        assert data.labels.tolist() == [0] * 20 + [1] * 15 + [2] * 15
        assert data.classes == CLASSES
        assert (data.n_rows, data.n_repeats, data.groups) == (50, 0, None)
        assert data.weights.tolist() == [1.0] * 50
        assert data.sha256 == load_data(str(tmp_path / "a.csv"), classes=CLASSES).sha256


def test_words_that_look_missing_odd_characters_and_a_bom_are_kept(tmp_path: Path) -> None:
    texts = ["NA", "null", "nan", "None", "a\x00b", "x\r\ny", 'say "hi", you', "007", "\u2028", "é"]
    texts[8] = "a\u2028b"
    rows = [{"text": text, "label": ("null", "NA")[i % 2]} for i, text in enumerate(texts)]
    path = write_csv(tmp_path / "a.csv", rows)
    Path(path).write_bytes(b"\xef\xbb\xbf" + Path(path).read_bytes())
    data = load_data(path, classes=("NA", "null"))
    assert data.inputs == tuple(texts)
    assert data.labels.tolist() == [1, 0] * 5
    lines = tmp_path / "b.jsonl"
    dumped = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    lines.write_text("\ufeff" + dumped, encoding="utf-8")
    assert load_data(str(lines), classes=("NA", "null")).inputs == tuple(texts)


def test_names_win_over_ids_only_if_all_labels_are_names(tmp_path: Path) -> None:
    stars = ("1", "2", "3")
    as_ids = write_csv(tmp_path / "ids.csv", rows_of({"0": 2, "1": 2, "2": 2}))
    assert load_data(as_ids, classes=stars).labels.tolist() == [0, 0, 1, 1, 2, 2]
    as_names = write_csv(tmp_path / "names.csv", rows_of({"1": 2, "2": 2, "3": 2}))
    assert load_data(as_names, classes=stars).labels.tolist() == [0, 0, 1, 1, 2, 2]
    # Both readings fit: names win.
    assert load_data(as_ids, classes=("2", "0", "1")).labels.tolist() == [1, 1, 2, 2, 0, 0]


def test_text_pairs(tmp_path: Path) -> None:
    rows = [{"a": "x", "b": str(i), "label": i % 2} for i in range(4)]
    path = write_csv(tmp_path / "a.csv", rows)
    data = load_data(path, classes=("n", "y"), text_column="a", text_pair_column="b")
    assert data.inputs == (("x", "0"), ("x", "1"), ("x", "2"), ("x", "3"))
    assert data.n_repeats == 0


def test_columns_are_guessed_whatever_their_case(tmp_path: Path) -> None:
    rows = [
        {"id": i, "Payload": f"p{i}", "extra": "", "Category": CLASSES[i % 2]} for i in range(6)
    ]
    data = load_data(write_csv(tmp_path / "a.csv", rows), classes=CLASSES)
    assert data.inputs[0] == "p0"
    rows = [row | {"content": "c"} for row in rows]
    path = write_csv(tmp_path / "b.csv", rows)
    message = error_of(load_data, path, classes=CLASSES)
    assert "2 columns could be the text" in message
    assert "columns: id, Payload, extra, Category, content" in message
    assert load_data(path, classes=CLASSES, text_column="Payload").inputs == data.inputs


def test_a_class_without_rows_stays_in_the_class_list(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", rows_of({"norm": 15, "path-traversal": 15}))
    data = load_data(path, classes=CLASSES)
    assert data.classes == CLASSES
    splits = split(data, seed=0)
    for part in (splits.fit, splits.select, splits.evaluate):
        assert np.bincount(data.labels[part], minlength=3).tolist() == [5, 0, 5]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n\n", "is empty"),
        ("a.csv", b"text,label\n", "holds no rows"),
        ("a.csv", b"text,label\na,norm\nb,sqli,c\n", "Expected 2 fields in line 3, saw 3"),
        ("a.csv", b"text,label\na,norm,1\nb,sqli,2\n", "Expected 2 fields in line 2, saw 3"),
        (
            "a.csv",
            b'text,label\na,norm\n"b,sqli\n',
            "the row that begins in line 3, unexpected end of data",
        ),
        ("a.csv", b"text,text\na,norm\n", "two columns 'text'"),
        ("a.csv", b"text,label\na\xe9,norm\n", "not UTF-8: byte 0xe9 at position 12"),
        (
            "a.csv",
            b"text,label\na,norm\n  ,sqli\n,norm\n",
            "is empty in 2 of 3 rows, first in row 2",
        ),
        ("a.csv", b"text,label\na,norm\nb\n", "holds no label in 1 of 2 rows, first in row 2"),
        (
            "a.csv",
            b"text,label\na,norm\nb,norm\n",
            "holds only class 'norm'; expected at least two",
        ),
        ("a.csv", b"text;label\na;norm\n", "holds only class 'norm'"),
        ("a.csv", b"text\tlabel\na\tnorm\n", "or the suffix .tsv"),
        ("a.csv", b'text,label\n"a" b,norm\n', "the row that begins in line 2, ',' expected"),
        ("a.tsv", b'text\tlabel\n"a\tb"\tnorm\n', "since TSV has no quoting"),
        ("a.csv", b"words,label\na,norm\n", "no column is the text"),
        ("a.jsonl", b"", "is empty"),
        ("a.jsonl", b'{"text": "a", "label": 0}\n\n{"text": \n', "line 3 is not JSON"),
        ("a.jsonl", b'["a", 0]\n', "line 1 holds a JSON list"),
        ("a.jsonl", b'{"text": "a", "label": 0}\n{"text": "b"}\n', "holds no label in 1 of 2"),
        ("a.jsonl", b'{"text": "a", "label": 0}\n{"text": "b", "label": NaN}\n', "holds no label"),
        ("a.jsonl", b'{"text": null, "label": 0}\n{"text": "b", "label": 1}\n', "holds no text"),
        ("a.jsonl", b'{"text": 7, "label": 0}\n', "not a text in 1 of 1 rows, first in row 1"),
        ("a.jsonl", b'{"text": ["a"], "label": 0}\n', "not a text"),
        ("a.jsonl", b'{"text": "\\ud800", "label": 0}\n', "not valid Unicode"),
        ("a.parquet", b"PAR?", "no Parquet file that can be read"),
        (
            "a.txt",
            b"a",
            "has the suffix '.txt'; expected a .csv, .tsv, .jsonl, .json, .parquet file",
        ),
        ("a.json", b"[]", "holds no rows"),
        ("a.json", b"[1]", "entry 1 is a JSON int"),
        ("a.json", b"[{]", "is not JSON"),
        ("a", b"[]", "has the suffix ''"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    message = error_of(load_data, str(path), classes=CLASSES)
    assert said in message
    assert str(path) in message


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for missing in (tmp_path / "no.csv", tmp_path / "no.txt", Path("nowhere.csv")):
        assert "no such file; expected a .csv" in error_of(load_data, str(missing), classes=CLASSES)
    assert "is a folder; expected" in error_of(load_data, str(tmp_path), classes=CLASSES)


def test_missing_columns_suggest_the_closest(payloads: str) -> None:
    def message(**options: str) -> str:
        return error_of(load_data, payloads, classes=CLASSES, **options)

    assert "text column 'txt' given" in message(text_column="txt")
    assert "did you mean 'text'? choices: text, label" in message(text_column="txt")
    assert "did you mean 'label'?" in message(label_column="labl")
    assert "group column 'pmid' given" in message(group_column="pmid")
    assert "text pair column 'other' given" in message(text_pair_column="other")


def test_one_column_cannot_play_two_roles(payloads: str) -> None:
    message = error_of(
        load_data, payloads, classes=CLASSES, text_column="text", text_pair_column="text"
    )
    assert "'text' given both as text column and as text pair column" in message
    message = error_of(
        load_data, payloads, classes=CLASSES, text_column="label", label_column="label"
    )
    assert "both as text column and as label column" in message
    # A column that is named for one role is no candidate for another.
    message = error_of(load_data, payloads, classes=CLASSES, text_pair_column="text")
    assert "no column is the text" in message


def test_unknown_labels_are_named_with_counts(tmp_path: Path) -> None:
    rows = rows_of({"norm": 9, "f": 1, "e": 2, "d": 3, "c": 4, "b": 5, "a": 6})
    message = error_of(load_data, write_csv(tmp_path / "a.csv", rows), classes=CLASSES)
    assert (
        "'a' (6 rows), 'b' (5 rows), 'c' (4 rows), 'd' (3 rows), 'e' (2 rows) and 1 more" in message
    )
    assert "norm, sqli, path-traversal, or their ids 0 to 2" in message
    path = write_csv(tmp_path / "b.csv", rows_of({"0": 2, "1": 2, "3": 2, "-1": 1}))
    assert "'3' (2 rows), '-1' (1 rows);" in error_of(load_data, path, classes=CLASSES)
    path = write_csv(tmp_path / "c.csv", rows_of({"9" * 400: 2, "1": 2}))
    assert "unknown to the model" in error_of(load_data, path, classes=CLASSES)
    path = write_csv(tmp_path / "d.csv", rows_of({"ham": 2, "spam": 2}))
    assert "set id2label" in error_of(load_data, path, classes=("LABEL_0", "LABEL_1"))


def test_a_wrong_label_column_does_not_flood_the_message(tmp_path: Path) -> None:
    rows = [{"text": str(i), "label": f"line {i}\n" + "word " * 500} for i in range(3)]
    message = error_of(load_data, write_csv(tmp_path / "a.csv", rows), classes=CLASSES)
    assert "'line 0 word word word word word word wo…' (1 rows)" in message


def test_spellings_that_fit_two_classes_fit_none(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", rows_of({"a-b": 2, "A B": 2}))
    assert "'A B' (2 rows)" in error_of(load_data, path, classes=("a-b", "ab", "c"))


def test_groups_must_be_complete(tmp_path: Path) -> None:
    rows = [
        row | {"g": "" if i == 3 else i} for i, row in enumerate(rows_of({"norm": 9, "sqli": 9}))
    ]
    path = write_csv(tmp_path / "a.csv", rows)
    message = error_of(load_data, path, classes=CLASSES, group_column="g")
    assert "column 'g'" in message
    assert "holds no group in 1 of 18 rows, first in row 4" in message
