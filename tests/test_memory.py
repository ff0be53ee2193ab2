"""Holes in the heap are handed back, and nothing happens where there is no way to."""

import subprocess
import sys

import pytest

from synapse_audit import memory

HOLES = """
from pathlib import Path
from synapse_audit.memory import _malloc_trim, give_back

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
    give_back()
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
        memory.give_back()
        assert memory._malloc_trim() is None
    finally:
        memory._malloc_trim.cache_clear()
