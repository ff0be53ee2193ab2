"""One writer per folder: who is kept out, by whom, and what a killed owner leaves."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from synapse_audit.errors import RunFolderError
from synapse_audit.store.lock import LOCK, locked

OWNER = """
import sys
from pathlib import Path
from synapse_audit.store.lock import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def _owner(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock until its input ends."""
    command = [sys.executable, "-c", OWNER, str(folder)]
    pipe = subprocess.PIPE
    owner = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    assert owner.stdout is not None and owner.stdout.readline() == "locked\n"
    return owner


def test_the_second_process_is_refused_and_learns_who_owns_the_folder(tmp_path: Path) -> None:
    owner = _owner(tmp_path)
    try:
        host = os.uname().nodename
        words = rf"being written by process {owner.pid} on {host} since \d{{4}}-\d\d-\d\d .* UTC;"
        with pytest.raises(RunFolderError, match=words), locked(tmp_path):
            pass
    finally:
        owner.communicate()
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path):
        assert (tmp_path / LOCK).is_file()


def test_a_killed_owner_keeps_nobody_out(tmp_path: Path) -> None:
    owner = _owner(tmp_path)
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    assert (tmp_path / LOCK).is_file(), "nobody could remove it"
    with locked(tmp_path):
        assert str(os.getpid()) in (tmp_path / LOCK).read_text()
    assert list(tmp_path.iterdir()) == []


def test_an_owner_may_lock_again_and_stays_the_owner(tmp_path: Path) -> None:
    with locked(tmp_path):
        with locked(tmp_path / "." / ".." / tmp_path.name):
            pass
        seen: list[Exception] = []

        def other() -> None:
            try:
                with locked(tmp_path):
                    pass
            except RunFolderError as error:
                seen.append(error)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert f"process {os.getpid()}" in str(seen[0])
    assert list(tmp_path.iterdir()) == []


def test_an_error_frees_the_lock(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="x"), locked(tmp_path):
        raise ValueError("x")
    with locked(tmp_path):
        pass


def test_a_lock_that_is_removed_while_it_is_awaited_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file opened first is another one's, who removes it; only the second try counts."""
    from synapse_audit.store import lock

    tries: list[int] = []

    def removed_once(file: int) -> bool:
        tries.append(file)
        if len(tries) == 1:
            (tmp_path / LOCK).unlink()
        return True

    monkeypatch.setattr(lock, "_flock", removed_once)
    with locked(tmp_path):
        assert len(tries) == 2 and (tmp_path / LOCK).is_file()


@pytest.mark.parametrize("target", ["mine.txt", "nowhere"])
def test_a_link_in_its_place_is_not_followed(tmp_path: Path, target: str) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).symlink_to(tmp_path / target)
    with pytest.raises(RunFolderError, match="cannot be locked"), locked(tmp_path / "run"):
        pass
    assert (tmp_path / "mine.txt").read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_is_gone_meanwhile_does_no_harm(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with locked(folder):
        (folder / LOCK).unlink()
        folder.rmdir()
    assert not folder.exists()
