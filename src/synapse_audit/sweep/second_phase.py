"""Which pairs of cell and example the second phase runs, from the stream and a pilot.

In: what the stream route said of all examples, and the exact route of a few cells on a few of them.
Out: for every pair its design weight, and which cells are estimated at all
(:mod:`synapse_audit.sweep.subsample` has the rule).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from synapse_audit.artifacts import Cell, Outcomes, Plan
from synapse_audit.memory import row_chunks
from synapse_audit.plan import TWO_PHASE
from synapse_audit.sweep.sampling import Sample
from synapse_audit.sweep.subsample import Need, Subsampling, edges_of, strata_of, stratum_rates


class Part(NamedTuple):
    """Cells that run on the same examples, and their rows among the outcomes."""

    cells: list[Cell]
    where: slice
    sample: Sample | None = None
    """None: all examples."""

    @property
    def columns(self) -> Int[np.ndarray, " met"] | None:
        """Places of the examples among all; None for all."""
        return None if self.sample is None else np.flatnonzero(self.sample.design_weight)


class SecondPhase(NamedTuple):
    """Which pairs of cell and example the second phase runs."""

    design_weight: Float[np.ndarray, "cells evaluate"]
    """1 over the chance of a pair to be run exactly, where it is run; 0 elsewhere; float32."""
    partial: Bool[np.ndarray, " cells"]
    """Cells that are estimated."""
    disagreement: Float[np.ndarray, " cells"]
    """Expected share of examples on which the routes name different classes."""
    error: Float[np.ndarray, " cells"]
    """Standard error of accuracy to be expected of the second phase."""

    def routed(self, plan: Plan, cells: Sequence[Cell]) -> Plan:
        """The plan with route ``two-phase`` for those of its cells that are estimated."""
        marked = zip(cells, self.partial, strict=True)
        estimated = {cell.action: TWO_PHASE for cell, estimated in marked if estimated}
        return replace(plan, routes={**plan.routes, **estimated})


NOTHING = SecondPhase(np.zeros((0, 0), np.float32), np.zeros(0, bool), np.zeros(0), np.zeros(0))
"""The second phase where no cell is estimated."""


def draw(
    chosen: Subsampling,
    cells: Sequence[Cell],
    stream: Outcomes,
    pilot: Outcomes,
    onto: Float[np.ndarray, "cells evaluate"] | None = None,
    *,
    parts: Sequence[Part] = (),
) -> SecondPhase:
    """Who is run exactly, from what the stream said of all and the exact route of the pilot.

    Args:
        cells: those that may be estimated, in the order of ``stream``.
        pilot: exact outcomes of some of them on ``chosen.tail``.
        onto: zeros on which the design weight is written; a new array where None.
        parts: those of the cells that met some of the examples only; all met all where empty.
    """
    tail = np.searchsorted(chosen.rows, chosen.tail)
    edges = edges_of(stream.margin[:, tail])
    tried = np.ix_(stream.rows(pilot.actions), tail)
    rates = _rates(cells, pilot, strata_of(stream.margin[tried], edges), stream.predicted[tried])
    # (cells, strata) → (cells, strata · bands): doubt decides the rate, length only the cost.
    rates = np.repeat(rates, len(chosen.costs), axis=1)
    needs = [chosen.need(cell.action) for cell in cells]
    design_weight = np.zeros(stream.margin.shape, np.float32) if onto is None else onto
    found = []
    for part in parts or (Part(list(cells), slice(0, len(cells))),):
        columns = np.arange(len(chosen.rows)) if part.columns is None else part.columns
        met = chosen if part.columns is None else chosen.take(columns)
        for some in row_chunks(len(part.cells), len(columns)):
            mine = np.arange(part.where.start, part.where.stop)[some]
            strata = strata_of(stream.margin[np.ix_(mine, columns)], edges)
            one = _chosen(met, strata, rates[mine], [needs[i] for i in mine])
            design_weight[np.ix_(mine, columns)] = one.design_weight
            found.append(one)
    columns_of = ([getattr(one, name) for one in found] for name in SecondPhase._fields[1:])
    return SecondPhase(design_weight, *map(np.concatenate, columns_of))


def _rates(
    cells: Sequence[Cell],
    pilot: Outcomes,
    strata: Int[np.ndarray, "tried pilot"],
    said: Num[np.ndarray, "tried pilot"],
) -> Float[np.ndarray, "cells strata"]:
    """How often the routes are expected to disagree; ``said``: the stream, of the pilot's pairs."""
    known = {cell.action: cell for cell in cells}
    tried = [known[action] for action in pilot.actions]
    return stratum_rates(cells, tried, strata, pilot.predicted != said)


def _chosen(
    met: Subsampling,
    strata: Int[np.ndarray, "cells met"],
    rates: Float[np.ndarray, "cells places"],
    needs: Sequence[Need],
) -> SecondPhase:
    """Some cells' second phase on the examples that they met."""
    places, total = met.places(strata), max(1, strata.shape[1])
    sizes = np.stack([(places == i).sum(axis=1) for i in range(rates.shape[1])], axis=1)
    shares = met.shares(sizes, rates, needs)
    weight = met.design_weight(shares, places, needs)
    expected = sizes * rates
    # Σ n · rate · (1/share − 1): see Subsampling.shares.
    error = np.sqrt((expected * (1 / shares - 1)).sum(axis=1)) / total
    return SecondPhase(weight, (weight != 1).any(axis=1), expected.sum(axis=1) / total, error)
