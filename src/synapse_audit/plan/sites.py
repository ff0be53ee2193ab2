"""Cells at the sites besides the block output: inside the blocks, and at the head's input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from synapse_audit.artifacts import ALL_LAYERS, GLOBAL, SILENCING, Cell
from synapse_audit.neurons import bottom, random_draw, top
from synapse_audit.plan.plan_inputs import PlanInputs, SiteInputs

SITE_DRAWS = 5
"""Random controls per set, at most: sites multiply the cells of a plan."""

HEAD_INPUT = "head_input"


def site_cells(s: PlanInputs) -> Iterator[Cell]:
    """Top, bottom and random sets over all layers of each site (mean and zero)."""
    for name, site in s.sites.items():
        for operator in SILENCING:
            for fraction in s.grid.site_fractions:
                yield from _sets(s, site, replace(_at(name, operator), fraction=fraction))


def site_position_cells(s: PlanInputs) -> Iterator[Cell]:
    """The same at every token position, where the grid asks for positions (mean only)."""
    for name, site in s.sites.items():
        if name == HEAD_INPUT or not s.grid.position_fractions:
            continue
        for fraction in s.grid.site_fractions:
            base = replace(_at(name, "mean"), fraction=fraction, position="all")
            yield from _sets(s, site, base)


def site_layer_cells(s: PlanInputs) -> Iterator[Cell]:
    """Everything that one site of one layer says is silenced (mean): the whole sublayer."""
    for name, site in s.sites.items():
        for layer in site.layers:
            whole = top(site.ranking.scores[GLOBAL], 1.0, [layer])
            yield replace(
                _at(name, "mean"),
                fraction=1.0,
                layers=str(layer),
                selection="top",
                ranking=site.ranking.method,
                ranked_for=GLOBAL,
                neurons=whole,
            )


def _at(site: str, operator: str) -> Cell:
    return Cell(space="neuron", operator=operator, site=site, position="pooled", layers=ALL_LAYERS)


def _sets(s: PlanInputs, site: SiteInputs, base: Cell) -> Iterator[Cell]:
    scores, fraction = site.ranking.scores[GLOBAL], base.fraction or 0.0
    ranked = replace(base, ranking=site.ranking.method, ranked_for=GLOBAL)
    chosen = top(scores, fraction, site.layers)
    yield replace(ranked, selection="top", neurons=chosen)
    yield replace(ranked, selection="bottom", neurons=bottom(scores, fraction, site.layers))
    yield from _random_controls(s, site, base, chosen.counts)


def _random_controls(
    s: PlanInputs, site: SiteInputs, base: Cell, counts: Mapping[int, int]
) -> Iterator[Cell]:
    for draw in s.draws[:SITE_DRAWS]:
        random_control = random_draw(site.widths, counts, draw, s.seed)
        yield replace(base, selection="random", draw=draw, neurons=random_control)
