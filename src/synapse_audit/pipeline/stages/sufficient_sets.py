"""What is learned before the sweep and needs no model: sufficient sets, steady rankings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from synapse_audit.model.activations import Extraction
from synapse_audit.pipeline.stages.run import Run, Subject
from synapse_audit.pipeline.stages.scoring_neurons import ScoredNeurons, context_of
from synapse_audit.pipeline.stages.token_means import compare_token_means
from synapse_audit.probes import sufficiency
from synapse_audit.probes.blas import one_thread
from synapse_audit.rankings.stability import stability
from synapse_audit.tables.run import SUFFICIENCY


@dataclass(frozen=True)
class SufficientSets:
    """Tables about probes and rankings that no intervention enters."""

    sufficiency: pd.DataFrame
    """See :func:`synapse_audit.probes.sufficiency`."""
    stability: pd.DataFrame | None
    """Overlap of each ranking with itself over resamples of ``fit``, where measured."""
    token_means: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """The same probes and rankings on means over tokens, where made."""


def find_sufficient_sets(
    run: Run, subject: Subject, found: Extraction, learned: ScoredNeurons
) -> SufficientSets:
    """Sufficient sets of the headline ranking, how steady each is, and what all tokens say."""
    if subject.several:
        return SufficientSets(SUFFICIENCY.empty(), None)
    return SufficientSets(
        suffice(run, subject, found, learned),
        steady(run, subject, found, learned),
        compare_token_means(run, subject, found, learned),
    )


def suffice(run: Run, subject: Subject, found: Extraction, learned: ScoredNeurons) -> pd.DataFrame:
    """How few neurons carry the probe, and how many disjoint sets do; ``sufficiency.parquet``."""
    if not run.has("sufficiency.parquet"):
        headline = learned.rankings[run.config.grid.rankings[0]]
        with run.progress.stage("sufficient sets", 1) as advance, one_thread():
            table = sufficiency(
                found.activations,
                subject.data,
                subject.splits,
                headline,
                seed=run.config.seed,
                allocate=run.folder.scratch,
            )
            run.folder.write_table("sufficiency", table)
            advance(1)
    return run.folder.read_table("sufficiency")


def steady(
    run: Run, subject: Subject, found: Extraction, learned: ScoredNeurons
) -> pd.DataFrame | None:
    """How much of each ranking survives a bootstrap of ``fit``; ``stability.parquet``.

    As many resamples as the grid has draws; None where the grid reports no tests (too few).
    """
    if not run.config.grid.tests:
        return None
    if not run.has("stability.parquet"):
        context = context_of(run, subject, found.activations, learned.probes, learned.attributions)
        with run.progress.stage("ranking stability", 1) as advance, one_thread():
            table = stability(
                context,
                learned.rankings,
                resamples=run.config.grid.draws,
                groups=subject.data.groups,
            )
            run.folder.write_table("stability", table)
            advance(1)
    return run.folder.read_table("stability")
