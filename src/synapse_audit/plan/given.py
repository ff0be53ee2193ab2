"""Cells that silence exactly the neurons that somebody named, beside random twins.

A cell rewrites one site, so neurons of several sites become one set per site. ``addresses``
(:mod:`synapse_audit.addresses`) names the set in its own cells and in those of its twins, so that
each set finds its own. A twin has as many neurons in each layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from synapse_audit.addresses import format_addresses
from synapse_audit.artifacts import SILENCING, Cell
from synapse_audit.neurons import NeuronSet, random_draw
from synapse_audit.plan.neurons import silence
from synapse_audit.plan.sources import Sources


def given_cells(s: Sources) -> Iterator[Cell]:
    """Mean, zero and the grid's operators on the named neurons of each site, and on their twins."""
    for site, given in s.given.items():
        for operator in dict.fromkeys((*SILENCING, *s.grid.operators)):
            base = replace(
                silence(operator, layers_of(given.neurons)),
                site=site,
                addresses=format_addresses(given.neurons, site),
            )
            yield replace(base, selection="given", neurons=given.neurons)
            for draw in s.draws:
                twin = random_draw(given.widths, given.neurons.counts, draw, s.seed)
                yield replace(base, selection="random", draw=draw, neurons=twin)


def layers_of(neurons: NeuronSet) -> str:
    """The ``layers`` of a set: its layers with commas between them."""
    return ",".join(map(str, neurons.layers))
