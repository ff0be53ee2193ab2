"""Cells that rewrite neurons at the output of blocks.

Random controls are shared: a random draw is the same set for every cell that takes the same number
of neurons in each layer. Sets of a ranking whose scores compare across layers hold another number
in each, so it has random controls of its own, which carry its name; those that carry none stand
beside all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from synapse_audit.artifacts import (
    ALL_LAYERS,
    CLASS_FRACTION,
    GLOBAL,
    SILENCING,
    Cell,
    Ranking,
)
from synapse_audit.interventions.operators import DEFAULT_STRENGTH
from synapse_audit.neurons import (
    NeuronSet,
    Selector,
    bottom,
    bottom_across,
    exclusive,
    matched_draw,
    top,
    top_across,
)
from synapse_audit.neurons.addresses import DEFAULT_SITE, Address
from synapse_audit.plan.plan_inputs import PlanInputs
from synapse_audit.plan.tiers import HEADLINE_OPERATOR

CONSTANT_RATIO = 1.5
"""A candidate constant's |mean| is at least so many times its layer's median norm ..."""

CONSTANT_STEADINESS = 4.0
"""... and so many times its own spread."""

CONSTANTS_PER_LAYER = 3


def silence(operator: str, layers: str = ALL_LAYERS, position: str = "pooled") -> Cell:
    """A cell that rewrites block outputs, its neurons still to be chosen."""
    return Cell(
        space="neuron",
        operator=operator,
        site=DEFAULT_SITE,
        strength=DEFAULT_STRENGTH.get(operator),
        position="all" if position == "all" else "pooled",
        layers=layers,
    )


def best(ranking: Ranking) -> Selector:
    """How a ranking's top is taken: over all layers together where its scores compare."""
    return top_across if ranking.across else top


def worst(ranking: Ranking) -> Selector:
    """The same for its bottom."""
    return bottom_across if ranking.across else bottom


def removal_cells(s: PlanInputs) -> Iterator[Cell]:
    """Top, bottom and random sets over all blocks, for every operator and ranking."""
    for operator in s.grid.operators:
        for fraction in s.grid.fractions:
            base = replace(silence(operator), fraction=fraction)
            for name in s.grid.rankings:
                yield from _ends(s, s.rankings[name], base)
            if _any_within(s):
                few = operator not in SILENCING
                yield from _random(s, base, s.counts(fraction, s.blocks), few=few)


def _ends(s: PlanInputs, ranking: Ranking, base: Cell) -> Iterator[Cell]:
    """Top and bottom of one ranking over all blocks, and its own random controls where it needs
    them."""
    scores, fraction = ranking.scores[GLOBAL], base.fraction or 0.0
    ranked = replace(base, ranking=ranking.method, ranked_for=GLOBAL)
    chosen = best(ranking)(scores, fraction, s.blocks)
    yield replace(ranked, selection="top", neurons=chosen)
    lowest = worst(ranking)(scores, fraction, s.blocks)
    yield replace(ranked, selection="bottom", neurons=lowest)
    if ranking.across:
        yield from _random(s, ranked, chosen.counts)


def compared_cells(s: PlanInputs) -> Iterator[Cell]:
    """The top sets of the rankings that are only compared with the swept ones."""
    for operator in SILENCING:
        for fraction in s.grid.fractions:
            base = replace(silence(operator), fraction=fraction)
            for name in s.grid.compared:
                top_set, *_ = _ends(s, s.rankings[name], base)
                yield top_set


def _any_within(s: PlanInputs) -> bool:
    """Whether any swept ranking takes its sets within each layer, and so needs shared random
    controls."""
    return any(not s.rankings[name].across for name in s.grid.rankings)


def _random(
    s: PlanInputs, base: Cell, counts: Mapping[int, int], *, few: bool = False
) -> Iterator[Cell]:
    """Random sets; ``few``: no test rests on them."""
    for draw in s.other_draws if few else s.draws:
        yield replace(base, selection="random", draw=draw, neurons=s.random_control(counts, draw))


def matched_cells(s: PlanInputs) -> Iterator[Cell]:
    """Random controls of the headline sets, matched in activation norm."""
    norms = [layer.norm for layer in s.statistics]
    for operator in SILENCING:
        for fraction in s.grid.fractions:
            chosen = best(s.headline)(s.headline.scores[GLOBAL], fraction, s.blocks)
            base = replace(
                silence(operator),
                fraction=fraction,
                ranking=s.headline.method,
                ranked_for=GLOBAL,
                selection="matched",
            )
            for draw in s.other_draws:
                random_control = matched_draw(norms, chosen, draw, s.seed)
                yield replace(base, draw=draw, neurons=random_control)


def keep_cells(s: PlanInputs) -> Iterator[Cell]:
    """Everything but the kept fraction of each block is silenced."""
    for operator in SILENCING:
        for fraction in s.grid.fractions:
            base = replace(silence(operator), fraction=fraction)
            for name in s.grid.rankings:
                ranking = s.rankings[name]
                kept = best(ranking)(ranking.scores[GLOBAL], fraction, s.blocks)
                rest = kept.complement(s.widths, s.blocks)
                ranked = replace(base, ranking=name, ranked_for=GLOBAL)
                yield replace(ranked, selection="keep_top", neurons=rest)
                if ranking.across:
                    yield from _kept(s, ranked, kept.counts)
            if _any_within(s):
                yield from _kept(s, base, s.counts(fraction, s.blocks))


def _kept(s: PlanInputs, base: Cell, counts: Mapping[int, int]) -> Iterator[Cell]:
    for draw in s.other_draws:
        rest = s.random_control(counts, draw).complement(s.widths, s.blocks)
        yield replace(base, selection="keep_random", draw=draw, neurons=rest)


def layer_cells(s: PlanInputs) -> Iterator[Cell]:
    """Each layer alone (the embeddings included)."""
    for operator in SILENCING:
        for layer in range(len(s.widths)):
            for fraction in s.grid.layer_fractions:
                base = replace(silence(operator, str(layer)), fraction=fraction)
                # Tables read the first ranking; the others' single layers are only tested.
                for name in s.grid.rankings if s.grid.tests else s.grid.rankings[:1]:
                    if layer not in ranked_layers(s, s.rankings[name]):
                        continue
                    chosen = top(s.rankings[name].scores[GLOBAL], fraction, [layer])
                    ranked = replace(base, ranking=name, ranked_for=GLOBAL)
                    yield replace(ranked, selection="top", neurons=chosen)
                few = operator != HEADLINE_OPERATOR
                yield from _random(s, base, s.counts(fraction, [layer]), few=few)


def ranked_layers(s: PlanInputs, ranking: Ranking) -> range:
    """Layers that a ranking scores: one across layers never reads the embeddings."""
    return range(1 if ranking.across else 0, len(s.widths))


def position_cells(s: PlanInputs) -> Iterator[Cell]:
    """The same sets at every token position, not only the pooled one (mean only)."""
    for fraction in s.grid.position_fractions:
        base = replace(silence("mean", position="all"), fraction=fraction)
        yield from _ends(s, s.headline, base)
        if not s.headline.across:
            yield from _random(s, base, s.counts(fraction, s.blocks))


def class_cells(s: PlanInputs) -> Iterator[Cell]:
    """Each class's own top neurons, over all blocks and, where asked, in each layer alone (mean).

    Over all blocks at every fraction where that makes a curve that is read: tested, or the paper's.
    """
    for operator in SILENCING:
        for name in s.ranked_classes:
            scores = s.headline.scores[name]
            ranked = replace(silence(operator), ranking=s.headline.method, ranked_for=name)
            for fraction in _class_fractions(s, operator):
                chosen = best(s.headline)(scores, fraction, s.blocks)
                yield replace(ranked, selection="top", fraction=fraction, neurons=chosen)
            if operator != HEADLINE_OPERATOR:
                continue
            for layer in ranked_layers(s, s.headline):
                for fraction in s.grid.class_layer_fractions:
                    chosen = top(scores, fraction, [layer])
                    alone = replace(ranked, layers=str(layer), fraction=fraction)
                    yield replace(alone, selection="top", neurons=chosen)


def _class_fractions(s: PlanInputs, operator: str) -> tuple[float, ...]:
    """Those named; else all where curves are read, else the one at which classes are compared."""
    if s.grid.class_fractions is not None:
        return s.grid.class_fractions
    tested = s.grid.tests and operator == HEADLINE_OPERATOR
    if tested or s.grid.paper or not s.grid.fractions:
        return s.grid.fractions
    return (min(s.grid.fractions, key=lambda f: (abs(f - CLASS_FRACTION), f)),)


def exclusive_cells(s: PlanInputs) -> Iterator[Cell]:
    """Each class's top neurons that are in no other class's top."""
    scores = s.headline.scores
    by_class = {name: scores[name] for name in s.classes if name in scores}
    for operator in SILENCING:
        for name in s.ranked_classes:
            for fraction in s.class_fractions:
                choose = best(s.headline)
                chosen = exclusive(by_class, name, fraction, s.blocks, choose=choose)
                if not len(chosen):
                    continue
                base = replace(
                    silence(operator),
                    fraction=fraction,
                    ranking=s.headline.method,
                    ranked_for=name,
                )
                yield replace(base, selection="exclusive", neurons=chosen)


def constant_cells(s: PlanInputs) -> Iterator[Cell]:
    """Candidate load-bearing constants (large mean, small spread), one at a time."""
    for layer, statistics in enumerate(s.statistics):
        typical = float(np.median(statistics.norm))
        size = np.abs(statistics.mean)
        steady = size >= CONSTANT_STEADINESS * statistics.spread
        for neuron in np.argsort(-size, kind="stable")[:CONSTANTS_PER_LAYER]:
            large = size[neuron] > 0 and size[neuron] >= CONSTANT_RATIO * typical
            if not (steady[neuron] and large):
                continue
            for operator in SILENCING:
                yield replace(
                    silence(operator, str(layer)),
                    selection="constant",
                    addresses=str(Address(layer, DEFAULT_SITE, int(neuron))),
                    neurons=NeuronSet.of({layer: [int(neuron)]}),
                )
