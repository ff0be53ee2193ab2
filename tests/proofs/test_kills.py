"""A run that is killed again and again ends with the tables of one that never was.

SIGKILL at random moments: no handler runs, nothing is flushed. Takes about a minute on one core.
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
    start = time.monotonic()
    whole = _start(tiny_folder, tiny_csv, grid, tmp_path / "whole")
    _, errors = whole.communicate(timeout=300)
    assert whole.returncode == 0, errors
    needed = time.monotonic() - start

    generator, moments = np.random.default_rng(0), []
    out = tmp_path / "killed"
    while len(moments) < KILLS:
        moment = float(generator.uniform(0.3, 1.0)) * needed
        running = _start(tiny_folder, tiny_csv, grid, out)
        try:
            running.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGKILL)
            running.communicate()
            units = len(list((out / "outcomes" / "units").glob("*.npz")))
            moments.append((moment, units, (out / "summary.json").exists()))
            continue
        assert running.returncode == 0
        if len(moments) >= KILLS // 2:
            break
        out = tmp_path / f"killed-{len(moments)}"  # it got through: begin anew
    last = _start(tiny_folder, tiny_csv, grid, out)
    _, errors = last.communicate(timeout=300)
    assert last.returncode == 0, errors
    tell(
        f"killed {len(moments)} times in a run of {needed:.1f} s, with units done: "
        + ", ".join(f"{m:.1f} s: {u}" for m, u, _ in moments)
    )
    expected, found = _digests(tmp_path / "whole"), _digests(out)
    assert expected.keys() == found.keys()
    assert [name for name in expected if expected[name] != found[name]] == []
