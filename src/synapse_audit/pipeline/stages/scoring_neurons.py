"""What the clean activations tell: probes, attributions, rankings and statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from synapse_audit.artifacts import Activations, LayerStatistics, Probe, Ranking
from synapse_audit.memory import release_memory
from synapse_audit.model import BLOCK_OUTPUT
from synapse_audit.model.activations import Extraction
from synapse_audit.pipeline.stages.attributions import attribute_fit
from synapse_audit.pipeline.stages.probes import fit_all
from synapse_audit.pipeline.stages.run import Run, Subject
from synapse_audit.pipeline.stages.sites import statistics_of
from synapse_audit.rankings import ACROSS, ATTRIBUTED, RANKINGS, RankingContext, rank, ranking_table
from synapse_audit.rankings.attributions import Attributions


@dataclass(frozen=True)
class ScoredNeurons:
    """What the clean activations tell, before any intervention."""

    probes: tuple[Probe, ...]
    attributions: Attributions | None
    rankings: Mapping[str, Ranking]
    statistics: Mapping[str, tuple[LayerStatistics, ...]]
    """Site → per layer, layer 0 first."""

    @property
    def blocks(self) -> tuple[LayerStatistics, ...]:
        """Statistics of the block outputs."""
        return self.statistics[BLOCK_OUTPUT]


def score_neurons(run: Run, subject: Subject, found: Extraction) -> ScoredNeurons:
    """Probes, attributions, rankings and statistics."""
    probes = fit_all(run, subject, found.activations)
    attributions = attribute_fit(run, subject)
    context = context_of(run, subject, found.activations, probes, attributions)
    rankings = rank_all(run, context)
    return ScoredNeurons(probes, attributions, rankings, statistics_of(run, subject, found))


def context_of(
    run: Run,
    subject: Subject,
    activations: Activations,
    probes: tuple[Probe, ...],
    attributions: Attributions | None,
) -> RankingContext:
    """What ranking methods read."""
    context = RankingContext.of(
        activations, subject.data, subject.splits, probes, seed=run.config.seed
    )
    return replace(context, attributions=attributions, allocate=run.folder.scratch)


def rank_all(run: Run, context: RankingContext) -> dict[str, Ranking]:
    """Every ranking of ``RANKINGS``, kept in ``rankings.parquet``.

    Those that need gradients are left out where there are no attributions and none is swept.
    """
    names = [name for name in RANKINGS if _wanted(name, run, context)]
    with run.progress.stage("rankings", len(names)) as advance:
        rankings = {}
        for name in names:
            rankings[name] = rank(name, context)
            release_memory()
            advance(1)
    if not run.has("rankings.parquet"):
        run.folder.write_table("rankings", ranking_table(list(rankings.values())))
    return rankings


def _wanted(name: str, run: Run, context: RankingContext) -> bool:
    if context.sets is not None and name in ACROSS:
        return False  # one softmax over all blocks
    known = name not in ATTRIBUTED or context.attributions is not None
    return known or name in (*run.config.grid.rankings, *run.config.grid.compared)
