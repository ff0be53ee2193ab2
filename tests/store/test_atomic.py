"""Files are whole or absent: a crash leaves the old file and nothing temporary."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synapse_audit.store.atomic import replacing, write_arrays, write_json, write_table, write_text


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_crash_leaves_the_old_file_and_no_temporary(
    tmp_path: Path, error: type[BaseException]
) -> None:
    file = tmp_path / "file.txt"
    write_text(file, "old")
    with pytest.raises(error), replacing(file) as temporary:
        temporary.write_text("half")
        raise error
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_crash_before_anything_is_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="early"), replacing(tmp_path / "file") as _:
        raise ValueError("early")
    assert not list(tmp_path.iterdir())


def test_success_replaces_and_makes_parents(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b.txt"
    write_text(file, "one")
    write_text(file, "zwei ä")
    assert file.read_text(encoding="utf-8") == "zwei ä"
    assert list(file.parent.iterdir()) == [file]


def test_what_json_cannot_say_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    write_json(file, {"x": np.float32(0.5), "path": Path("p"), "n": np.int64(3)})
    before = file.read_bytes()
    for bad, error in ({"x": float("nan")}, ValueError), ({"x": object()}, TypeError):
        with pytest.raises(error):
            write_json(file, bad)
    assert file.read_bytes() == before
    assert before == b'{\n  "x": 0.5,\n  "path": "p",\n  "n": 3\n}\n'


def test_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": [1.5, None], "b": ["x", "y"]})
    for name in ("one", "two"):
        write_table(tmp_path / name, table.copy())
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_arrays_come_back_and_nothing_besides_them(tmp_path: Path) -> None:
    arrays = {"a.b": np.arange(3, dtype=np.uint16), "c": np.eye(2, dtype=np.float32)}
    write_arrays(tmp_path / "x.npz", arrays)
    with np.load(tmp_path / "x.npz", allow_pickle=False) as found:
        assert set(found.files) == set(arrays)
        for name, array in arrays.items():
            assert found[name].dtype == array.dtype and (found[name] == array).all()


def test_object_arrays_are_refused_since_they_would_be_pickled(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="'a' holds Python objects"):
        write_arrays(tmp_path / "x.npz", {"a": np.array([object()])})
    assert not list(tmp_path.iterdir())
