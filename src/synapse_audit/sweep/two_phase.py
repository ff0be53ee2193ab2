"""Two phases: the stream route on all examples, the exact route where it may say otherwise.

For a pooled-position cell below the last two layers the stream route is no longer exact, but it
costs a tenth, and often predicts the same classes. So it serves as a control variate (Cochran 1977,
chapter 12; :mod:`synapse_audit.metrics.two_phase` makes the estimate), and the exact route is run
on a random subsample of each cell's examples, dense where the stream is in doubt
(:mod:`synapse_audit.sweep.subsample`), so that the half width that the second phase adds to
accuracy stays below ``precision``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from synapse_audit.artifacts import Cell, Direct, Outcomes, Plan
from synapse_audit.classifier import Encoded
from synapse_audit.plan import STREAM, SUFFIX, TWO_PHASE
from synapse_audit.progress import Progress
from synapse_audit.sweep.engine import Engine
from synapse_audit.sweep.pairs import may_pair
from synapse_audit.sweep.running import Execute, Shelf, sweep
from synapse_audit.sweep.score import BENIGN, FIELDS
from synapse_audit.sweep.subsample import Subsampling, pilot_cells, strata_of, stratum_rates


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
    batch_size: int | None,
    shelf: Shelf,
    progress: Progress,
    execute: Execute | None = None,
) -> tuple[Plan, Outcomes]:
    """Runs the plan on the examples of ``chosen``, estimating where that is precise enough.

    Returns:
        The plan with route ``two-phase`` for the cells that were estimated, and the outcomes.
    """
    options: dict[str, Any] = {"batch_size": batch_size, "shelf": shelf, "execute": execute}

    def stage(
        title: str,
        cells: Sequence[Cell],
        route: str | None,
        *,
        on: Int[np.ndarray, " some"] = chosen.rows,
        wanted: Bool[np.ndarray, "cells some"] | None = None,
    ) -> Outcomes:
        routes = plan.routes if route is None else {cell.action: route for cell in cells}
        pairs = len(cells) * len(on) if wanted is None else int(wanted.sum())
        with progress.stage(title, max(1, pairs)) as advance:
            return sweep(
                engine,
                encoded,
                Plan(tuple(cells), routes),
                labels,
                rows=on,
                wanted=wanted,
                progress=advance,
                **options,
            )

    first = [cell for cell in plan.actions if eligible(plan, cell)]
    rest = stage("exact cells", [c for c in plan.actions if not eligible(plan, c)], None)
    if not first:
        return plan, rest
    stream = stage("first phase", first, STREAM)
    tried = pilot_cells(first)
    sample = draw(chosen, first, stream, stage("pilot", tried, SUFFIX, on=chosen.tail))
    board = _Board(stream, sample)
    board.put(stage("second phase", first, SUFFIX, wanted=sample.wanted))
    estimated = {first[i].action: TWO_PHASE for i in np.flatnonzero(sample.partial)}
    return replace(plan, routes={**plan.routes, **estimated}), _join(board, rest)


class Sample(NamedTuple):
    """Which pairs of cell and example the second phase runs."""

    share: Float[np.ndarray, "cells evaluate"]
    """Chance of each pair to be run exactly, float32."""
    wanted: Bool[np.ndarray, "cells evaluate"]
    disagreement: Float[np.ndarray, " cells"]
    """Expected share of examples on which the routes name different classes."""
    error: Float[np.ndarray, " cells"]
    """Standard error of accuracy to be expected of the second phase."""

    @property
    def partial(self) -> Bool[np.ndarray, " cells"]:
        """Cells that are estimated."""
        return np.asarray((self.share < 1).any(axis=1))


def draw(chosen: Subsampling, cells: Sequence[Cell], stream: Outcomes, pilot: Outcomes) -> Sample:
    """Who is run exactly, from what the stream said of all and the exact route of the pilot.

    Args:
        cells: those that may be estimated, in the order of ``stream``.
        pilot: exact outcomes of some of them on ``chosen.tail``.
    """
    strata = strata_of(stream.margin)
    known = {cell.action: cell for cell in cells}
    tried = stream.rows(pilot.actions)
    tail = np.ix_(tried, np.searchsorted(chosen.rows, chosen.tail))
    rates = stratum_rates(
        cells,
        [known[action] for action in pilot.actions],
        strata[tail],
        pilot.predicted != stream.predicted[tail],
    )
    sizes = np.stack([(strata == s).sum(axis=1) for s in range(rates.shape[1])], axis=1)
    shares = chosen.shares(sizes, rates)
    share = np.take_along_axis(shares.astype(np.float32), strata, axis=1)
    total, expected = max(1, len(chosen.rows)), sizes * rates
    error = np.sqrt((expected * (1 / shares - 1)).sum(axis=1)) / total
    return Sample(share, chosen.numbers < share, expected.sum(axis=1) / total, error)


class _Board:
    """Stream outcomes on which exact ones are written, pair by pair."""

    def __init__(self, stream: Outcomes, sample: Sample) -> None:
        self.stream, self.sample = stream, sample
        found = {name: getattr(stream, name) for name in (*FIELDS, BENIGN)}
        self.values = {name: values.copy() for name, values in found.items() if values is not None}

    def put(self, found: Outcomes) -> None:
        """Writes exact outcomes where they were wanted."""
        wanted = self.sample.wanted
        for name, values in self.values.items():
            values[wanted] = getattr(found, name)[wanted]


def _join(board: _Board, rest: Outcomes) -> Outcomes:
    """Estimated and exact actions in one table."""
    stream, sample = board.stream, board.sample
    values: dict[str, Any] = {
        name: np.concatenate([found, getattr(rest, name)]) for name, found in board.values.items()
    }
    every = np.ones(rest.predicted.shape, dtype=np.float32)
    growth = np.where(sample.wanted, 1 / sample.share, 0).astype(np.float32)
    direct = Direct(
        growth=np.concatenate([growth, every]),
        predicted=np.concatenate([stream.predicted, rest.predicted]),
        kl=np.concatenate([stream.kl, rest.kl]),
        disagreement=np.concatenate([sample.disagreement, np.zeros(len(rest.actions))]),
        error=np.concatenate([sample.error, np.zeros(len(rest.actions))]),
    )
    return Outcomes((*stream.actions, *rest.actions), **values, direct=direct)
