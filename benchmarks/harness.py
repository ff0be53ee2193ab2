"""What the benchmarks share: the machine's name, clocks, tables and files of results.

Comparisons are ratios within one run. Two clocks are read: wall time, which other processes on the
machine lengthen, and the process's CPU time over all threads, which they lengthen far less.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from transformers.utils import logging

logging.disable_progress_bar()

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
SHARED_MODELS = HERE.parents[1] / "shared" / "models"
PACKAGES = ("torch", "transformers", "numpy", "scikit-learn", "nnsight", "pyvene")

Row = Mapping[str, Any]


@dataclass
class Spent:
    """Seconds on both clocks; they add up over several timings."""

    wall: float = 0.0
    cpu: float = 0.0

    @contextmanager
    def timing(self) -> Iterator[None]:
        """Adds what the ``with`` took."""
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.wall += time.perf_counter() - wall
            self.cpu += time.process_time() - cpu

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.wall + other.wall, self.cpu + other.cpu)

    def __mul__(self, factor: float) -> Spent:
        return Spent(self.wall * factor, self.cpu * factor)

    def over(self, other: Spent) -> tuple[float, float]:
        """How many times ``other`` this is, by each clock."""
        return self.wall / other.wall, self.cpu / other.cpu


def timed(function: Callable[[], Any]) -> tuple[Any, Spent]:
    """The result of a call and what it took."""
    spent = Spent()
    with spent.timing():
        result = function()
    return result, spent


def machine() -> dict[str, Any]:
    """The machine and its load now: what every file of results begins with."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_average": [round(x, 2) for x in os.getloadavg()],
        "python": platform.python_version(),
        "system": platform.platform(),
        **{name: _version(name) for name in PACKAGES},
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), "")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def show(title: str, rows: Sequence[Row]) -> None:
    """Prints rows as an aligned table; a missing value is a dash."""
    print(f"\n{title}")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [columns, *([_text(row.get(name)) for name in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        print("  " + "  ".join(x.rjust(w) for x, w in zip(line, widths, strict=True)))


def _text(value: object) -> str:
    if value is None or value != value:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def save(name: str, *, at_start: Mapping[str, Any], results: Mapping[str, Any]) -> Path:
    """Writes ``results/<name>.json``: the machine, its load at start and end, the results."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    whole = {
        "machine": dict(at_start),
        "load_average_at_end": [round(x, 2) for x in os.getloadavg()],
        **results,
    }
    path.write_text(json.dumps(whole, indent=1, default=_plain) + "\n", encoding="utf-8")
    print(f"\n{path}")
    return path


def _plain(value: Any) -> Any:
    if isinstance(value, Spent):
        return {"wall": value.wall, "cpu": value.cpu}
    return value.item() if hasattr(value, "item") else str(value)


def matmul_rate(size: int = 1536, repeats: int = 3) -> tuple[float, float]:
    """Best float32 rate of one large matrix product, in GFLOP/s: (by wall, by CPU second)."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    a @ b
    best = [0.0, 0.0]
    for _ in range(repeats):
        _, spent = timed(lambda: a @ b)
        work = 2 * size**3 / 1e9
        best = [max(best[0], work / spent.wall), max(best[1], work / max(spent.cpu, 1e-9))]
    return best[0], best[1]
