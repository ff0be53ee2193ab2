"""Probes with their files."""

from __future__ import annotations

from typing import Any

import numpy as np

from synapse_audit.artifacts import Activations, Probe
from synapse_audit.pipeline.stages.run import Run, Subject
from synapse_audit.probes import fit_paper_probes, fit_probes, probe_table
from synapse_audit.probes.blas import one_thread
from synapse_audit.store import RunFolder


def fit_all(run: Run, subject: Subject, activations: Activations) -> tuple[Probe, ...]:
    """Probes of every layer, all blocks together, and the head's input; the paper's if asked."""
    if not run.has("probes.parquet", "probes.npz"):
        with run.progress.stage("probes", 1) as advance, one_thread():
            data, splits, seed = subject.data, subject.splits, run.config.seed
            scratch = run.folder.scratch
            probes = fit_probes(activations, data, splits, seed=seed, allocate=scratch)
            if run.config.grid.paper:
                probes += fit_paper_probes(activations, data, splits, seed=seed, allocate=scratch)
            run.folder.write_arrays("probes", _probe_arrays(probes))
            run.folder.write_table("probes", probe_table(probes))
            advance(1)
    return _read_probes(run.folder)


_ARRAYS = ("weights", "bias", "mean", "scale")


def _probe_arrays(probes: tuple[Probe, ...]) -> dict[str, np.ndarray]:
    return {f"{p.scope}.{name}": getattr(p, name) for p in probes for name in _ARRAYS}


def _read_probes(folder: RunFolder) -> tuple[Probe, ...]:
    arrays = folder.read_arrays("probes")
    rows = folder.read_table("probes").drop(columns="selectivity").to_dict("records")
    return tuple(_read_probe({str(k): v for k, v in row.items()}, arrays) for row in rows)


def _read_probe(row: dict[str, Any], arrays: dict[str, np.ndarray]) -> Probe:
    fields: dict[str, Any] = {name: arrays[f"{row['scope']}.{name}"] for name in _ARRAYS}
    return Probe(**row, **fields)
