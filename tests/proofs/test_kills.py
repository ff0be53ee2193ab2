"""A run that is killed again and again ends with the tables of one that never was.

SIGKILL after a random number of files, at a random moment: no handler runs, nothing is flushed.
Takes about two minutes on one core.
"""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.proof

KILLS = 8
GRID = """
preset = "quick"
resamples = 100
[grid]
draws = 3
"""


def _start(model: Path, rows: Path, grid: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "synapse_audit", "run", model, "--data", rows]
    options = ["--config", grid, "--batch-size", "16", "--out", out]
    return subprocess.Popen(
        [*map(str, command), *map(str, options)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()] if folder.exists() else []


def _wait_for_files(running: subprocess.Popen[str], folder: Path, more: int) -> None:
    """Until the run has written so many files more, or has ended."""
    before = len(_files(folder))
    while running.poll() is None and len(_files(folder)) < before + more:
        time.sleep(0.002)


def _digests(folder: Path) -> dict[str, str]:
    """Every file but the manifest (times) and the report (drawn from it)."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name not in ("manifest.json", "report.html")
    }


def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(
    tiny_folder: Path, tiny_csv: Path, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    grid = tmp_path / "grid.toml"
    grid.write_text(GRID, encoding="utf-8")
    whole = _start(tiny_folder, tiny_csv, grid, tmp_path / "whole")
    _, errors = whole.communicate()
    assert whole.returncode == 0, errors

    generator, out, moments = np.random.default_rng(0), tmp_path / "killed", []
    for _ in range(KILLS):
        running = _start(tiny_folder, tiny_csv, grid, out)
        _wait_for_files(running, out, int(generator.integers(0, 12)))
        time.sleep(float(generator.uniform(0, 0.1)))
        running.send_signal(signal.SIGKILL)
        running.communicate()
        moments.append(len(_files(out)))
        if running.returncode == 0:
            break
    last = _start(tiny_folder, tiny_csv, grid, out)
    _, errors = last.communicate()
    assert last.returncode == 0, errors
    tell(f"killed {len(moments)} times, with so many files written: {moments}")
    expected, found = _digests(tmp_path / "whole"), _digests(out)
    assert expected.keys() == found.keys()
    assert [name for name in expected if expected[name] != found[name]] == []
