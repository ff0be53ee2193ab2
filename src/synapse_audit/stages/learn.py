"""Probes and rankings with their files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from synapse_audit.artifacts import Activations, LabelledData, Probe, Ranking, Splits
from synapse_audit.probes import fit_probes, probe_table, sufficiency
from synapse_audit.rankings import RANKINGS, RankingContext, rank, ranking_table
from synapse_audit.stages.run import Run
from synapse_audit.store import RunFolder


def probe(
    run: Run, activations: Activations, data: LabelledData, splits: Splits
) -> tuple[Probe, ...]:
    """Probes of every layer, all blocks together, and the head's input."""
    if not run.folder.has("probes.parquet", "probes.npz"):
        with run.progress.stage("probes", 1) as advance:
            probes = fit_probes(activations, data, splits, seed=run.config.seed)
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


def rank_all(
    run: Run,
    activations: Activations,
    probes: tuple[Probe, ...],
    data: LabelledData,
    splits: Splits,
) -> dict[str, Ranking]:
    """Every ranking of ``RANKINGS``, kept in ``rankings.parquet``."""
    context = RankingContext(
        activations=activations,
        labels=data.labels,
        classes=data.classes,
        splits=splits,
        probes=probes,
        seed=run.config.seed,
        weights=data.weights,
    )
    with run.progress.stage("rankings", len(RANKINGS)) as advance:
        rankings = {}
        for name in RANKINGS:
            rankings[name] = rank(name, context)
            advance(1)
    if not run.folder.has("rankings.parquet"):
        run.folder.write_table("rankings", ranking_table(list(rankings.values())))
    return rankings


def suffice(
    run: Run, activations: Activations, data: LabelledData, splits: Splits, ranking: Ranking
) -> pd.DataFrame:
    """How few neurons carry the probe, and how many disjoint sets do; ``sufficiency.parquet``."""
    if not run.folder.has("sufficiency.parquet"):
        with run.progress.stage("sufficient sets", 1) as advance:
            table = sufficiency(activations, data, splits, ranking, seed=run.config.seed)
            run.folder.write_table("sufficiency", table)
            advance(1)
    return run.folder.read_table("sufficiency")
