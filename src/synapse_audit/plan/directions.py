"""Cells that remove directions from one layer, beside random directions.

What is removed was found before (``pipeline.stages.directions``): here each set of directions
becomes a cell at its layer's output, at the pooled position. ``strength`` is the number of
directions, ``ranking`` how they were found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from synapse_audit.artifacts import Cell
from synapse_audit.neurons import NeuronSet
from synapse_audit.neurons.addresses import DEFAULT_SITE
from synapse_audit.plan.plan_inputs import Direction, PlanInputs

PROJECT = "project"


def direction_cells(s: PlanInputs) -> Iterator[Cell]:
    """One cell per set of directions."""
    for found in s.directions:
        everything = NeuronSet.of({found.layer: range(s.widths[found.layer])})
        yield replace(_at(found), neurons=everything, erasure=found.erasure)


def _at(found: Direction) -> Cell:
    return Cell(
        space="neuron",
        operator=PROJECT,
        site=DEFAULT_SITE,
        strength=float(found.erasure.rank),
        position="pooled",
        layers=str(found.layer),
        ranking=found.method,
        ranked_for=found.ranked_for,
        selection=found.selection,
        draw=found.draw,
    )
