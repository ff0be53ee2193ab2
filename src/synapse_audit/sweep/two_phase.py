"""Two phases: the stream route on all examples, the exact route where it may say otherwise.

For a pooled-position cell below the last two layers the stream route is no longer exact, but it
costs a tenth, and often predicts the same classes. So it serves as a control variate (Cochran 1977,
chapter 12; :mod:`synapse_audit.effects.two_phase` makes the estimate), and the exact route is run
on a random subsample of each cell's examples, dense where the stream is in doubt
(:mod:`synapse_audit.sweep.subsample`), so that the half width that the second phase adds to
accuracy stays below ``precision``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from synapse_audit.artifacts import Cell, Direct, Outcomes, Plan
from synapse_audit.memory import Allocate, in_memory, row_chunks
from synapse_audit.model import Encoded
from synapse_audit.plan import STREAM, SUFFIX, TWO_PHASE
from synapse_audit.progress import Progress
from synapse_audit.sweep.engine import Engine
from synapse_audit.sweep.pairs import may_pair
from synapse_audit.sweep.running import Execute, UnitStore, blank, sweep
from synapse_audit.sweep.score import Scores
from synapse_audit.sweep.subsample import (
    Subsampling,
    edges_of,
    pilot_cells,
    strata_of,
    stratum_rates,
)


def eligible(plan: Plan, cell: Cell) -> bool:
    """Whether stream can stand in for a cell: suffix route, pooled position."""
    return plan.routes[cell.action] == SUFFIX and may_pair(cell)


def sweep_two_phase(
    engine: Engine,
    encoded: Encoded,
    plan: Plan,
    labels: Int[np.ndarray, " examples"],
    *,
    chosen: Subsampling,
    batch_size: int | None = None,
    unit_store: UnitStore | None = None,
    progress: Progress,
    execute: Execute | None = None,
    allocate: Allocate = in_memory,
) -> tuple[Plan, Outcomes]:
    """Runs the plan on the examples of ``chosen``, estimating where that is precise enough.

    Args:
        allocate: where the outcomes' large arrays lie; those of ``direct`` are named direct_*.

    Returns:
        The plan with route ``two-phase`` for the cells that were estimated, and the outcomes.
    """
    first = [cell for cell in plan.actions if eligible(plan, cell)]
    rest = [cell for cell in plan.actions if not eligible(plan, cell)]
    options = {"batch_size": batch_size, "unit_store": unit_store, "execute": execute}
    stage = _Stage(engine, encoded, labels, plan.routes, progress, options)
    board = blank(len(first) + len(rest), len(chosen.rows), engine.benign, allocate)
    upper, lower = _part(board, slice(len(first))), _part(board, slice(len(first), None))

    exact = stage("exact cells", rest, chosen.rows, onto=lower)
    if not first:
        return plan, exact
    stream = stage("first phase", first, chosen.rows, STREAM, onto=upper)
    pilot = stage("pilot", pilot_cells(first), chosen.tail)
    design_weight = allocate("direct_design_weight", board["predicted"].shape, np.float32)
    design_weight[len(first) :] = 1
    sample = draw(chosen, first, stream, pilot, onto=design_weight[: len(first)])
    direct = _direct(board, design_weight, sample, allocate)
    # From here on exact outcomes are written over the stream's.
    stage("second phase", first, chosen.rows, wanted=sample.design_weight, onto=upper)
    estimated = {first[i].action: TWO_PHASE for i in np.flatnonzero(sample.partial)}
    found = Outcomes((*stream.actions, *exact.actions), **board, direct=direct)
    return replace(plan, routes={**plan.routes, **estimated}), found


@dataclass(frozen=True)
class _Stage:
    """A sweep over some of the cells and examples, under a title of its own."""

    engine: Engine
    encoded: Encoded
    labels: Int[np.ndarray, " examples"]
    routes: Mapping[str, str]
    progress: Progress
    options: Mapping[str, Any]

    def __call__(
        self,
        title: str,
        cells: Sequence[Cell],
        on: Int[np.ndarray, " some"],
        route: str | None = None,
        *,
        wanted: Float[np.ndarray, "cells some"] | None = None,
        onto: Scores | None = None,
    ) -> Outcomes:
        """``route``: of all cells, instead of the planned ones."""
        planned = {cell.action: route or self.routes[cell.action] for cell in cells}
        pairs = len(cells) * len(on) if wanted is None else int(np.count_nonzero(wanted))
        with self.progress.stage(title, max(1, pairs)) as advance:
            return sweep(
                self.engine,
                self.encoded,
                Plan(tuple(cells), planned),
                self.labels,
                rows=on,
                wanted=wanted,
                onto=onto,
                progress=advance,
                **self.options,
            )


def _part(board: Scores, rows: slice) -> Scores:
    """Some rows of every array: views, on which a sweep writes."""
    return {name: values[rows] for name, values in board.items()}


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


def draw(
    chosen: Subsampling,
    cells: Sequence[Cell],
    stream: Outcomes,
    pilot: Outcomes,
    onto: Float[np.ndarray, "cells evaluate"] | None = None,
) -> SecondPhase:
    """Who is run exactly, from what the stream said of all and the exact route of the pilot.

    Args:
        cells: those that may be estimated, in the order of ``stream``.
        pilot: exact outcomes of some of them on ``chosen.tail``.
        onto: zeros on which the design weight is written; a new array where None.
    """
    known = {cell.action: cell for cell in cells}
    tail = np.searchsorted(chosen.rows, chosen.tail)
    edges = edges_of(stream.margin[:, tail])
    tried = np.ix_(stream.rows(pilot.actions), tail)
    rates = stratum_rates(
        cells,
        [known[action] for action in pilot.actions],
        strata_of(stream.margin[tried], edges),
        pilot.predicted != stream.predicted[tried],
    )
    # (cells, strata) → (cells, strata · bands): doubt decides the rate, length only the cost.
    rates = np.repeat(rates, len(chosen.costs), axis=1)
    design_weight = np.zeros(stream.margin.shape, np.float32) if onto is None else onto
    partial, disagreement, error = [], [], []
    for some in row_chunks(*design_weight.shape):
        # places (cells, examples); sizes and shares (cells, places).
        places = chosen.places(strata_of(stream.margin[some], edges))
        sizes = np.stack([(places == i).sum(axis=1) for i in range(rates.shape[1])], axis=1)
        shares, expected = chosen.shares(sizes, rates[some]), sizes * rates[some]
        design_weight[some] = chosen.design_weight(shares, places)
        partial.append((design_weight[some] != 1).any(axis=1))
        disagreement.append(expected.sum(axis=1))
        # Σ n · rate · (1/share − 1): see Subsampling.shares.
        error.append(np.sqrt((expected * (1 / shares - 1)).sum(axis=1)))
    total = max(1, len(chosen.rows))
    columns = (np.concatenate(parts) for parts in (disagreement, error))
    return SecondPhase(
        design_weight, np.concatenate(partial), *(column / total for column in columns)
    )


def _direct(
    board: Scores,
    design_weight: Float[np.ndarray, "actions evaluate"],
    sample: SecondPhase,
    allocate: Allocate,
) -> Direct:
    """What the stream said, before exact outcomes are written over it.

    ``sample``: of the first rows of ``design_weight``, which has all.
    """
    shape = design_weight.shape
    kept = {n: allocate(f"direct_{n}", shape, board[n].dtype.type) for n in ("predicted", "kl")}
    for name, values in kept.items():
        values[:] = board[name]
    more = np.zeros(len(design_weight) - len(sample.partial))
    return Direct(
        design_weight=design_weight,
        predicted=kept["predicted"],
        kl=kept["kl"],
        disagreement=np.concatenate([sample.disagreement, more]),
        error=np.concatenate([sample.error, more]),
    )
