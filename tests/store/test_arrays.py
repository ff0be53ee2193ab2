"""Space is there before it is mapped; what is not there is one line, and nothing is left."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from synapse_audit.errors import RunFolderError
from synapse_audit.store import RunFolder
from synapse_audit.store import arrays as store_arrays
from synapse_audit.store.arrays import open_new, scratch

FULL = """
import resource, sys
from pathlib import Path
from synapse_audit.errors import RunFolderError
from synapse_audit.store import RunFolder
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
folder = RunFolder.claim(sys.argv[1])
folder.identify({"data": "x"})
big = __import__("numpy").zeros((100, 100), "float32")
for attempt in (
    lambda: folder.allocate("activations")("layer_00", (100, 100)),
    lambda: folder.write_arrays("probes", {"a": big}),
    lambda: folder.write_array("outcomes/direct_error", big),
    lambda: folder.unit_store.save("unit", {"a": big}),
    lambda: folder.write_json("summary", {"a": "x" * 30_000}),
):
    try:
        attempt()
    except RunFolderError as error:
        print(error)
"""


def test_a_new_array_is_what_numpy_itself_would_write(tmp_path: Path) -> None:
    ours = open_new(tmp_path / "a.npy", (3, 5), np.uint16)
    assert isinstance(ours, np.memmap) and not ours.any()
    ours[:] = np.arange(15).reshape(3, 5)
    ours.flush()
    np.save(tmp_path / "b.npy", np.arange(15, dtype=np.uint16).reshape(3, 5))
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    assert open_new(tmp_path / "c.npy", (0, 5), np.float32).shape == (0, 5)
    assert np.load(tmp_path / "c.npy").shape == (0, 5)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot allocate")
def test_its_space_is_allocated_before_it_is_filled(tmp_path: Path) -> None:
    open_new(tmp_path / "a.npy", (1000, 1000), np.float32)
    assert (tmp_path / "a.npy").stat().st_blocks * 512 >= 4_000_000


def test_without_a_call_that_allocates_zeros_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    monkeypatch.setattr(store_arrays, "ZEROS", bytes(64))
    array = open_new(tmp_path / "a.npy", (3, 7), np.float64)
    array[2, 6] = 1
    array.flush()
    assert np.load(tmp_path / "a.npy").sum() == 1
    assert (tmp_path / "a.npy").stat().st_size == 128 + 3 * 7 * 8


def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int, start: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    monkeypatch.setattr(store_arrays, "SMALL", 0)
    words = "cannot be written: No space left on device; expected .* the same command goes on"
    with pytest.raises(RunFolderError, match=words):
        open_new(tmp_path / "a.npy", (3, 5), np.float32)
    with pytest.raises(RunFolderError, match=words):
        scratch(tmp_path)("resampled", (3, 5))
    assert list(tmp_path.iterdir()) == []


def test_every_way_of_writing_meets_a_real_limit_in_one_line(tmp_path: Path) -> None:
    """A limit on the size of files, which fails as a full disk does, only with another word."""
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = ended.stdout.splitlines()
    assert len(lines) == 5, ended.stderr
    assert all("cannot be written: File too large; expected" in line for line in lines)
    left = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]
    assert left == ["manifest.json"]
    assert RunFolder(tmp_path).hashes == {}


def test_a_folder_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    folder = RunFolder.claim(tmp_path / "run")
    folder.identify({"data": "x"})
    unit_store, allocate = folder.unit_store, folder.allocate("activations")
    for path in sorted(folder.path.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.path.rmdir()
    for attempt in (
        lambda: unit_store.save("unit", {"a": np.zeros(1)}),
        lambda: allocate("layer_00", (1, 1)),
        lambda: folder.write_json("summary", {}),
        lambda: folder.update_manifest(times={}),
        lambda: folder.unit_store,
    ):
        with pytest.raises(RunFolderError, match=r"is gone|No such file"):
            attempt()
    assert not folder.path.exists()


def test_a_linked_sub_folder_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.partial").write_text("precious")
    folder = RunFolder.claim(tmp_path / "run")
    for name in ("activations", "outcomes", "findings"):
        (folder.path / name).symlink_to(tmp_path / "mine")
    for attempt in (
        lambda: folder.allocate("activations"),
        lambda: folder.unit_store,
        lambda: folder.write_array("outcomes/direct_error", np.zeros(1)),
        lambda: folder.write_json("findings/x", {}),
    ):
        with pytest.raises(RunFolderError, match="is a link; expected a folder of the run's own"):
            attempt()
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.partial"]
