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
from jaxtyping import Float, Int

from synapse_audit.artifacts import Cell, Direct, Outcomes, Plan
from synapse_audit.memory import Allocate, in_memory
from synapse_audit.model import Encoded
from synapse_audit.plan import STREAM, SUFFIX
from synapse_audit.progress import Progress
from synapse_audit.sweep.engine import Engine
from synapse_audit.sweep.pairs import may_pair
from synapse_audit.sweep.running import Execute, UnitStore, blank, sweep
from synapse_audit.sweep.sampling import Sampled, sample_numbers
from synapse_audit.sweep.score import Scores
from synapse_audit.sweep.second_phase import NOTHING, Part, SecondPhase, draw
from synapse_audit.sweep.subsample import Subsampling, pilot_cells


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
    options = {"batch_size": batch_size, "unit_store": unit_store, "execute": execute}
    stage = _Stage(engine, encoded, labels, plan.routes, progress, options)
    board = blank(len(plan.actions), len(chosen.rows), engine.fields, allocate)
    for part in groups.exact:
        _run(stage, "exact cells", part, board, chosen)
    if groups.exact_throughout:
        return plan, _outcomes(groups.cells, board)
    cheap = replace(stage, engine=first_phase or engine)
    for part in groups.estimated:
        _run(cheap, "first phase", part, board, chosen, STREAM)
    design_weight = allocate("direct_design_weight", board["predicted"].shape, np.float32)
    second = _draw_second_phase(stage, groups, board, chosen, design_weight)
    direct = _direct(board, design_weight, second, groups.alone, allocate)
    # From here on exact outcomes are written over the stream's.
    _run_second_phase(stage, groups, board, chosen, second)
    _weigh(design_weight, groups)
    direct = replace(direct, **_samples(sampled, groups.cells))
    found = replace(_outcomes(groups.cells, board), direct=direct)
    return second.routed(plan, groups.first), found


def _draw_second_phase(
    stage: _Stage,
    groups: _Groups,
    board: Scores,
    chosen: Subsampling,
    design_weight: Float[np.ndarray, "actions evaluate"],
) -> SecondPhase:
    """Runs the pilot and decides by it who is run exactly; writes that on ``design_weight``."""
    first = groups.first
    if not first:
        return NOTHING
    pilot = stage("pilot", pilot_cells(first), chosen.tail)
    stream = _outcomes(first, _rows(board, slice(len(first))))
    mine = design_weight[: len(first)]
    return draw(chosen, first, stream, pilot, onto=mine, parts=groups.estimated)


def _run_second_phase(
    stage: _Stage, groups: _Groups, board: Scores, chosen: Subsampling, second: SecondPhase
) -> None:
    """Runs the pairs that were drawn, if any cell is estimated."""
    first = groups.first
    if first:
        upper = _rows(board, slice(len(first)))
        stage("second phase", first, chosen.rows, wanted=second.design_weight, onto=upper)


def _weigh(design_weight: Float[np.ndarray, "actions evaluate"], groups: _Groups) -> None:
    """Completes the design weights: exact cells have 1, members of a sample stand for others."""
    design_weight[len(groups.first) :] = 1
    for part in (*groups.estimated, *groups.exact):
        if part.sample is not None:
            design_weight[part.where] *= part.sample.design_weight


def _outcomes(cells: Sequence[Cell], scores: Scores) -> Outcomes:
    fields: dict[str, Any] = {**scores}
    return Outcomes(tuple(cell.action for cell in cells), **fields)


class _Groups(NamedTuple):
    """The actions of a plan by how they run, in the order of the outcomes' rows."""

    estimated: list[Part]
    """In two phases: on all examples, then on each sample."""
    exact: list[Part]

    @property
    def exact_throughout(self) -> bool:
        """Whether every action runs exactly on all examples."""
        return not self.first and all(part.sample is None for part in self.exact)

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
    board: Scores,
    chosen: Subsampling,
    route: str | None = None,
) -> None:
    """Runs a part; where it has a sample, the clean answer or nothing stands elsewhere."""
    onto = _rows(board, part.where)
    if part.sample is None:
        stage(title, part.cells, chosen.rows, route, onto=onto)
    elif part.cells:
        some, every = len(part.sample.rows), len(chosen.rows)
        title = f"{title} on {some:,} of {every:,} examples"
        found = stage(title, part.cells, part.sample.rows, route)
        for name, values in onto.items():
            values[:] = (
                part.sample.predicted if name == "predicted" else ELSEWHERE.get(name, np.nan)
            )
            values[:, part.columns] = getattr(found, name)


def _samples(sampled: Sequence[Sampled], cells: Sequence[Cell]) -> dict[str, np.ndarray]:
    """Which action ran on which sample; empty where none did."""
    if not sampled:
        return {}
    return {
        "sample": sample_numbers(sampled, [cell.action for cell in cells]),
        "strata": np.stack([one.sample.strata for one in sampled]).astype(np.int32),
        "inclusion": np.stack([one.sample.design_weight for one in sampled]),
        "whole": np.stack([one.sample.whole for one in sampled]),
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


def _rows(board: Scores, rows: slice) -> Scores:
    """Some rows of every array: views, on which a sweep writes."""
    return {name: values[rows] for name, values in board.items()}


ELSEWHERE = {"kl": 0.0}
"""What stands where a sampled cell did not run: the untouched model has no divergence from itself;
other numbers are unknown."""


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
