"""Cells that rewrite neurons at the output of blocks.

Twins are shared: a random draw is the same set for every cell that takes the same number of neurons
in each layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from synapse_audit.artifacts import ALL_LAYERS, GLOBAL, Cell
from synapse_audit.neurons import NeuronSet, bottom, exclusive, matched_draw, top
from synapse_audit.operators import DEFAULT_STRENGTH
from synapse_audit.plan.sources import Sources

HEADLINE = ("mean", "zero")
"""The headline operator and the paper's, which always stands beside it."""

CONSTANT_RATIO = 1.5
"""A candidate constant's |mean| is at least so many times its layer's median norm ..."""

CONSTANT_STEADINESS = 4.0
"""... and so many times its own spread."""

CONSTANTS_PER_LAYER = 3


def _silence(operator: str, layers: str = ALL_LAYERS, position: str = "pooled") -> Cell:
    return Cell(
        space="neuron",
        operator=operator,
        site="block_output",
        strength=DEFAULT_STRENGTH.get(operator),
        position="all" if position == "all" else "pooled",
        layers=layers,
    )


def removal_cells(s: Sources) -> Iterator[Cell]:
    """Top, bottom and random sets over all blocks, for every operator and ranking."""
    for operator in s.grid.operators:
        for fraction in s.grid.fractions:
            base = replace(_silence(operator), fraction=fraction)
            for name in s.grid.rankings:
                scores = s.rankings[name].scores[GLOBAL]
                ranked = replace(base, ranking=name, ranked_for=GLOBAL)
                yield replace(ranked, selection="top", neurons=top(scores, fraction, s.blocks))
                yield replace(
                    ranked, selection="bottom", neurons=bottom(scores, fraction, s.blocks)
                )
            yield from _random(s, base, s.counts(fraction, s.blocks))


def _random(s: Sources, base: Cell, counts: Mapping[int, int]) -> Iterator[Cell]:
    for draw in s.draws:
        yield replace(base, selection="random", draw=draw, neurons=s.twin(counts, draw))


def matched_cells(s: Sources) -> Iterator[Cell]:
    """Twins of the headline sets, matched in activation norm."""
    norms = [layer.norm for layer in s.statistics]
    for operator in HEADLINE:
        for fraction in s.grid.fractions:
            chosen = top(s.headline.scores[GLOBAL], fraction, s.blocks)
            base = replace(
                _silence(operator),
                fraction=fraction,
                ranking=s.headline.method,
                ranked_for=GLOBAL,
                selection="matched",
            )
            for draw in s.draws:
                twin = matched_draw(norms, chosen, draw, s.seed)
                yield replace(base, draw=draw, neurons=twin)


def keep_cells(s: Sources) -> Iterator[Cell]:
    """Everything but the kept fraction of each block is silenced."""
    for operator in HEADLINE:
        for fraction in s.grid.fractions:
            base = replace(_silence(operator), fraction=fraction)
            for name in s.grid.rankings:
                kept = top(s.rankings[name].scores[GLOBAL], fraction, s.blocks)
                rest = kept.complement(s.widths, s.blocks)
                ranked = replace(base, ranking=name, ranked_for=GLOBAL)
                yield replace(ranked, selection="keep_top", neurons=rest)
            for draw in s.draws:
                kept = s.twin(s.counts(fraction, s.blocks), draw)
                rest = kept.complement(s.widths, s.blocks)
                yield replace(base, selection="keep_random", draw=draw, neurons=rest)


def layer_cells(s: Sources) -> Iterator[Cell]:
    """Each layer alone (the embeddings included)."""
    for operator in HEADLINE:
        for layer in range(len(s.widths)):
            for fraction in s.grid.layer_fractions:
                base = replace(_silence(operator, str(layer)), fraction=fraction)
                for name in s.grid.rankings:
                    chosen = top(s.rankings[name].scores[GLOBAL], fraction, [layer])
                    ranked = replace(base, ranking=name, ranked_for=GLOBAL)
                    yield replace(ranked, selection="top", neurons=chosen)
                yield from _random(s, base, s.counts(fraction, [layer]))


def position_cells(s: Sources) -> Iterator[Cell]:
    """The same sets at every token position, not only the pooled one (mean only)."""
    scores = s.headline.scores[GLOBAL]
    for fraction in s.grid.position_fractions:
        base = replace(_silence("mean", position="all"), fraction=fraction)
        ranked = replace(base, ranking=s.headline.method, ranked_for=GLOBAL)
        yield replace(ranked, selection="top", neurons=top(scores, fraction, s.blocks))
        yield replace(ranked, selection="bottom", neurons=bottom(scores, fraction, s.blocks))
        yield from _random(s, base, s.counts(fraction, s.blocks))


def class_cells(s: Sources) -> Iterator[Cell]:
    """Each class's own top neurons, over all blocks and, where asked, in each layer alone."""
    for operator in HEADLINE:
        for name in s.ranked_classes:
            scores = s.headline.scores[name]
            ranked = replace(_silence(operator), ranking=s.headline.method, ranked_for=name)
            for fraction in s.grid.fractions:
                chosen = top(scores, fraction, s.blocks)
                yield replace(ranked, selection="top", fraction=fraction, neurons=chosen)
            for layer in range(len(s.widths)):
                for fraction in s.grid.class_layer_fractions:
                    chosen = top(scores, fraction, [layer])
                    alone = replace(ranked, layers=str(layer), fraction=fraction)
                    yield replace(alone, selection="top", neurons=chosen)


def exclusive_cells(s: Sources) -> Iterator[Cell]:
    """Each class's top neurons that are in no other class's top, with twins of the same counts."""
    by_class = {name: s.headline.scores[name] for name in s.ranked_classes}
    for operator in HEADLINE:
        for name in by_class:
            for fraction in s.grid.fractions:
                chosen = exclusive(by_class, name, fraction, s.blocks)
                if not len(chosen):
                    continue
                base = replace(
                    _silence(operator),
                    fraction=fraction,
                    ranking=s.headline.method,
                    ranked_for=name,
                )
                yield replace(base, selection="exclusive", neurons=chosen)


def constant_cells(s: Sources) -> Iterator[Cell]:
    """Candidate load-bearing constants (large mean, small spread), one at a time."""
    for layer, statistics in enumerate(s.statistics):
        typical = float(np.median(statistics.norm))
        size = np.abs(statistics.mean)
        steady = size >= CONSTANT_STEADINESS * statistics.spread
        for neuron in np.argsort(-size, kind="stable")[:CONSTANTS_PER_LAYER]:
            large = size[neuron] > 0 and size[neuron] >= CONSTANT_RATIO * typical
            if not (steady[neuron] and large):
                continue
            for operator in HEADLINE:
                yield replace(
                    _silence(operator, str(layer)),
                    selection="constant",
                    parameter=f"{layer}:{neuron}",
                    neurons=NeuronSet.of({layer: [int(neuron)]}),
                )
