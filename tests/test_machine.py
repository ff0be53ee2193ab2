"""What a container may use, read off files as Linux writes them."""

from pathlib import Path

import pytest

from synapse_audit import machine
from synapse_audit.machine import available_memory, core_limit

MEMINFO = "MemTotal:       24000000 kB\nMemAvailable:    1000 kB\nBuffers:  3 kB\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of the system's; nothing is in it."""
    monkeypatch.setattr(machine, "CONTAINER", tmp_path)
    monkeypatch.setattr(machine, "MEMORY", tmp_path / "meminfo")
    return tmp_path


def test_where_the_system_says_nothing_nothing_is_known(files: Path) -> None:
    assert (available_memory(), core_limit()) == (None, None)


@pytest.mark.parametrize(
    ("limit", "used", "expected"),
    [
        ("1000000", "400000", 600_000),
        ("1000000", "2000000", 0),
        ("9000000", "1000000", 1_024_000),  # the machine has less
        ("max", "5", 1_024_000),
        ("", "", 1_024_000),
    ],
)
def test_memory_is_what_the_machine_and_the_container_leave(
    files: Path, limit: str, used: str, expected: int
) -> None:
    (files / "meminfo").write_text(MEMINFO)
    (files / "memory.max").write_text(limit + "\n")
    (files / "memory.current").write_text(used + "\n")
    assert available_memory() == expected


def test_pages_of_files_that_were_read_are_not_in_the_way(files: Path) -> None:
    (files / "memory.max").write_text("1000\n")
    (files / "memory.current").write_text("900\n")
    (files / "memory.stat").write_text("anon 200\nactive_file 100\ninactive_file 600\n")
    assert available_memory() == 700


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("max 100000", None),
        ("100000 0", None),
        ("100000", None),
        ("", None),
    ],
)
def test_cores_are_the_quota_rounded_up(files: Path, text: str, expected: int | None) -> None:
    (files / "cpu.max").write_text(text + "\n")
    assert core_limit() == expected
