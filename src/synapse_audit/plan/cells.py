"""Which experiments a grid means: one function per group of cells, listed in ``GROUPS``.

In: the grid, the rankings, and statistics over ``fit``. Out: cells in a fixed order. Twins are
shared: a random draw is the same set for every cell that takes the same number of neurons in each
layer. Adding an experiment = one function and one line in ``GROUPS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from synapse_audit.artifacts import ALL_LAYERS, GLOBAL, Cell, LayerStatistics, Ranking
from synapse_audit.config import Grid
from synapse_audit.edits import EDITS, HeadView
from synapse_audit.neurons import (
    NeuronSet,
    Scores,
    bottom,
    count,
    exclusive,
    matched_draw,
    random_draw,
    top,
)
from synapse_audit.operators import DEFAULT_STRENGTH

HEADLINE = ("mean", "zero")
"""The headline operator and the paper's, which always stands beside it."""

CONSTANT_RATIO = 1.5
"""A candidate constant's |mean| is at least so many times its layer's median norm ..."""

CONSTANT_STEADINESS = 4.0
"""... and so many times its own spread."""

CONSTANTS_PER_LAYER = 3

COLUMN_DRAWS = 5
"""Random column sets per push, at most: each cell holds a whole edit, and heads are cheap to run
but not to store."""


@dataclass(frozen=True)
class Sources:
    """All that cells are built from."""

    grid: Grid
    rankings: Mapping[str, Ranking]
    statistics: tuple[LayerStatistics, ...]
    """Per layer, layer 0 first."""
    head: HeadView
    column_scores: Mapping[str, Scores]
    """Class name → one array of scores of the head's inputs."""
    classes: tuple[str, ...]
    seed: int

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Neurons per layer."""
        return tuple(len(layer.mean) for layer in self.statistics)

    @property
    def blocks(self) -> tuple[int, ...]:
        """The layers that ``all`` means."""
        return tuple(range(1, len(self.widths)))

    @property
    def headline(self) -> Ranking:
        """The ranking that per-class and per-layer cells use."""
        return self.rankings[self.grid.rankings[0]]

    @property
    def ranked_classes(self) -> tuple[str, ...]:
        """Classes that ``fit`` holds: only these are ranked for."""
        return tuple(name for name in self.classes if name in self.headline.scores)

    @property
    def draws(self) -> range:
        """Numbers of the random draws."""
        return range(self.grid.draws)

    def twin(self, counts: Mapping[int, int], draw: int) -> NeuronSet:
        """The shared random draw with the given count per layer."""
        return random_draw(self.widths, counts, draw, self.seed)

    def counts(self, fraction: float, layers: Iterable[int]) -> dict[int, int]:
        """Neurons per layer that a fraction means."""
        return {m: count(fraction, self.widths[m]) for m in layers}


def build_cells(sources: Sources) -> tuple[Cell, ...]:
    """All cells of the grid, in a fixed order, without repeats."""
    cells = [cell for group in GROUPS for cell in group(sources) if _does_something(cell)]
    return tuple({cell.key: cell for cell in cells}.values())


def _does_something(cell: Cell) -> bool:
    """An edit of no weight (a share that rounds to no column, say) is no experiment."""
    return cell.edit is None or cell.edit.n_changed > 0


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


def weight_cells(s: Sources) -> Iterator[Cell]:
    """Targeted head push within each budget, beside random columns and the bias alone."""
    base = Cell(space="weight", operator="push", site="head_weight")
    every = np.arange(s.head.weight.shape[1])
    for target, name in enumerate(s.classes):
        for budget in s.grid.budgets:
            aimed = replace(base, target=name, strength=budget)
            edit = EDITS["bias"](s.head, target, every, budget)
            yield replace(aimed, operator="bias", parameter="bias", edit=edit)
            for share in s.grid.columns:
                ranked = top(s.column_scores[name], share, [0]).by_layer.get(0, every[:0])
                edit = EDITS["push"](s.head, target, ranked, budget)
                yield replace(
                    aimed,
                    fraction=share,
                    parameter="columns=ranked",
                    edit=edit,
                    ranking="probe",
                    ranked_for=name,
                    selection="top",
                )
                if share < 1.0:
                    yield from _random_pushes(
                        s, replace(aimed, fraction=share), target, len(ranked)
                    )


def _random_pushes(s: Sources, aimed: Cell, target: int, k: int) -> Iterator[Cell]:
    width = s.head.weight.shape[1]
    for draw in s.draws[:COLUMN_DRAWS]:
        columns = random_draw([width], {0: k}, draw, s.seed).by_layer.get(0, np.arange(0))
        edit = EDITS["push"](s.head, target, columns, aimed.strength or 0.0)
        yield replace(aimed, selection="random", draw=draw, parameter="columns=random", edit=edit)


def logit_cells(s: Sources) -> Iterator[Cell]:
    """A constant added to the target's logit; the margin curve answers all other constants."""
    base = Cell(space="logit", operator="shift", site="logits")
    for name in s.classes:
        for constant in s.grid.constants:
            yield replace(base, target=name, strength=constant, parameter="constant")


GROUPS: tuple[Callable[[Sources], Iterator[Cell]], ...] = (
    removal_cells,
    matched_cells,
    keep_cells,
    layer_cells,
    position_cells,
    class_cells,
    exclusive_cells,
    constant_cells,
    weight_cells,
    logit_cells,
)
