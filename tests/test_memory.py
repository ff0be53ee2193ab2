"""Holes in the heap are handed back, and nothing happens where there is no way to."""

import subprocess
import sys

import numpy as np
import pytest

from synapse_audit import memory
from synapse_audit.memory import gathered, row_chunks

HOLES = """
from pathlib import Path
from synapse_audit.memory import _malloc_trim, release_memory

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(x for x in lines if x.startswith("RssAnon")).split()[1]) / 1024

if _malloc_trim() is None:
    print("none")
else:
    # 64 MiB in pieces that are not mapped on their own, every hundredth of which stays.
    pieces = [b"x" * 60_000 for _ in range(1_100)]
    kept = pieces[::100]
    del pieces
    before = resident()
    release_memory()
    print(before - resident())
"""


def test_freed_pages_go_back_although_others_stay():
    done = subprocess.run([sys.executable, "-c", HOLES], check=True, capture_output=True, text=True)
    if done.stdout.strip() == "none":
        pytest.skip("the C library has no malloc_trim")
    assert float(done.stdout) > 40


def test_it_does_nothing_without_glibc(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    memory._malloc_trim.cache_clear()
    try:
        memory.release_memory()
        assert memory._malloc_trim() is None
    finally:
        memory._malloc_trim.cache_clear()


@pytest.mark.parametrize("each", [1, 7, 100, 101])
def test_blocks_hold_every_row_once_and_few_numbers(monkeypatch, each: int) -> None:
    monkeypatch.setattr(memory, "NUMBERS", 100)
    rows = np.arange(23)
    parts = [rows[some] for some in row_chunks(len(rows), each)]
    assert np.concatenate(parts).tolist() == rows.tolist()
    assert max(map(len, parts)) == min(23, max(1, 100 // each))
    assert len(rows[:0][next(iter(row_chunks(0, each)))]) == 0, "one empty block"


@pytest.mark.parametrize(("rows", "times"), [(0, 0), (100, 0), (101, 1), (300, 2)])
def test_what_is_freed_is_given_back_between_two_blocks(
    monkeypatch: pytest.MonkeyPatch, rows: int, times: int
):
    calls: list[int] = []
    monkeypatch.setattr(memory, "NUMBERS", 100)
    monkeypatch.setattr(memory, "release_memory", lambda: calls.append(1))
    monkeypatch.setattr(memory, "PAUSE", 0.0)
    assert len([*row_chunks(rows, 1)]) == times + 1
    assert len(calls) == times
    monkeypatch.setattr(memory, "PAUSE", 0.1)
    monkeypatch.setattr(memory, "monotonic", lambda: 0.0)
    assert len([*row_chunks(rows, 1)]) == times + 1
    assert len(calls) == times, "not again so soon"


def test_the_time_of_the_first_block_counts(monkeypatch: pytest.MonkeyPatch):
    calls: list[int] = []
    now = [0.0]
    monkeypatch.setattr(memory, "NUMBERS", 100)
    monkeypatch.setattr(memory, "release_memory", lambda: calls.append(1))
    monkeypatch.setattr(memory, "monotonic", lambda: now[0])
    for _ in row_chunks(200, 1):
        now[0] += 10
    assert len(calls) == 1


def test_items_are_gathered_until_they_fill_the_memory_meant_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("synapse_audit.memory.NUMBERS", 10)
    assert [*gathered([4, 4, 4, 12, 1], lambda size: size)] == [[4, 4, 4], [12], [1]]
    assert [*gathered([], len)] == []
