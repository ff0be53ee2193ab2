"""Cells that silence exactly the neurons that somebody named, beside random controls.

A cell rewrites one site, so neurons of several sites become one set per site. ``addresses``
(:mod:`synapse_audit.neurons.addresses`) names the set in its own cells and in those of its random
controls, so that each set finds its own. A random control has as many neurons in each layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from synapse_audit.artifacts import SILENCING, Cell
from synapse_audit.neurons import NeuronSet, random_draw
from synapse_audit.neurons.addresses import format_addresses
from synapse_audit.plan.neurons import silence
from synapse_audit.plan.plan_inputs import PlanInputs


def named_neuron_cells(s: PlanInputs) -> Iterator[Cell]:
    """Mean, zero and the grid's operators on the named neurons of each site, and on their random
    controls."""
    for site, given in s.given.items():
        for operator in dict.fromkeys((*SILENCING, *s.grid.operators)):
            base = replace(
                silence(operator, layers_of(given.neurons)),
                site=site,
                addresses=format_addresses(given.neurons, site),
            )
            yield replace(base, selection="given", neurons=given.neurons)
            for draw in s.draws:
                random_control = random_draw(given.widths, given.neurons.counts, draw, s.seed)
                yield replace(base, selection="random", draw=draw, neurons=random_control)


def layers_of(neurons: NeuronSet) -> str:
    """The ``layers`` of a set: its layers with commas between them."""
    return ",".join(map(str, neurons.layers))
