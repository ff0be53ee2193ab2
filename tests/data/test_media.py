"""Images, sounds and series found in folders and tables; every bad cell has one clear line."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synapse_audit.artifacts import Signal
from synapse_audit.data import load_data
from synapse_audit.data.media import MEDIA
from synapse_audit.errors import DataError
from synapse_audit.model.families.record import AUDIO, IMAGE, SERIES

CLASSES = ("cat", "dog")


def _folder(path: Path, n: int = 4, suffix: str = ".png") -> Path:
    """Files of different contents (nothing is decoded here), the first of each class the same."""
    for label in CLASSES:
        (path / label).mkdir(parents=True)
        for i in range(n):
            (path / label / f"{i}{suffix}").write_bytes(f"{label * bool(i)}{i}".encode())
    return path


def _signals(source: Path | str, modality: str = "image", **options: Any) -> Sequence[Signal]:
    data = load_data(str(source), classes=CLASSES, modality=modality, **options)
    found = [one for one in data.inputs if isinstance(one, Signal)]
    assert len(found) == len(data)
    return found


def _refusal(source: Path | str, modality: str = "image", **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        load_data(str(source), classes=CLASSES, modality=modality, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def _table(path: Path, values: Sequence[Any], column: str = "image") -> Path:
    frame = pd.DataFrame({column: values, "label": [CLASSES[i % 2] for i in range(len(values))]})
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False)
    return path


def test_the_kinds_are_those_that_records_name() -> None:
    assert set(MEDIA) == {IMAGE, AUDIO, SERIES}


def test_a_folder_has_one_sub_folder_per_class(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "pets")
    (folder / "cat" / "deeper").mkdir()
    (folder / "cat" / "deeper" / "9.JPEG").write_bytes(b"nine")
    for name in (".hidden.png", "notes.txt", "deeper/more.csv"):
        (folder / "cat" / name).write_bytes(b"no image")
    (folder / ".git").mkdir()
    (folder / "readme.png").write_bytes(b"of no class")
    data = load_data(str(folder), classes=CLASSES, modality="image")
    names = [one.name for one in data.inputs if isinstance(one, Signal)]
    wanted = ["cat/0.png", "cat/1.png", "cat/2.png", "cat/3.png", "cat/deeper/9.JPEG"]
    wanted += ["dog/1.png", "dog/2.png", "dog/3.png"]
    assert names == [f"'{folder / name}'" for name in wanted]
    assert (data.n_rows, data.n_repeats) == (9, 1)
    assert data.source == f"{folder}, files of other kinds left out: 2"
    first = data.inputs[1]
    assert isinstance(first, Signal)
    assert first.sha256 == hashlib.sha256(b"cat1").hexdigest()


def test_a_table_of_paths_a_folder_and_bytes_are_the_same_data(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "pets")
    files = [folder / label / f"{i}.png" for i in range(4) for label in CLASSES]
    paths = [path.relative_to(tmp_path).as_posix() for path in files]
    contents = [path.read_bytes() for path in files]
    stored = [{"bytes": b, "path": p} for b, p in zip(contents, paths, strict=True)]
    tables = [
        _table(tmp_path / "a.csv", paths, "file"),
        _table(tmp_path / "b.jsonl", paths, "Path"),
        _table(tmp_path / "c.csv", [str(path) for path in files], "filename"),
        _table(tmp_path / "d.parquet", contents, "img"),
        _table(tmp_path / "e.parquet", stored),
        _table(tmp_path / "f.parquet", [one | {"bytes": None} for one in stored]),
    ]
    loaded = [load_data(str(table), classes=CLASSES, modality="image") for table in tables]
    assert {data.inputs for data in loaded} == {loaded[0].inputs}
    assert {data.sha256 for data in loaded} == {loaded[0].sha256}
    assert set(loaded[0].inputs) == set(_signals(folder))
    assert _signals(tables[3])[1].name == f"row 3 of '{tables[3]}'"
    assert _signals(tables[4])[1].name == f"'pets/cat/1.png' in row 3 of '{tables[4]}'"


def test_the_surer_column_is_taken_and_another_can_be_named(tmp_path: Path) -> None:
    frame = pd.DataFrame({"file": ["x", "y"], "audio": [b"1", b"2"], "label": CLASSES})
    frame.assign(other=[b"3", b"4"]).to_parquet(tmp_path / "a.parquet")
    assert _signals(tmp_path / "a.parquet", "audio")[0].content == b"1"
    named = _signals(tmp_path / "a.parquet", "audio", input_column="other")
    assert named[1].content == b"4"
    assert "expected --input-column NAME" in _refusal(tmp_path / "a.parquet", text_column="audio")
    frame.drop(columns=["file", "audio"]).to_parquet(tmp_path / "b.parquet")
    assert "expected --input-column NAME; columns: label" in _refusal(tmp_path / "b.parquet")


def test_input_column_serves_texts_too(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": ["x", "y"], "label": CLASSES})
    frame.to_csv(tmp_path / "a.csv", index=False)
    assert load_data(str(tmp_path / "a.csv"), classes=CLASSES, input_column="a").inputs == (
        "x",
        "y",
    )
    both = {"text_column": "a", "input_column": "label"}
    assert "expected one of the two" in _refusal(tmp_path / "a.csv", "text", **both)


def test_arrays_keep_their_numbers_and_their_rate(tmp_path: Path) -> None:
    sounds = [{"array": [0.0, 0.5, i / 8], "sampling_rate": 8000 + i} for i in range(4)]
    for name in ("a.parquet", "b.jsonl"):
        found = _signals(_table(tmp_path / name, sounds, "audio"), "audio")
        assert [one.rate for one in found] == [8000, 8001, 8002, 8003]
        assert np.array_equal(found[3].content, [0.0, 0.5, 0.375])
    series = [[[i, 1.0], [2.0, 3.0], [4.0, 5.0]] for i in range(4)]
    for name in ("c.parquet", "d.jsonl"):
        found = _signals(_table(tmp_path / name, series, "values"), "series")
        assert np.array_equal(np.asarray(found[2].content), series[2])


def test_equal_numbers_at_another_rate_or_in_another_shape_are_other_signals(
    tmp_path: Path,
) -> None:
    sounds = [{"array": [0.0, 0.5], "sampling_rate": rate} for rate in (8000, 16000, 8000)]
    assert len(_signals(_table(tmp_path / "a.parquet", sounds, "audio"), "audio")) == 2
    lists = json.dumps({"values": [[1, 2], [3, 4]], "label": "cat"})
    flat = json.dumps({"values": [1, 2, 3, 4], "label": "dog"})
    (tmp_path / "b.jsonl").write_text(f"{lists}\n{flat}\n")
    assert len(_signals(tmp_path / "b.jsonl", "series")) == 2


@pytest.mark.parametrize("path", ["../secret.png", "/etc/hostname", "a/../../secret.png"])
def test_paths_may_not_lead_out_of_the_folder(path: str, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"1")
    (tmp_path / "in").mkdir()
    message = _refusal(_table(tmp_path / "in" / "a.csv", [path, path]))
    assert f"row 1 holds the path '{path}', which leads out of '{tmp_path / 'in'}'" in message


BAD: dict[str, tuple[Any, str]] = {
    "nothing": (None, "row 2 holds no image; expected one in every row"),
    "empty": ("  ", "row 2 holds no image"),
    "no bytes": (b"", "row 2 holds no image"),
    "absent": ("no.png", "row 2 names the file 'no.png', which cannot be read (no such file)"),
    "folder": (".", "row 2 names the file '.', which cannot be read (no such file)"),
    "long": ("x" * 5000, "which cannot be read (File name too long)"),
    "number": (7, "row 2 holds '7', which is no image; expected the path of a file, its bytes, or"),
    "empty struct": ({"bytes": None, "path": None}, "row 2 holds no image"),
    "words": ({"array": ["a", "b"]}, "row 2 holds lists that are no image"),
    "ragged": ([[1, 2], [3]], "expected numbers in lists of equal lengths"),
    "rate": ({"array": [1.0], "sampling_rate": 0.5}, "row 2 holds the sampling rate '0.5'"),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_a_bad_cell_is_named(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value, expected = BAD[case]
    (tmp_path / "good.png").write_bytes(b"1")
    frame = pd.DataFrame({"image": ["good.png", value], "label": CLASSES}, dtype=object)
    monkeypatch.setattr(pd, "read_parquet", lambda path: frame)
    (tmp_path / "a.parquet").touch()
    assert expected in _refusal(tmp_path / "a.parquet")


def test_what_could_be_read_for_ever_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert "cannot be read" in _refusal(_table(tmp_path / "a.csv", ["pipe.png", "pipe.png"]))


def test_folders_that_are_none_of_classes(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"1")
    message = _refusal(tmp_path)
    assert "holds no image in a sub-folder; expected one sub-folder per class with .png" in message
    (tmp_path / "bird").mkdir()
    (tmp_path / "bird" / "a.png").write_bytes(b"1")
    assert "labels unknown to the model" in _refusal(tmp_path)
    assert "given, which is a folder; expected a .csv" in _refusal(tmp_path, "text")
