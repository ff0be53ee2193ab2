"""A real SIGINT in the middle of a run: exit code 130, and the same command finishes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.calling import PREFIX, CommandLine

PATIENCE = 60.0


def _start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "synapse_audit", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )


def _wait_for_a_unit(running: subprocess.Popen[str], out: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not any((out / "outcomes" / "units").glob("*.npz")):
        assert running.poll() is None, running.communicate()[1]
        assert time.monotonic() < end, "no unit was finished"
        time.sleep(0.01)


@pytest.mark.usefixtures("unchecked")
def test_ctrl_c_leaves_a_run_that_the_same_command_finishes(
    cli: CommandLine, single: Path, tiny_grid: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    options = ["--data", single / "rows.csv", "--config", tiny_grid, "--batch-size", 16]
    command = [*map(str, ["run", single / "model", *options, "--out", out])]
    running = _start(command)
    _wait_for_a_unit(running, out)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=PATIENCE)
    assert running.returncode == 130
    assert errors.splitlines()[-1].startswith(f"{PREFIX}interrupted")
    assert "Traceback" not in errors
    assert not (out / "summary.json").exists()

    again = cli(*command)
    assert (again.code, again.stdout) == (0, f"{out / 'report.html'}\n"), again.stderr
