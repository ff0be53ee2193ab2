"""Probes and rankings on the mean over tokens, beside those on the token that the head reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from synapse_audit.artifacts import GLOBAL, Activations, Probe, Ranking
from synapse_audit.memory import release_memory
from synapse_audit.model.activations import Extraction
from synapse_audit.pipeline.stages.run import Run, Subject
from synapse_audit.pipeline.stages.scoring_neurons import ScoredNeurons
from synapse_audit.probes import fit_probe
from synapse_audit.probes.blas import one_thread
from synapse_audit.rankings import RankingContext, rank
from synapse_audit.rankings.stability import TOP, shared, stability
from synapse_audit.tables.token_means import READ, SHARED

METHODS = ("probe", "probeless")
"""Rankings that are made of both."""


def compare_token_means(
    run: Run, subject: Subject, found: Extraction, learned: ScoredNeurons
) -> dict[str, pd.DataFrame]:
    """Which examples probes read right, and which neurons rankings share, per layer.

    Kept in ``token_means.read.parquet`` and ``token_means.shared.parquet``. Empty where the grid
    does not ask for it, or the head reads several tokens itself.
    """
    means = found.token_means
    if means is None:
        return {}
    names = ("token_means.read", "token_means.shared")
    if not run.has(*(f"{name}.parquet" for name in names)):
        with run.progress.stage("probes on token means", 1) as advance, one_thread():
            tables = _compared(run, subject, found.activations, means, learned)
            for name, table in zip(names, tables, strict=True):
                run.folder.write_table(name, table)
            advance(1)
    return {name.partition(".")[2]: run.folder.read_table(name) for name in names}


def _compared(
    run: Run, subject: Subject, pooled: Activations, means: Activations, learned: ScoredNeurons
) -> tuple[pd.DataFrame, pd.DataFrame]:
    probes = []
    for layer, values in enumerate(means.layers):
        name = str(layer)
        probes.append(fit_probe(name, values, subject.data, subject.splits, seed=run.config.seed))
        release_memory()
    context = RankingContext.of(
        means, subject.data, subject.splits, tuple(probes), seed=run.config.seed
    )
    rankings = {method: rank(method, context) for method in METHODS}
    again = _again(run, subject, context, rankings)
    rows = list(_shared(learned.rankings, rankings, again))
    table = pd.DataFrame(rows, columns=SHARED.names).astype(SHARED.types)
    return _read(subject, pooled, means, learned.probes, tuple(probes)), table


def _again(
    run: Run, subject: Subject, context: RankingContext, rankings: Mapping[str, Ranking]
) -> dict[int, float]:
    """Layer → share of its top tenth that ``probeless`` finds again on resamples of ``fit``.

    Probes would have to be fitted again for every resample: theirs is left unknown.
    """
    if not run.config.grid.tests:
        return {}
    table = stability(
        replace(context, probes=()),
        {"probeless": rankings["probeless"]},
        resamples=run.config.grid.draws,
        groups=subject.data.groups,
    )
    return dict(zip(table["layer"].tolist(), table["overlap"].tolist(), strict=True))


def _shared(
    pooled: Mapping[str, Ranking], means: Mapping[str, Ranking], again: Mapping[int, float]
) -> Iterator[tuple[object, ...]]:
    for method in METHODS:
        pairs = zip(pooled[method].scores[GLOBAL], means[method].scores[GLOBAL], strict=True)
        for layer, (one, other) in enumerate(pairs):
            k = max(1, round(TOP * len(one)))
            known = np.ptp(one) > 0 and np.ptp(other) > 0
            share = shared(np.asarray(one), np.asarray(other), k) if known else np.nan
            steady = again.get(layer, np.nan) if method == "probeless" else np.nan
            yield layer, method, TOP, k, len(one), share, steady


def _read(
    subject: Subject,
    pooled: Activations,
    means: Activations,
    of_pooled: tuple[Probe, ...],
    of_means: tuple[Probe, ...],
) -> pd.DataFrame:
    """One row per layer and ``evaluate`` example."""
    rows = subject.splits.evaluate
    labels = subject.data.labels[rows]
    by_scope = {probe.scope: probe for probe in of_pooled}
    parts = []
    for layer, (one, other) in enumerate(zip(pooled.layers, means.layers, strict=True)):
        right = {
            "pooled_right": _right(by_scope[str(layer)], one[rows], labels),
            "mean_right": _right(of_means[layer], other[rows], labels),
        }
        parts.append(pd.DataFrame({"layer": layer, "example": rows, **right}))
    return pd.concat(parts, ignore_index=True).astype(READ.types)


def _right(
    probe: Probe, states: Float[np.ndarray, "evaluate neurons"], labels: np.ndarray
) -> Bool[np.ndarray, " evaluate"]:
    scores = (states - probe.mean) / probe.scale @ probe.weights.T + probe.bias
    return np.asarray(scores.argmax(axis=1) == labels)
