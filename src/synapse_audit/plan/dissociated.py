"""Cells that put the difference between readable and used to the test.

Readable neurons that the attributions pass over should be cheap to silence; used neurons that the
probe passes over should not. Their random controls are the random draws of the removal curves: same
operator, same fraction, so the same number of neurons in each layer.
"""

from __future__ import annotations

from collections.abc import Iterator

from synapse_audit.artifacts import ALL_LAYERS, GLOBAL, SILENCING, Cell
from synapse_audit.neurons import top
from synapse_audit.neurons.dissociation import READABLE, contrasts, used
from synapse_audit.plan.plan_inputs import PlanInputs

LARGEST = 0.3
"""Beyond this share of a layer no set can be high in one ranking and low in the other."""


def dissociated_cells(s: PlanInputs) -> Iterator[Cell]:
    """Sets on which probe and attribution part most, over all blocks; none without attributions."""
    name = used(s.rankings)
    if name is None:
        return
    readable, other = s.rankings[READABLE].scores[GLOBAL], s.rankings[name].scores[GLOBAL]
    for operator in SILENCING:
        for fraction in s.grid.fractions:
            if operator not in s.grid.operators or fraction > LARGEST:
                continue
            for selection, scores in contrasts(readable, other).items():
                yield Cell(
                    space="neuron",
                    operator=operator,
                    site="block_output",
                    position="pooled",
                    layers=ALL_LAYERS,
                    ranking=READABLE,
                    ranked_for=GLOBAL,
                    selection=selection,
                    fraction=fraction,
                    used=name,
                    neurons=top(scores, fraction, s.blocks),
                )
