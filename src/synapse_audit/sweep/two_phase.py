"""Two phases: the stream route on all examples, the exact route where it may say otherwise.

For a pooled-position cell below the last two layers the stream route is no longer exact, but it
costs a tenth, and often predicts the same classes. So it serves as a control variate (Cochran 1977,
chapter 12; :mod:`synapse_audit.effects.two_phase` makes the estimate), and the exact route is run
on a random subsample of each cell's examples, dense where the stream is in doubt
(:mod:`synapse_audit.sweep.subsample`), so that the half width that the second phase adds to
accuracy stays below ``precision``.

Cells for which nothing cheap stands in may run on a sample of the examples
(:mod:`synapse_audit.sweep.sampling`).
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
from synapse_audit.sweep.sampling import Sample, Sampled, sample_numbers
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
    sampled: Sequence[Sampled] = (),
    first_phase: Engine | None = None,
    batch_size: int | None = None,
    unit_store: UnitStore | None = None,
    progress: Progress,
    execute: Execute | None = None,
    allocate: Allocate = in_memory,
) -> tuple[Plan, Outcomes]:
    """Runs the plan on the examples of ``chosen``, estimating where that is precise enough.

    Args:
        sampled: actions that run on a sample of these examples only.
        first_phase: a cheaper engine for it, which the second phase corrects; the same where None.
        allocate: where the outcomes' large arrays lie; those of ``direct`` are named direct_*.

    Returns:
        The plan with route ``two-phase`` for the cells that were estimated, and the outcomes.
    """
    groups = _groups(plan, chosen, sampled)
    first = groups.first
    options = {"batch_size": batch_size, "unit_store": unit_store, "execute": execute}
    stage = _Stage(engine, encoded, labels, plan.routes, progress, options)
    board = blank(len(plan.actions), len(chosen.rows), engine.benign, allocate)
    upper = _part(board, slice(len(first)))

    for part in groups.exact:
        _run(stage, "exact cells", part, _part(board, part.where), chosen)
    if not first and all(part.sample is None for part in groups.exact):
        actions = tuple(cell.action for cell in groups.cells)
        return plan, _outcomes(actions, board)
    cheap = replace(stage, engine=first_phase or engine)
    for part in groups.estimated:
        _run(cheap, "first phase", part, _part(board, part.where), chosen, STREAM)
    design_weight = allocate("direct_design_weight", board["predicted"].shape, np.float32)
    second = NOTHING
    if first:
        pilot = stage("pilot", pilot_cells(first), chosen.tail)
        stream = _outcomes(tuple(cell.action for cell in first), upper)
        mine = design_weight[: len(first)]
        second = draw(chosen, first, stream, pilot, onto=mine, parts=groups.estimated)
    direct = _direct(board, design_weight, second, groups.alone, allocate)
    if first:
        # From here on exact outcomes are written over the stream's.
        wanted = second.design_weight
        stage("second phase", first, chosen.rows, wanted=wanted, onto=upper)
    design_weight[len(first) :] = 1
    for part in (*groups.estimated, *groups.exact):
        if part.sample is not None:
            design_weight[part.where] *= part.sample.design_weight
    partial = {first[i].action: TWO_PHASE for i in np.flatnonzero(second.partial)}
    actions = tuple(cell.action for cell in groups.cells)
    direct = replace(direct, **_samples(sampled, actions))
    found = replace(_outcomes(actions, board), direct=direct)
    return replace(plan, routes={**plan.routes, **partial}), found


def _outcomes(actions: tuple[str, ...], scores: Scores) -> Outcomes:
    fields: dict[str, Any] = {**scores}
    return Outcomes(actions, **fields)


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


class _Groups(NamedTuple):
    """The actions of a plan by how they run, in the order of the outcomes' rows."""

    estimated: list[Part]
    """In two phases: on all examples, then on each sample."""
    exact: list[Part]

    @property
    def alone(self) -> int:
        """The row from which actions run exactly on a sample alone."""
        starts = [part.where.start for part in self.exact if part.sample is not None]
        return min(starts, default=len(self.cells))

    @property
    def first(self) -> list[Cell]:
        return [cell for part in self.estimated for cell in part.cells]

    @property
    def cells(self) -> list[Cell]:
        return [*self.first, *(cell for part in self.exact for cell in part.cells)]


def _groups(plan: Plan, chosen: Subsampling, sampled: Sequence[Sampled]) -> _Groups:
    samples = {action: i for i, one in enumerate(sampled) for action in one.actions}
    lists: dict[tuple[bool, int], list[Cell]] = {(False, -1): [], (True, -1): []}
    for cell in plan.actions:
        exact = chosen.all_exact or not eligible(plan, cell)
        lists.setdefault((exact, samples.get(cell.action, -1)), []).append(cell)
    parts: dict[bool, list[Part]] = {False: [], True: []}
    start = 0
    for (exact, number), cells in sorted(lists.items(), key=lambda item: item[0]):
        sample = None if number < 0 else sampled[number].sample
        parts[exact].append(Part(cells, slice(start, start + len(cells)), sample))
        start += len(cells)
    return _Groups(parts[False], parts[True])


def _run(
    stage: _Stage,
    title: str,
    part: Part,
    onto: Scores,
    chosen: Subsampling,
    route: str | None = None,
) -> None:
    """Runs a part; where it has a sample, the clean answer or nothing stands elsewhere."""
    if part.sample is None:
        stage(title, part.cells, chosen.rows, route, onto=onto)
    elif part.cells:
        found = stage(f"{title} on a sample", part.cells, part.sample.rows, route)
        for name, values in onto.items():
            values[:] = (
                part.sample.predicted if name == "predicted" else ELSEWHERE.get(name, np.nan)
            )
            values[:, part.columns] = getattr(found, name)


def _samples(sampled: Sequence[Sampled], actions: Sequence[str]) -> dict[str, np.ndarray]:
    """Which action ran on which sample; empty where none did."""
    if not sampled:
        return {}
    return {
        "sample": sample_numbers(sampled, actions),
        "strata": np.stack([one.sample.strata for one in sampled]).astype(np.int32),
        "inclusion": np.stack([one.sample.design_weight for one in sampled]),
    }


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


NOTHING = SecondPhase(np.zeros((0, 0), np.float32), np.zeros(0, bool), np.zeros(0), np.zeros(0))
"""The second phase where no cell is estimated."""

ELSEWHERE = {"kl": 0.0}
"""What stands where a sampled cell did not run: the untouched model has no divergence from itself;
other numbers are unknown."""


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
    pooled = [chosen.pools.get(cell.action) for cell in cells]
    design_weight = np.zeros(stream.margin.shape, np.float32) if onto is None else onto
    partial, disagreement, error = [], [], []
    for part in parts or (Part(list(cells), slice(0, len(cells))),):
        columns = np.arange(len(chosen.rows)) if part.columns is None else part.columns
        met = chosen if part.columns is None else chosen.take(columns)
        for some in row_chunks(len(part.cells), len(columns)):
            mine = np.arange(part.where.start, part.where.stop)[some]
            # places (cells, examples); sizes and shares (cells, places).
            places = met.places(strata_of(stream.margin[np.ix_(mine, columns)], edges))
            sizes = np.stack([(places == i).sum(axis=1) for i in range(rates.shape[1])], axis=1)
            sets = [pooled[i] for i in mine]
            shares, expected = met.shares(sizes, rates[mine], sets), sizes * rates[mine]
            weight = met.design_weight(shares, places, sets)
            design_weight[np.ix_(mine, columns)] = weight
            partial.append((weight != 1).any(axis=1))
            total = max(1, len(columns))
            disagreement.append(expected.sum(axis=1) / total)
            # Σ n · rate · (1/share − 1): see Subsampling.shares.
            error.append(np.sqrt((expected * (1 / shares - 1)).sum(axis=1)) / total)
    return SecondPhase(
        design_weight, *(np.concatenate(column) for column in (partial, disagreement, error))
    )


def _direct(
    board: Scores,
    design_weight: Float[np.ndarray, "actions evaluate"],
    sample: SecondPhase,
    exact_only: int,
    allocate: Allocate,
) -> Direct:
    """What the stream said, before exact outcomes are written over it.

    ``sample``: of the first rows of ``design_weight``, which has all; ``exact_only``: the row from
    which actions ran exactly on a sample alone.
    """
    shape = design_weight.shape
    kept = {n: allocate(f"direct_{n}", shape, board[n].dtype.type) for n in ("predicted", "kl")}
    for name, values in kept.items():
        values[:] = board[name]
    more = np.zeros(len(design_weight) - len(sample.partial))
    more[exact_only - len(sample.partial) :] = np.nan
    return Direct(
        design_weight=design_weight,
        predicted=kept["predicted"],
        kl=kept["kl"],
        disagreement=np.concatenate([sample.disagreement, more]),
        error=np.concatenate([sample.error, more]),
    )
