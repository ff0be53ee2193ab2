"""What this machine has to give: memory and processor time, inside a container too."""

from __future__ import annotations

from math import ceil
from pathlib import Path

MEMORY = Path("/proc/meminfo")

CONTAINER = Path("/sys/fs/cgroup")
"""Where a container finds the limits of its control group (version 2)."""


def available_memory() -> int | None:
    """Bytes that may still be taken; None where the system does not say.

    What Linux could give, and, inside a container, what its limit leaves.
    """
    free = [int(words[1]) * 1024 for words in _lines(MEMORY) if words[0] == "MemAvailable:"]
    limit, used = (_first(CONTAINER / f"memory.{name}") for name in ("max", "current"))
    # Pages of files that were read count as used, and are given up when memory is asked for.
    files = [int(w[1]) for w in _lines(CONTAINER / "memory.stat") if w[0] == "inactive_file"]
    left = [] if limit is None or used is None else [max(0, limit - used + sum(files))]
    return min(free + left, default=None)


def core_limit() -> int | None:
    """Cores whose time a container may use at once, rounded up; None where there is no limit.

    Libraries that count processors do not see it, and start a thread for each.
    """
    lines = _lines(CONTAINER / "cpu.max")
    if not lines or len(lines[0]) != 2 or not all(map(str.isdecimal, lines[0])):
        return None
    quota, period = map(int, lines[0])
    return max(1, ceil(quota / period)) if period else None


def _first(file: Path) -> int | None:
    lines = _lines(file)
    return int(lines[0][0]) if lines and lines[0][0].isdecimal() else None


def _lines(file: Path) -> list[list[str]]:
    """The words of each line that has any; nothing where the file cannot be read."""
    try:
        text = file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return []
    return [words for line in text.splitlines() if (words := line.split())]
