"""Cells that edit the head's last layer or the logits themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from synapse_audit.artifacts import Cell
from synapse_audit.interventions.edits import EDITS, switch
from synapse_audit.neurons import random_draw, top
from synapse_audit.plan.plan_inputs import PlanInputs

COLUMN_DRAWS = 5
"""Random column sets per push, at most: each cell holds a whole edit, and heads are cheap to run
but not to store."""


def weight_cells(s: PlanInputs) -> Iterator[Cell]:
    """Targeted head push within each budget, beside random columns and the bias alone.

    Labels that are decided one by one are switched on and off instead: :func:`switch_cells`.
    """
    if s.head.several:
        yield from switch_cells(s)
        return
    base = Cell(space="weight", operator="push", site="head_weight")
    every = np.arange(s.head.weight.shape[1])
    for target, name in s.own:
        for budget in s.grid.budgets:
            aimed = replace(base, target=name, strength=budget)
            if s.head.bias is not None:  # decoders' heads have none
                edit = EDITS["bias"](s.head, target, every, budget)
                yield replace(aimed, operator="bias", edit=edit)
            for share in s.grid.columns:
                ranked = top(s.column_scores[name], share, [0]).by_layer.get(0, every[:0])
                edit = EDITS["push"](s.head, target, ranked, budget)
                yield replace(
                    aimed,
                    fraction=share,
                    edit=edit,
                    ranking="probe",
                    ranked_for=name,
                    selection="top",
                )
                if share < 1.0:
                    yield from _random_pushes(
                        s, replace(aimed, fraction=share), target, len(ranked)
                    )


def switch_cells(s: PlanInputs) -> Iterator[Cell]:
    """Each label pushed on (``target``) and off (``source``), each beside one random direction."""
    base = Cell(space="weight", operator="push", site="head_weight")
    for label, name in enumerate(s.classes):
        for on in (True, False):
            for budget in s.grid.budgets:
                aimed = replace(
                    base,
                    target=name if on else None,
                    source=None if on else name,
                    strength=budget,
                )
                edit = switch(s.head, label, budget, on=on)
                yield replace(aimed, selection="top", edit=edit)
                order = np.random.default_rng([s.seed, label]).permutation(s.head.weight.shape[1])
                edit = switch(s.head, label, budget, on=on, order=order)
                yield replace(aimed, selection="random", draw=0, edit=edit)


def _random_pushes(s: PlanInputs, aimed: Cell, target: int, k: int) -> Iterator[Cell]:
    width = s.head.weight.shape[1]
    for draw in s.draws[:COLUMN_DRAWS]:
        columns = random_draw([width], {0: k}, draw, s.seed).by_layer.get(0, np.arange(0))
        edit = EDITS["push"](s.head, target, columns, aimed.strength or 0.0)
        yield replace(aimed, selection="random", draw=draw, edit=edit)


def logit_cells(s: PlanInputs) -> Iterator[Cell]:
    """A constant added to the target's logit; the margin curve answers all other constants."""
    base = Cell(space="logit", operator="shift", site="logits")
    for _, name in s.own:
        for constant in s.grid.constants:
            yield replace(base, target=name, strength=constant)
