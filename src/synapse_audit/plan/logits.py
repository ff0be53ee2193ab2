"""Cells that change all logits in the same way: their scale, and noise on them.

Shifts of one class's logit are in :mod:`synapse_audit.plan.head`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from synapse_audit.artifacts import Cell
from synapse_audit.plan.plan_inputs import PlanInputs

NOISE_DRAWS = 5
"""Draws of the noise per standard deviation, at most."""


def temperature_cells(s: PlanInputs) -> Iterator[Cell]:
    """All logits divided by a temperature: predictions stay, probabilities change."""
    for value in s.grid.temperatures:
        yield Cell(space="logit", operator="temperature", site="logits", strength=value)


def logit_noise_cells(s: PlanInputs) -> Iterator[Cell]:
    """Gaussian noise on every logit, in several draws."""
    base = Cell(space="logit", operator="noise", site="logits")
    for sigma in s.grid.logit_noise:
        for draw in s.draws[:NOISE_DRAWS]:
            yield replace(base, strength=sigma, draw=draw)
