"""A run folder belongs to exactly one run; units and arrays come back as they were."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synapse_audit.errors import RunFolderError
from synapse_audit.store import RunFolder
from synapse_audit.store import arrays as store_arrays

IDENTITY = {"config": {"seed": 0, "model": "m"}, "weights": "abc", "data": "def"}


def _claimed(path: Path) -> RunFolder:
    folder = RunFolder.claim(path)
    folder.identify(IDENTITY)
    return folder


def test_a_new_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    folder = _claimed(tmp_path / "a" / "b")
    assert folder.manifest["identity"] == IDENTITY
    assert folder.manifest["status"] == "running"


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert RunFolder.claim(tmp_path).manifest == {}


def test_the_same_identity_resumes_and_keeps_the_manifest(tmp_path: Path) -> None:
    _claimed(tmp_path).update_manifest(times={"a": 1.5})
    again = _claimed(tmp_path)
    assert again.manifest["times"] == {"a": 1.5}


def test_an_identity_survives_tuples_and_paths(tmp_path: Path) -> None:
    for _ in range(2):
        RunFolder.claim(tmp_path).identify({"config": {"fractions": (0.1, 0.2)}, "p": Path("x")})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"weights": "other"}, 'weights: "abc" there, "other" now'),
        ({"weights": "f" * 64, "data": "x"}, 'data: "def" there, "x" now, weights'),
        ({"config": {"seed": 1, "model": "m"}}, "seed: 0 there, 1 now"),
        ({"new": 1}, "new: null there, 1 now"),
    ],
)
def test_another_identity_is_refused_and_what_differs_is_named(
    tmp_path: Path, change: dict[str, object], named: str
) -> None:
    before = _claimed(tmp_path).manifest
    with pytest.raises(RunFolderError, match=rf"different {named}\)"):
        RunFolder.claim(tmp_path).identify(IDENTITY | change)
    assert RunFolder(tmp_path).manifest == before


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("notes.txt", "mine", "holds other files"),
        ("manifest.json", '{"name": "an extension of a browser"}', "holds other files"),
        ("manifest.json", "[1, 2]", "holds no JSON object"),
        ("manifest.json", "{", "is not JSON"),
    ],
)
def test_a_foreign_folder_is_refused_and_left_alone(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(RunFolderError, match=words):
        RunFolder.claim(tmp_path)
    assert [f.read_text() for f in tmp_path.iterdir()] == [text]


def test_what_a_kill_during_the_first_write_leaves_is_no_foreign_file(tmp_path: Path) -> None:
    (tmp_path / "manifest.json.partial").write_text("{")
    assert _claimed(tmp_path).manifest["identity"] == IDENTITY


def test_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(RunFolderError, match="is a file"):
        RunFolder.claim(file)
    with pytest.raises(RunFolderError, match="cannot be made"):
        RunFolder.claim(file / "below")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(RunFolderError, match="not writable"):
            RunFolder.claim(tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_tables_arrays_and_json_come_back(tmp_path: Path) -> None:
    folder = _claimed(tmp_path)
    table = pd.DataFrame({"a": [1, 2]})
    folder.write_table("sub/table", table)
    folder.write_array("x", np.arange(6, dtype=np.float32).reshape(2, 3))
    folder.write_arrays("y", {"k": np.ones(2)})
    folder.write_json("z", {"b": 1})
    assert folder.has("sub/table.parquet", "x.npy", "y.npz", "z.json")
    assert not folder.has("x.npy", "none")
    pd.testing.assert_frame_equal(folder.read_table("sub/table"), table)
    assert isinstance(folder.read_array("x"), np.memmap)
    assert folder.read_array("x").tolist() == [[0, 1, 2], [3, 4, 5]]
    assert folder.read_arrays("y")["k"].tolist() == [1, 1]
    assert json.loads((tmp_path / "z.json").read_text()) == {"b": 1}


def test_allocated_arrays_have_their_names_only_once_published(tmp_path: Path) -> None:
    folder = _claimed(tmp_path)
    folder.allocate("activations")("stale", (1, 1))
    allocate = folder.allocate("activations")
    array, other = allocate("layer_00", (2, 3)), allocate("classes", (1, 4), np.uint16)
    array[:] = 7
    assert not folder.has("activations/layer_00.npy")
    folder.publish("activations")
    assert (folder.read_array("activations/layer_00") == 7).all()
    assert not folder.has("activations/stale.npy"), "left by an interrupted run"
    assert array.dtype == np.float32 and other.dtype == np.uint16
    assert folder.read_array("activations/classes").tolist() == [[0] * 4]


def test_a_unit_store_keeps_units_whole_and_forgets_them_all(tmp_path: Path) -> None:
    unit_store = _claimed(tmp_path).unit_store
    assert unit_store.load("unit") is None
    unit_store.save("unit", {"kl": np.array([[0.5]], dtype=np.float32)})
    found = RunFolder(tmp_path).unit_store.load("unit")
    assert found is not None and set(found) == {"kl"} and found["kl"].tolist() == [[0.5]]
    unit_store.clear()
    unit_store.clear()
    assert unit_store.load("unit") is None


def test_scratch_arrays_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_arrays, "SMALL", 800)
    make = _claimed(tmp_path).scratch
    small, large = make("a", (9, 10), np.float64), make("b", (10, 10), np.float64)
    large[3] = 7
    mapped = Path("/proc/self/maps")
    if mapped.exists():
        assert mapped.read_text().count(str(tmp_path)) == 1
    assert small.shape == (9, 10) and not small.any() and large.sum() == 70
    assert [file.name for file in tmp_path.iterdir()] == ["manifest.json"]
