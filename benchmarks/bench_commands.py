"""Whole processes: import, ``--help``, and audits of the bundled classifier.

Wall time, CPU time of the process and its children, and peak resident memory, as /usr/bin/time
tells them. Each run folder is new and is thrown away.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import machine, save, show

COMMAND = [sys.executable, "-m", "synapse_audit"]


def measure(name: str, command: Sequence[str]) -> dict[str, Any]:
    """Runs one command to its end.

    Raises:
        RuntimeError: it failed; the message is the last line that it said.
    """
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - start
        said.seek(0)
        lines = said.read().splitlines()
    if process.returncode:
        raise RuntimeError(f"{name} ended with {process.returncode}: {lines[-1:]}")
    return {
        "command": name,
        "wall s": round(wall, 2),
        "user s": round(usage.ru_utime, 2),
        "system s": round(usage.ru_stime, 2),
        "peak MiB": round(usage.ru_maxrss / 1024, 1),
    }


def main() -> None:
    """Quick things three times (the fastest counts), audits once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", nargs="*", default=["quick", "standard"])
    options = parser.parse_args()
    at_start, lines = machine(), []
    brief = {
        "import synapse_audit": [sys.executable, "-c", "import synapse_audit"],
        "--help": [*COMMAND, "--help"],
    }
    for name, command in brief.items():
        runs = [measure(name, command) for _ in range(3)]
        lines.append(min(runs, key=lambda run: run["wall s"]))
    for preset in options.presets:
        with tempfile.TemporaryDirectory() as folder:
            out = str(Path(folder) / "run")
            command = [*COMMAND, "run", "--preset", preset, "--out", out]
            lines.append(measure(f"run --preset {preset}", command))
    show("Whole processes", lines)
    save("commands", at_start=at_start, results={"commands": lines})


if __name__ == "__main__":
    main()
