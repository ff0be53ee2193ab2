"""Cells of the operators that are not swept over the whole grid, and of those that aim at a class.

An aimed operator (class mean, translation, patching) moves neurons toward a class: the neuron
space's answer to the head push and to the logit constant, so it has a target and a redirect rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from synapse_audit.artifacts import GLOBAL, Cell
from synapse_audit.interventions.operators import AIMED
from synapse_audit.memory import row_chunks
from synapse_audit.neurons import NeuronSet
from synapse_audit.plan.neurons import best, silence, worst
from synapse_audit.plan.plan_inputs import PlanInputs

OTHER_DRAWS = 5
"""Random controls per set, at most."""


def other_operator_cells(s: PlanInputs) -> Iterator[Cell]:
    """Top, bottom and random sets under operators that remove or disturb."""
    scores = s.headline.scores[GLOBAL]
    for operator in s.grid.other_operators:
        if operator in AIMED:
            continue
        for fraction in s.grid.other_fractions:
            base = replace(silence(operator), fraction=fraction)
            ranked = replace(base, ranking=s.headline.method, ranked_for=GLOBAL)
            chosen = best(s.headline)(scores, fraction, s.blocks)
            rest = worst(s.headline)(scores, fraction, s.blocks)
            yield replace(ranked, selection="top", neurons=chosen)
            yield replace(ranked, selection="bottom", neurons=rest)
            yield from _random_controls(s, base, chosen)


def aimed_cells(s: PlanInputs) -> Iterator[Cell]:
    """Each class's own top neurons moved toward it, beside random sets moved likewise."""
    for operator in s.grid.other_operators:
        if operator not in AIMED:
            continue
        for name in s.ranked_classes:
            donor = nearest_to_mean(s, name) if operator == "patch" else None
            for fraction in s.grid.other_fractions:
                base = replace(silence(operator), fraction=fraction, target=name, donor=donor)
                chosen = best(s.headline)(s.headline.scores[name], fraction, s.blocks)
                yield replace(
                    base,
                    selection="top",
                    ranking=s.headline.method,
                    ranked_for=name,
                    neurons=chosen,
                )
                yield from _random_controls(s, base, chosen)


def nearest_to_mean(s: PlanInputs, name: str) -> int:
    """Position in ``fit`` of the example nearest to a class's mean at the last layer.

    Its neighbours decide nothing about its own label; in a model that separates the classes it is
    a member.

    Raises:
        ValueError: the statistics hold neither single values nor class means.
    """
    last = s.statistics[-1]
    if last.bank is None or last.class_means is None:
        raise ValueError("statistics of the pooled position hold single values and class means")
    distances = [
        np.linalg.norm(last.bank[some] - last.class_means[name], axis=1)
        for some in row_chunks(*last.bank.shape)
    ]
    return int(np.concatenate(distances).argmin())


def _random_controls(s: PlanInputs, base: Cell, chosen: NeuronSet) -> Iterator[Cell]:
    """Random sets with as many neurons in each layer.

    Where the headline ranking takes its sets across layers they carry its name, as those of the
    removal curves do: the sets that all rankings share have other numbers in each layer.
    """
    if s.headline.across:
        base = replace(base, ranking=s.headline.method, ranked_for=base.target)
    for draw in s.draws[:OTHER_DRAWS]:
        neurons = s.random_control(chosen.counts, draw)
        yield replace(base, selection="random", draw=draw, neurons=neurons)
