"""Cells of the SYNAPSE paper's protocol that the standard grid has none of.

Silencing over the 18 fractions, per class and exclusive, is the standard grid with the ranking
``paper``; the head push and its noise are in :mod:`synapse_audit.plan.weights`, the attacks on
embeddings in :mod:`synapse_audit.plan.inputs`. Here: noise and attenuation at the published sizes,
and exclusive sets by weight mass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Literal, NamedTuple

from synapse_audit.artifacts import ALL_LAYERS, GLOBAL, Cell
from synapse_audit.neurons import count, exclusive, mass_across, random_across, top_across
from synapse_audit.plan.plan_inputs import PlanInputs

RANKING = "paper"

RANDOM_CONTROLS = 5
"""Random controls per setting, at most."""

UNMATCHED = "drawn over all blocks"
UNMATCHED_DRAWS = 10

MASS = 0.1
"""Share of a class's weight mass that its own set covers."""

SILENCED = ("zero", "mean")
"""The paper's operator, and the one that keeps the operating point."""


class Setting(NamedTuple):
    """One published disturbance of the top neurons of all blocks."""

    name: str
    operator: str
    strength: float
    """σ of the noise; the factor that attenuation by α leaves, 1 − α."""
    fraction: float
    position: Literal["pooled", "all"]


SETTINGS = (
    Setting("noise on the top 60 %", "gaussian", 0.9, 0.6, "pooled"),
    Setting("noise on the top 10 % of every token", "gaussian", 0.1, 0.1, "all"),
    *(
        Setting("noise on every neuron", "gaussian", sigma, 1.0, "pooled")
        for sigma in (0.02, 0.05, 0.1, 0.2, 0.4)
    ),
    *(
        Setting("attenuation of the top 20 %", "scale", 1 - alpha, 0.2, "pooled")
        for alpha in (0.1, 0.2, 0.4)
    ),
)


def setting_cells(s: PlanInputs) -> Iterator[Cell]:
    """Every setting, with random controls where it leaves neurons out; none unless asked for."""
    if not s.grid.paper:
        return
    scores = s.rankings[RANKING].scores[GLOBAL]
    for setting in SETTINGS:
        chosen = top_across(scores, setting.fraction, s.blocks)
        base = Cell(
            space="neuron",
            operator=setting.operator,
            site="block_output",
            strength=setting.strength,
            position=setting.position,
            layers=ALL_LAYERS,
            ranking=RANKING,
            ranked_for=GLOBAL,
            fraction=setting.fraction,
            setting=setting.name,
        )
        yield replace(base, selection="top", neurons=chosen)
        if setting.fraction < 1:
            yield from _random_controls(s, base, chosen.counts)


def exclusive_mass_cells(s: PlanInputs) -> Iterator[Cell]:
    """Each class's set of a tenth of its weight mass, without the other classes' such sets.

    ``fraction`` is the share of the blocks' neurons that the set turned out to be. A class whose
    every neuron another class holds too has no cell. None unless the paper's settings are asked
    for.
    """
    if not s.grid.paper:
        return
    scores = s.rankings[RANKING].scores
    by_class = {name: scores[name] for name in s.classes if name in scores}
    for name in by_class:
        chosen = exclusive(by_class, name, MASS, s.blocks, choose=mass_across)
        if not len(chosen):
            continue
        for operator in SILENCED:
            base = Cell(
                space="neuron",
                operator=operator,
                site="block_output",
                position="pooled",
                layers=ALL_LAYERS,
                ranking=RANKING,
                ranked_for=name,
                fraction=len(chosen) / sum(s.widths[m] for m in s.blocks),
                setting=f"{MASS:g} of the weight mass",
            )
            yield replace(base, selection="exclusive_mass", neurons=chosen)
            yield from _random_controls(s, base, chosen.counts)


def control_cells(s: PlanInputs) -> Iterator[Cell]:
    """The authors' own control (July 2026): random sets drawn over all blocks together.

    As many neurons as the ranking's, but spread evenly over the blocks where the ranking's lie in
    the last ones, which is what explains large z-scores. None unless the paper's settings are
    asked for.
    """
    if not s.grid.paper:
        return
    total = sum(s.widths[m] for m in s.blocks)
    for operator in SILENCED:
        for fraction in s.grid.fractions:
            base = Cell(
                space="neuron",
                operator=operator,
                site="block_output",
                position="pooled",
                layers=ALL_LAYERS,
                selection="random",
                fraction=fraction,
                setting=UNMATCHED,
            )
            for draw in s.draws[:UNMATCHED_DRAWS]:
                chosen = random_across(s.widths, s.blocks, count(fraction, total), draw, s.seed)
                yield replace(base, draw=draw, neurons=chosen)


def _random_controls(s: PlanInputs, base: Cell, counts: Mapping[int, int]) -> Iterator[Cell]:
    """Random sets with as many neurons in each layer."""
    for draw in s.draws[:RANDOM_CONTROLS]:
        yield replace(base, selection="random", draw=draw, neurons=s.random_control(counts, draw))
