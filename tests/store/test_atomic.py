"""Files are whole or absent: a crash leaves the old file and nothing temporary."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synapse_audit.errors import RunFolderError
from synapse_audit.store.atomic import (
    replacing,
    table_bytes,
    write_arrays,
    write_json,
    write_text,
)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_crash_leaves_the_old_file_and_no_temporary(
    tmp_path: Path, error: type[BaseException]
) -> None:
    file = tmp_path / "file.txt"
    write_text(file, "old")
    with pytest.raises(error), replacing(file) as temporary:
        temporary.write(b"half")
        raise error
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_crash_before_anything_is_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="early"), replacing(tmp_path / "file") as _:
        raise ValueError("early")
    assert not list(tmp_path.iterdir())


def test_success_replaces(tmp_path: Path) -> None:
    file = tmp_path / "b.txt"
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


def test_equal_tables_give_equal_bytes() -> None:
    table = pd.DataFrame({"a": [1.5, None], "b": ["x", "y"]})
    assert table_bytes(table) == table_bytes(table.copy())


@pytest.mark.parametrize("linked", ["report.html", "report.html.partial"])
def test_a_link_is_never_written_through(tmp_path: Path, linked: str) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("precious")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / linked).symlink_to(mine)
    write_text(folder / "report.html", "<html>")
    assert mine.read_text() == "precious"
    assert not (folder / "report.html").is_symlink()
    assert (folder / "report.html").read_text() == "<html>"


def test_a_temporary_name_that_was_guessed_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda n: "0" * 2 * n)
    mine = tmp_path / "mine.txt"
    mine.write_text("precious")
    (tmp_path / "file.00000000.partial").symlink_to(mine)
    with pytest.raises(RunFolderError, match="file' cannot be written: File exists"):
        write_text(tmp_path / "file", "x")
    assert mine.read_text() == "precious"


def test_a_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"gone/file' cannot be written: No such file"):
        write_text(tmp_path / "gone" / "file", "x")


def test_files_are_made_with_the_permissions_of_the_users_choice(tmp_path: Path) -> None:
    write_text(tmp_path / "ours", "x")
    (tmp_path / "plain").write_text("x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


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
