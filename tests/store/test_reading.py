"""What anybody wrote is bounded, of the declared shape, or refused in one line with the file."""

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synapse_audit.errors import RunFolderError
from synapse_audit.store import reading
from synapse_audit.store.reading import read_array, read_arrays, read_json, read_table, using
from synapse_audit.tables import TABLES


def _refused(words: str, call: Any, *arguments: Any) -> None:
    with pytest.raises(RunFolderError, match=words) as error:
        call(*arguments)
    assert "\n" not in str(error.value) and str(arguments[0]) in str(error.value)


def _parquet(path: Path, table: pa.Table | pd.DataFrame) -> Path:
    if isinstance(table, pd.DataFrame):
        table.to_parquet(path, index=False)
    else:
        pq.write_table(table, path)
    return path


@pytest.mark.parametrize("case", ["text", "cut", "empty", "flipped", "missing", "folder", "fifo"])
def test_whatever_is_no_table_is_one_line(tmp_path: Path, case: str) -> None:
    path = tmp_path / "splits.parquet"
    content = _parquet(path, pd.DataFrame({"a": np.arange(1000)})).read_bytes()
    path.unlink()
    if case == "folder":
        path.mkdir()
    elif case == "fifo":
        os.mkfifo(path)
    elif case != "missing":
        kinds = {
            "text": b"<html>" * 100,
            "cut": content[: len(content) // 2],
            "empty": b"",
            "flipped": content[:-100] + bytes(92) + content[-8:],
        }
        path.write_bytes(kinds[case])
    _refused(r"cannot be read: ", read_table, path, "splits")


def _splits(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"example": [0, 1], "split": ["fit", "select"], "label": [0, 1]} | columns)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"label": [0, 5_000]}, r"column 'label' holds 0 to 5000; expected 0 to 4999"),
        ({"label": [0, 10**9]}, r"column 'label' holds 0 to 1e\+09"),
        ({"label": [-1, 0]}, r"column 'label' holds -1 to 0"),
        ({"label": [0.5, 1]}, r"column 'label' holds other than whole numbers"),
        ({"label": ["a", "b"]}, r"column 'label' holds other than numbers"),
        ({"label": [0, np.inf]}, r"column 'label' holds"),
        ({"split": [1, 2]}, r"column 'split' holds other than text"),
        ({"split": [b"a", b"b"]}, r"column 'split' holds other than text"),
        ({"split": [["a"], ["b"]]}, r"column 'split' is nested"),
        ({"split": [{"a": 1}, {"a": 2}]}, r"column 'split' is nested"),
    ],
)
def test_a_column_of_another_kind_or_out_of_bounds_is_named(
    tmp_path: Path, columns: dict[str, Any], words: str
) -> None:
    path = _parquet(tmp_path / "splits.parquet", _splits(**columns))
    _refused(words, read_table, path, "splits")


def test_a_missing_column_is_named_and_a_further_one_is_fine(tmp_path: Path) -> None:
    path = _parquet(tmp_path / "splits.parquet", _splits().drop(columns="label"))
    _refused(r"splits\.parquet' has no column 'label'; expected", read_table, path, "splits")
    more = _splits(label=pd.array([0, None], dtype="Int64"), row=[3, 4])
    found = read_table(_parquet(path, more), "splits")
    pd.testing.assert_frame_equal(found, pd.read_parquet(path))


def test_a_table_of_a_finding_lacks_no_column(tmp_path: Path) -> None:
    path = _parquet(tmp_path / "x.parquet", pd.DataFrame({"layer": [1], "neurons": [8]}))
    words = r"has no column 'participation_ratio'; expected"
    _refused(words, read_table, path, "findings/redundancy.participation")


def test_a_run_written_before_a_column_was_added_is_read(tmp_path: Path) -> None:
    name = "findings/pathways.split"
    older = TABLES[name].empty().drop(columns=["site", "setting"])
    found = read_table(_parquet(tmp_path / "x.parquet", older), name)
    assert {"site", "setting"} <= {*found.columns}
    assert found.attrs["absent"] == ["site", "setting"]


def test_a_table_says_how_large_it_is_before_memory_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _parquet(tmp_path / "x.parquet", pd.DataFrame({"a": np.zeros(100), "b": 1}))
    monkeypatch.setattr(reading, "MOST_VALUES", 200)
    assert len(read_table(path, "x")) == 100
    monkeypatch.setattr(reading, "MOST_VALUES", 199)
    monkeypatch.setattr(pq.ParquetFile, "read", None)
    _refused("says that it has 100 rows of 2 columns", read_table, path, "x")


@pytest.mark.parametrize("plain", [True, False])
def test_one_huge_text_on_every_row_is_not_unfolded(tmp_path: Path, plain: bool) -> None:
    """50 kB on disk, 1 TB in memory."""
    texts = pa.array(["x" * 1_000_000])
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000_000, pa.int32()), texts)
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": column}), path, store_schema=not plain)
    assert path.stat().st_size < 100_000
    _refused("repeats a text of 1,000,000 bytes", read_table, path, "x")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("", "is not JSON"),
        ("[1]", "holds no JSON object"),
        ("3", "holds no JSON object"),
        ("[" * 100_000, "cannot be read|is not JSON"),
        ('{"a": ' * 100_000, "cannot be read|is not JSON"),
    ],
)
def test_json_of_another_shape_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "summary.json"
    path.write_text(text)
    _refused(words, read_json, path)


def test_json_beyond_a_size_and_no_utf_8_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "summary.json"
    path.write_bytes(b'{"a": "\xff"}')
    _refused("is not JSON", read_json, path)
    path.write_text(json.dumps({"a": 1}))
    assert read_json(path) == {"a": 1}
    monkeypatch.setattr(reading, "LARGEST_JSON", 7)
    _refused("is larger than 7 bytes", read_json, path)


def _header(shape: str, descr: str = "'<f4'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (63 - (len(text) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"text",
        _header("(1000000000000,)"),
        _header("(-5,)"),
        _header("(2, 'x')"),
        _header("(2,)", "'O'") + bytes(16),
        _header("__import__('os')"),
        _header("(2,)", "'|S4'") + bytes(8),
        _header("(2,)", "[('a', '<f4')]") + bytes(8),
    ],
)
def test_an_array_that_is_none_takes_no_memory(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "kl.npy"
    path.write_bytes(content)
    _refused(r"kl\.npy' (cannot be read|holds no numbers)", read_array, path)


def test_arrays_come_as_they_were_written(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", x=array)
    assert (read_array(tmp_path / "a.npy") == array).all()
    assert (read_arrays(tmp_path / "a.npz")["x"] == array).all()


def test_a_compressed_archive_is_not_unpacked(tmp_path: Path) -> None:
    """Of zeros a megabyte takes a kilobyte."""
    path = tmp_path / "probes.npz"
    np.savez_compressed(path, a=np.zeros(10**6))
    _refused("is compressed", read_arrays, path)
    path.write_bytes(b"PK")
    _refused("cannot be read", read_arrays, path)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.npy", _header("(1000000000000,)"))
    path.write_bytes(content.getvalue())
    _refused("cannot be read", read_arrays, path)


def test_what_no_check_foresaw_is_one_line_with_its_cause(tmp_path: Path) -> None:
    line = r"\(KeyError: 'x'\); expected those of a"
    with pytest.raises(RunFolderError, match=line) as error, using(tmp_path):
        _ = {}["x"]
    assert isinstance(error.value.__cause__, KeyError)
    with pytest.raises(RunFolderError, match=r"^mine$"), using(tmp_path):
        raise RunFolderError("mine")
