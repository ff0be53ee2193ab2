"""What is read of a file: every text as written, ids by the names that the file gives them."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synapse_audit.data import load_data
from synapse_audit.data.table_files import read_table
from synapse_audit.errors import DataError

CLASSES = ("negative", "neutral", "positive")
TEXTS = [f"text {i}" for i in range(6)]


def class_labels(path: Path, names: list[str], ids: list[int]) -> str:
    """A Parquet file as ``datasets.Dataset.to_parquet`` writes it (datasets 4)."""
    features = {
        "text": {"dtype": "string", "_type": "Value"},
        "label": {"names": names, "_type": "ClassLabel"},
    }
    table = pa.table({"text": TEXTS[: len(ids)], "label": ids})
    said = json.dumps({"info": {"features": features}})
    pq.write_table(table.replace_schema_metadata({"huggingface": said}), path)
    return str(path)


def test_tsv_has_no_quoting(tmp_path: Path) -> None:
    rows = [f"{quote}text {i}\t{CLASSES[i % 3]}" for i, quote in enumerate('"  "" ')]
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabel\n" + "\n".join(rows) + "\n")
    data = load_data(str(path), classes=CLASSES)
    assert data.n_rows == 6
    assert data.inputs == ('"text 0', " text 1", " text 2", '"text 3', '"text 4', " text 5")
    assert data.source == str(path)  # nothing looks quoted


def test_quotation_marks_around_a_field_of_tsv_stay_and_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('text\tlabel\n"he said ""hi"""\tneutral\nno "quote" here\tpositive\n')
    data = load_data(str(path), classes=CLASSES)
    assert data.inputs[0] == '"he said ""hi"""'
    assert "quotation marks around fields of 1 rows kept" in data.source


def test_a_quotation_mark_that_swallows_rows_of_csv_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    # pandas alone reads two rows here: the quotation marks of rows 2 and 4 make one text of three.
    path.write_text('text,label\na,neutral\n"b,neutral\nc,positive\n"d,positive\n')
    with pytest.raises(DataError, match="the row that begins in line 3"):
        read_table(str(path))


def test_csv_may_have_semicolons(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text;label\n"one; two";neutral\nthree, four;positive\n')
    data = load_data(str(path), classes=CLASSES)
    assert data.inputs == ("one; two", "three, four")
    assert data.labels.tolist() == [1, 2]
    assert "semicolons" in data.source


@pytest.mark.parametrize("lines", [False, True])
def test_json_is_a_list_or_lines(tmp_path: Path, lines: bool) -> None:
    rows = [{"text": "a", "label": 0}, {"text": "b", "label": 2}]
    path = tmp_path / "a.json"
    path.write_text("\n".join(map(json.dumps, rows)) if lines else json.dumps(rows, indent=1))
    data = load_data(str(path), classes=CLASSES)
    assert (data.inputs, data.labels.tolist()) == (("a", "b"), [0, 2])


def test_a_broken_parquet_file_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"text": TEXTS, "label": [0, 1] * 3}).to_parquet(path)
    whole = path.read_bytes()
    for broken in (whole[:-4] + b"XXXX", b"PAR1" + b"\0" * 40 + b"PAR1", whole[:4] + whole[60:]):
        path.write_bytes(broken)
        with pytest.raises(
            DataError, match=r"no Parquet file that can be read: (?!None)"
        ) as caught:
            read_table(str(path))
        assert "\n" not in str(caught.value)


def test_ids_of_parquet_are_read_by_the_names_it_gives_them(tmp_path: Path) -> None:
    own = ["negative", "positive", "neutral"]
    path = class_labels(tmp_path / "a.parquet", own, [0, 1, 2, 1])
    data = load_data(path, classes=CLASSES)
    assert data.labels.tolist() == [0, 2, 1, 2]
    assert data.notes == ()


def test_names_that_the_model_lacks_are_said_and_ids_taken(tmp_path: Path) -> None:
    path = class_labels(tmp_path / "a.parquet", ["bad", "neutral", "good"], [0, 1, 2, 1])
    data = load_data(path, classes=CLASSES)
    assert data.labels.tolist() == [0, 1, 2, 1]
    (note,) = data.notes
    assert "0 'bad' there and 'negative' in the model" in note
    assert "2 'good' there and 'positive' in the model" in note
    assert "neutral" not in note


def test_names_that_contradict_the_models_ids_are_refused(tmp_path: Path) -> None:
    path = class_labels(tmp_path / "a.parquet", ["neutral", "mixed", "positive"], [0, 1, 2, 1])
    with pytest.raises(DataError, match="'neutral' id 0, the model id 1") as caught:
        load_data(path, classes=CLASSES)
    assert "no class mixed" in str(caught.value)


@pytest.mark.parametrize("said", ["[]", "{", '{"info": {"features": [1]}}', '{"info": null}'])
def test_schemas_that_say_nothing_sensible_are_passed_over(tmp_path: Path, said: str) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"text": TEXTS, "label": [0, 1, 2] * 2})
    pq.write_table(table.replace_schema_metadata({"huggingface": said}), path)
    assert load_data(str(path), classes=CLASSES).labels.tolist() == [0, 1, 2] * 2


def test_several_labels_per_row_are_named_as_such(tmp_path: Path) -> None:
    lists = tmp_path / "lists.jsonl"
    lists.write_text('{"text": "a", "label": ["neutral"]}\n{"text": "b", "label": []}\n')
    joined = tmp_path / "joined.csv"
    joined.write_text("text,label\na,neutral\nb,neutral|positive\n")
    columns = tmp_path / "columns.csv"
    columns.write_text("text,negative,neutral,positive\na,0,1,1\nb,1,0,0\n")
    for path, said in (
        (lists, "holds lists of labels in 2 rows, first in row 1"),
        (joined, "'neutral|positive' looks like 2 labels"),
        (columns, "has one column per class"),
    ):
        with pytest.raises(DataError, match="one label per row") as caught:
            load_data(str(path), classes=CLASSES)
        assert said in str(caught.value)


def test_a_name_that_several_classes_share_says_which(tmp_path: Path) -> None:
    classes = ("crane (0)", "crane (1)", "heron")
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,crane\nb,heron\n")
    with pytest.raises(
        DataError, match=r"'crane' is the name of several: crane \(0\), crane \(1\)"
    ):
        load_data(str(path), classes=classes)
    path.write_text("text,label\na,0\nb,1\nc,2\n")
    assert load_data(str(path), classes=classes).labels.tolist() == [0, 1, 2]
    path.write_text("text,label\na,crane (1)\nb,heron\n")
    assert load_data(str(path), classes=classes).labels.tolist() == [1, 2]
