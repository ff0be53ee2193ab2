"""Whole processes: import, ``--help``, and audits of the bundled classifier.

Wall time, CPU time of the process and its children, and peak resident memory, as /usr/bin/time
tells them. Each run folder is new and is thrown away.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import machine, save, show

COMMAND = [sys.executable, "-m", "synapse_audit"]


WRAPPER = """
import json, os, subprocess, sys, time
start = time.perf_counter()
pipe = subprocess.PIPE
process = subprocess.Popen(sys.argv[1:], stdout=pipe, stderr=subprocess.STDOUT, text=True)
said = process.stdout.read()
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps({
    "code": os.waitstatus_to_exitcode(status),
    "wall": time.perf_counter() - start,
    "user": usage.ru_utime,
    "system": usage.ru_stime,
    "peak": usage.ru_maxrss,
    "last": said.splitlines()[-1:],
}))
"""
"""A small process that starts the command: a child's peak counts what its parent held."""


def measure(name: str, command: Sequence[str]) -> dict[str, Any]:
    """Runs one command to its end.

    Raises:
        RuntimeError: it failed; the message is the last line that it said.
    """
    whole = [sys.executable, "-c", WRAPPER, *command]
    found = json.loads(subprocess.run(whole, check=True, capture_output=True, text=True).stdout)
    if found["code"]:
        raise RuntimeError(f"{name} ended with {found['code']}: {found['last']}")
    return {
        "command": name,
        "wall s": round(found["wall"], 2),
        "user s": round(found["user"], 2),
        "system s": round(found["system"], 2),
        "peak MiB": round(found["peak"] / 1024, 1),
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
