"""Peak memory against the number of rows: is it flat?

Each size runs in a process of its own: the bundled classifier, texts resampled from its data and
made unique, extraction to memory-mapped files and a small sweep (eight cells of each route) over
all rows, outcomes kept. The peak resident set counts memory-mapped pages that happen to be cached
as well, so the same process also tells its peak of anonymous memory, which is what cannot be
dropped. With ``--audit`` whole audits (``run --preset quick``) are watched instead, on the bundled
texts or on a file of one's own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SIZES = (1_000, 5_000, 20_000)
CELLS = 4


def main() -> None:
    """One child per size."""
    from harness import machine, save, show

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[*SIZES])
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--audit", action="store_true", help="whole audits instead")
    parser.add_argument("--data", help="of these audits, with columns text and label")
    options = parser.parse_args()
    if options.child is not None:
        print(json.dumps(child(options.child)))
        return
    at_start, lines = machine(), []
    if options.audit:
        lines = [audit(rows, options.data) for rows in options.rows]
        show("Peak memory of whole audits (quick), MiB", lines)
        save("memory_audit", at_start=at_start, results={"sizes": lines})
        return
    for rows in options.rows:
        command = [sys.executable, __file__, "--child", str(rows)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        lines.append(json.loads(said.splitlines()[-1]))
    show("Peak memory of extraction and a small sweep, MiB", lines)
    save("memory", at_start=at_start, results={"sizes": lines})


def audit(rows: int, data: str | None) -> dict[str, Any]:
    """A whole audit of so many rows in a process of its own."""
    import numpy as np
    import pandas as pd

    from synapse_audit import demo

    known = pd.read_csv(demo.bundled_data())
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(data or f"{folder}/data.csv")
        if data is None:
            share = 1 / known.groupby("label")["text"].transform("size").to_numpy()
            drawn = np.random.default_rng(0).choice(len(known), rows, p=share / share.sum())
            made = pd.DataFrame({"text": _texts(drawn), "label": known["label"].to_numpy()[drawn]})
            made.to_csv(file, index=False)
        command = [sys.executable, "-m", "synapse_audit", "run", str(demo.bundled_model())]
        command += ["--data", str(file), "--max-examples", str(rows), "--preset", "quick"]
        with subprocess.Popen(
            [*command, "--out", f"{folder}/run"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            watch = _Watch(process.pid)
            with watch:
                _, said = process.communicate()
        if process.returncode:
            raise SystemExit(said.decode())
    return {
        "rows": rows,
        "anonymous peak": watch.peak,
        "resident peak": watch.resident,
        "seconds": round(time.perf_counter() - start, 1),
    }


def child(rows: int) -> dict[str, Any]:
    """Measures itself."""
    import numpy as np
    from subjects import RANKED, SUFFIX, first_layer, load_subject, spread

    from synapse_audit.artifacts import Plan
    from synapse_audit.config import PRESETS
    from synapse_audit.model import Encoded
    from synapse_audit.model.activations import extract
    from synapse_audit.store import RunFolder
    from synapse_audit.sweep import Engine, sweep, tapped

    grid = PRESETS["quick"].model_copy(update={"rankings": RANKED})
    subject = load_subject("bundled", evaluate=600, grid=grid)
    generator = np.random.default_rng(0)
    drawn = generator.integers(0, len(subject.encoded), rows)
    texts = _texts(drawn)
    encoded: Encoded = subject.classifier.encode(texts)
    loaded = _mib(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    watch = _Watch()
    start = time.perf_counter()
    with watch, tempfile.TemporaryDirectory() as folder, tapped(subject.classifier) as tap:
        run = RunFolder(Path(folder))
        extract(
            subject.classifier,
            encoded,
            fit=np.arange(0),
            allocate=run.allocate("activations"),
        )
        groups: dict[str, list[Any]] = {}
        for cell in subject.plan.actions:
            if subject.plan.routes[cell.action] != SUFFIX or first_layer(cell) > 0:
                groups.setdefault(subject.plan.routes[cell.action], []).append(cell)
        cells = tuple(cell for group in groups.values() for cell in spread(group, CELLS))
        engine = Engine(subject.classifier, subject.site, 0, tap)
        outcomes = sweep(
            engine,
            encoded,
            Plan(cells, subject.plan.routes),
            subject.labels[drawn],
            rows=np.arange(rows),
            unit_store=_Disk(run),
        )
    kept = sum(a.nbytes for a in vars(outcomes).values() if isinstance(a, np.ndarray))
    return {
        "rows": rows,
        "peak": _mib(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss),
        "peak with inputs loaded": loaded,
        "anonymous before": watch.before,
        "anonymous peak": watch.peak,
        "growth": watch.peak - watch.before,
        "outcomes": round(kept / 2**20, 2),
        "seconds": round(time.perf_counter() - start, 1),
    }


def _texts(drawn: Any) -> list[str]:
    import pandas as pd

    from synapse_audit import demo

    known = pd.read_csv(demo.bundled_data())["text"].astype(str).tolist()
    return [f"{known[row % len(known)]} {i}" for i, row in enumerate(drawn)]


class _Disk:
    """Writes every unit, as a run does, and never finds one."""

    def __init__(self, run: Any) -> None:
        self.unit_store = run.unit_store

    def load(self, name: str) -> None:
        return None

    def save(self, name: str, arrays: Mapping[str, Any]) -> None:
        self.unit_store.save(name, arrays)


class _Watch:
    """Peak of anonymous and of all resident memory, MiB, sampled every 20 ms."""

    def __init__(self, process: int | None = None) -> None:
        self.status = Path(f"/proc/{process or os.getpid()}/status")
        self.before, self.resident = self._now()
        self.peak = self.before
        self.done = threading.Event()

    def __enter__(self) -> None:
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()

    def _look(self) -> None:
        while not self.done.wait(0.02):
            anonymous, resident = self._now()
            self.peak, self.resident = max(self.peak, anonymous), max(self.resident, resident)

    def _now(self) -> tuple[float, float]:
        """Zeros once the process has ended."""
        try:
            lines = self.status.read_text(encoding="utf-8").splitlines()
        except (FileNotFoundError, ProcessLookupError):
            return 0.0, 0.0
        found = dict(line.split(":", 1) for line in lines if line.startswith(("RssAnon", "VmRSS")))
        anonymous, resident = (found.get(name, "0 kB").split()[0] for name in ("RssAnon", "VmRSS"))
        return _mib(int(anonymous)), _mib(int(resident))


def _mib(kib: int) -> float:
    return round(kib / 1024, 1)


if __name__ == "__main__":
    main()
