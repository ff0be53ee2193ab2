"""What operators and cells read at every site: statistics, and a ranking of its neurons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from synapse_audit.artifacts import LayerStatistics, Ranking
from synapse_audit.model import ATTENTION_HEAD, BLOCK_OUTPUT
from synapse_audit.model.activations import Extraction, SiteActivations
from synapse_audit.pipeline.stages.run import Run, Subject
from synapse_audit.plan import AttentionHeads, SiteInputs
from synapse_audit.probes import layer_statistics
from synapse_audit.rankings import RankingContext, rank
from synapse_audit.sweep import Engine, Site, Tap

SITE_RANKING = "probeless"
"""What ranks neurons at sites besides the block output: it needs no probe per site and layer."""


def statistics_of(
    run: Run, subject: Subject, found: Extraction
) -> Mapping[str, tuple[LayerStatistics, ...]]:
    """Site → statistics of the pooled position over ``fit``, layer 0 first."""
    data, splits = subject.data, subject.splits
    activations = {BLOCK_OUTPUT: found.activations} | {
        name: site.activations for name, site in found.sites.items()
    }
    return {
        name: layer_statistics(
            held,
            splits,
            labels=None if subject.several else data.labels,
            classes=data.classes,
            allocate=run.folder.scratch,
        )
        for name, held in activations.items()
    }


def engine_of(
    run: Run,
    subject: Subject,
    found: Extraction,
    statistics: Mapping[str, tuple[LayerStatistics, ...]],
    tap: Tap | None,
) -> Engine:
    """The engine with what operators read at every site."""
    inner = {name: Site(statistics[name], site.others) for name, site in found.sites.items()}
    site = Site(statistics[BLOCK_OUTPUT], found.others, inner)
    return Engine(subject.classifier, site, run.config.seed, tap, benign=subject.benign)


def site_sources(
    run: Run,
    subject: Subject,
    found: Extraction,
    statistics: Mapping[str, tuple[LayerStatistics, ...]],
) -> dict[str, SiteInputs]:
    """What cells at the sites besides the block output are built from."""
    return {
        name: SiteInputs(statistics[name], _ranking(run, subject, site))
        for name, site in found.sites.items()
        if name in run.config.grid.sites  # the others are there for neurons that were named
    }


class SweptSites(NamedTuple):
    """What cells at the sites besides the block output are built from."""

    sites: Mapping[str, SiteInputs]
    """Those whose neurons are swept."""
    attention: AttentionHeads | None
    """The one whose heads are."""


def swept_sites(sites: Mapping[str, SiteInputs], heads: int) -> SweptSites:
    """Sets the attention heads apart from the other sites; ``heads``: of every block."""
    rest = {name: site for name, site in sites.items() if name != ATTENTION_HEAD}
    found = sites.get(ATTENTION_HEAD)
    return SweptSites(rest, None if found is None else AttentionHeads.of(found, heads))


def _ranking(run: Run, subject: Subject, site: SiteActivations) -> Ranking:
    context = RankingContext.of(
        site.activations, subject.data, subject.splits, seed=run.config.seed
    )
    return rank(SITE_RANKING, context)
