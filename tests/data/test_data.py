"""Reading, checking, thinning and splitting labelled data; every bad input has one clear line."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synapse_audit.artifacts import LabelledData
from synapse_audit.data import check_label_map, load_data, split, split_weights
from synapse_audit.data.splitting import part_sizes
from synapse_audit.data.thinning import quotas
from synapse_audit.errors import DataError

CLASSES = ("norm", "sqli", "path-traversal")
SHARED = Path(__file__).parents[2] / "shared" / "data"


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


@pytest.fixture
def payloads(tmp_path: Path) -> str:
    return write_csv(tmp_path / "p.csv", rows_of({"norm": 40, "sqli": 30, "path-traversal": 20}))


# ---------------------------------------------------------------- formats


def test_all_formats_and_spellings_of_labels_read_alike(tmp_path: Path) -> None:
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


# ---------------------------------------------------------------- bad input


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


# ---------------------------------------------------------------- hub


class FakeClassLabel:
    names = ("norm", "sqli")


class FakeSplit:
    features = {"text": "string", "label": FakeClassLabel()}  # noqa: RUF012

    def to_pandas(self) -> pd.DataFrame:
        return pd.DataFrame({"text": ["a", "b", "c"], "label": [0, 1, 1]})


def fake_hub(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[Any]:
    asked: list[Any] = []

    def load_dataset(path: str, *, name: str | None, split: str | None) -> Any:
        asked.append((path, name, split))
        if isinstance(answer, Exception):
            raise answer
        return answer

    module = SimpleNamespace(
        load_dataset=load_dataset,
        ClassLabel=FakeClassLabel,
        exceptions=SimpleNamespace(DatasetsError=LookupError),
    )
    monkeypatch.setitem(sys.modules, "datasets", module)
    return asked


def test_hub_ids_are_read_by_the_names_the_dataset_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = fake_hub(monkeypatch, FakeSplit())
    data = load_data("org/set-1.0:main/test", classes=("sqli", "norm"))
    assert asked == [("org/set-1.0", "main", "test")]
    assert data.labels.tolist() == [1, 0, 0]
    # Where the model knows other names, the ids are the model's own.
    assert load_data("org/x:a/b", classes=("LABEL_0", "LABEL_1")).labels.tolist() == [0, 1, 1]


def test_hub_splits_are_chosen_or_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for names in (["train", "test"], ["train"]):
        fake_hub(monkeypatch, dict.fromkeys(names, FakeSplit()))
        assert len(load_data("org/set", classes=CLASSES)) == 3
    fake_hub(monkeypatch, dict.fromkeys(["train", "dev"], FakeSplit()))
    assert "splits: train, dev" in error_of(load_data, "org/set", classes=CLASSES)


def test_hub_failures_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub(monkeypatch, ConnectionError("offline\nlong story"))
    message = error_of(load_data, "org/set", classes=CLASSES)
    assert message.endswith("cannot be loaded: offline")
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert "pip install 'synapse-audit[hub]'" in error_of(load_data, "org/set", classes=CLASSES)


# ---------------------------------------------------------------- repeats


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


# ---------------------------------------------------------------- cap and weights


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


# ---------------------------------------------------------------- splits


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


# ---------------------------------------------------------------- a separate file to fit on


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


# ---------------------------------------------------------------- label map


def test_exchanged_classes_are_named() -> None:
    labels = np.repeat([0, 1, 2], 20)
    swapped = np.array([0, 2, 1])[labels]
    swapped[:4] = 1
    message = error_of(check_label_map, labels, swapped, CLASSES)
    assert "'sqli' as 'path-traversal', 'path-traversal' as 'sqli'" in message
    assert "accuracy is 0.27 with the labels as given and 0.93 with" in message
    assert "id2label" in message
    assert "'norm'" not in message


@given(st.permutations(range(4)), st.integers(0, 100))
def test_permutations_are_found_and_the_identity_passes(order: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(4), 25)
    predicted = np.where(generator.random(100) < 0.1, generator.integers(0, 4, 100), labels)
    check_label_map(labels, predicted, "abcd")
    renamed = np.array(order)[predicted]
    if order == sorted(order):
        check_label_map(labels, renamed, "abcd")
    else:
        assert "look exchanged" in error_of(check_label_map, labels, renamed, "abcd")


def test_poor_models_are_not_taken_for_exchanged_ones() -> None:
    labels = np.repeat([0, 1], [90, 10])
    check_label_map(labels, np.ones(100, dtype=np.int64), CLASSES)  # always the rare class
    check_label_map(labels, np.random.default_rng(0).integers(0, 2, 100), CLASSES)
    check_label_map(np.repeat([0, 1], 50), np.array([0, 1] * 50), CLASSES)
    empty = np.array([], dtype=np.int64)
    assert "0 labelled examples given" in error_of(check_label_map, empty, empty, CLASSES)


def test_an_absent_class_can_be_the_exchanged_one() -> None:
    labels = np.repeat([0, 1], 20)
    message = error_of(check_label_map, labels, np.where(labels == 1, 2, 0), CLASSES)
    assert "predicts 'sqli' as 'path-traversal';" in message


# ---------------------------------------------------------------- real files


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no shared data at {SHARED}")
class TestRealFiles:
    def test_web_payloads_keep_their_rarest_class(self) -> None:
        classes = ("norm", "sqli", "xss", "path-traversal", "cmdi")
        path = str(SHARED / "web_payloads" / "test.csv")
        data = load_data(path, classes=classes, max_examples=600)
        assert len(data) == 600
        assert np.bincount(data.labels).tolist()[2:] == [30, 30, 30]
        whole = np.array([6434, 3617, 177, 97, 30]) / 10355
        parts = split(data, seed=0)
        weighted = np.bincount(data.labels[parts.evaluate], data.weights[parts.evaluate])
        np.testing.assert_allclose(weighted / weighted.sum(), whole, atol=0.005)
        assert (len(parts.fit), len(parts.select), len(parts.evaluate)) == (241, 120, 239)

    def test_web_payloads_with_a_file_to_fit_on(self) -> None:
        classes = ("norm", "sqli", "xss", "path-traversal", "cmdi")
        folder = SHARED / "web_payloads"
        data = load_data(
            str(folder / "test.csv"),
            classes=classes,
            fit_data=str(folder / "train.csv"),
            max_examples=600,
        )
        assert data.n_rows == 20_712 + 10_355
        parts = split(data, seed=0)
        assert (len(parts.fit) + len(parts.select), len(parts.evaluate)) == (360, 240)

    def test_sms_repeats_are_removed(self) -> None:
        data = load_data(str(SHARED / "sms_spam" / "messages.csv"), classes=("ham", "spam"))
        assert (data.n_rows, data.n_repeats, len(data)) == (5574, 403, 5171)
        assert Counter(data.inputs).most_common(1)[0][1] == 1
        parts = split(data, seed=0)
        texts = [{data.inputs[i] for i in p} for p in (parts.fit, parts.select, parts.evaluate)]
        assert not texts[0] & texts[1]
        assert not (texts[0] | texts[1]) & texts[2]

    @pytest.mark.parametrize("max_examples", [None, 600])
    def test_abstracts_stay_whole(self, max_examples: int | None) -> None:
        data = load_data(
            str(SHARED / "pubmed_sections" / "test.csv"),
            classes=("background", "objective", "methods", "results", "conclusions"),
            group_column="pmid",
            max_examples=max_examples,
        )
        assert data.groups is not None
        parts = split(data, seed=0)
        sets = [set(data.groups[p]) for p in (parts.fit, parts.select, parts.evaluate)]
        assert not sets[0] & sets[1]
        assert not (sets[0] | sets[1]) & sets[2]
        whole = np.array([132, 170, 388, 290, 300]) / 1280
        for part, share in zip(
            (parts.fit, parts.select, parts.evaluate), (0.4, 0.2, 0.4), strict=True
        ):
            assert len(part) / len(data) == pytest.approx(share, abs=0.02)
            weighted = np.bincount(data.labels[part], data.weights[part])
            np.testing.assert_allclose(weighted / weighted.sum(), whole, atol=0.02)
