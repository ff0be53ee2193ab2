"""Two phases: the stream route on all examples, the exact route on a random subsample.

For a pooled-position cell below the last two layers the stream route is no longer exact, but it
costs a tenth, and often predicts the same classes. So it serves as a control variate (Cochran 1977,
chapter 12; :mod:`synapse_audit.metrics.two_phase` makes the estimate): a pilot measures per cell
how often the two routes disagree, then one fixed subsample size is set so that the half width that
the second phase adds to accuracy stays below ``precision``, or every example is run exactly.

There is no optional stopping: sizes come from the pilot alone. All cells share one nested order of
examples, so that random draws are compared on the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.artifacts import Cell, Direct, Outcomes, Plan
from synapse_audit.classifier import Encoded
from synapse_audit.plan import STREAM, SUFFIX, TWO_PHASE
from synapse_audit.progress import Progress
from synapse_audit.statistics import Z_975
from synapse_audit.sweep.routes import Engine
from synapse_audit.sweep.running import Execute, Shelf, sweep
from synapse_audit.sweep.score import BENIGN, FIELDS

PILOT = 50
"""Least number of examples on which both routes are run."""

PILOT_SHARE = 0.05

PER_CLASS = 8
"""Examples of each class (or all) that come first in the order: rare classes stay measured."""

PRIOR = 25.0
"""Examples that a cell's kind counts for in its own disagreement (empirical Bayes)."""


@dataclass(frozen=True)
class Subsampling:
    """Who is run exactly: the first ``sizes[action]`` examples of ``order``."""

    order: Int[np.ndarray, " evaluate"]
    pilot: int
    precision: float

    @property
    def all_exact(self) -> bool:
        """Whether the pilot is everybody, so that nothing is estimated."""
        return self.pilot >= len(self.order)

    @property
    def ladder(self) -> tuple[int, ...]:
        """Sizes that are used: the pilot doubled until everything is exact."""
        if self.all_exact:
            return (len(self.order),)
        sizes = [self.pilot]
        while sizes[-1] * 2 < len(self.order):
            sizes.append(sizes[-1] * 2)
        return (*sizes, len(self.order))

    def size(self, disagreement: float) -> int:
        """Smallest size on the ladder whose second-phase half width is below the precision.

        Half width = z √(r (1 − r) (1/n − 1/N)), r the disagreement, n of N exact.
        """
        total, spread = len(self.order), disagreement * (1 - disagreement)
        for n in self.ladder:
            if Z_975 * np.sqrt(spread * (1 / n - 1 / total)) <= self.precision:
                return n
        return total


def subsampling(
    rows: Int[np.ndarray, " evaluate"],
    labels: Int[np.ndarray, " evaluate"],
    *,
    precision: float,
    seed: int,
) -> Subsampling:
    """A stratified random order: ``PER_CLASS`` of every class first, then in proportion."""
    generator = np.random.default_rng(np.random.SeedSequence([seed, 2]))
    rank, size = np.zeros(len(rows)), np.zeros(len(rows))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        rank[members] = generator.permutation(len(members))
        size[members] = len(members)
    order = np.lexsort(((rank + 0.5) / size, rank >= PER_CLASS))
    first = int((rank < PER_CLASS).sum())
    pilot = min(len(rows), max(PILOT, first, round(PILOT_SHARE * len(rows))))
    return Subsampling(rows[order], pilot, precision)


def eligible(plan: Plan, cell: Cell) -> bool:
    """Whether stream can stand in for a cell: suffix route, pooled position."""
    return plan.routes[cell.action] == SUFFIX and cell.position == "pooled" and cell.edit is None


def sweep_two_phase(
    engine: Engine,
    encoded: Encoded,
    plan: Plan,
    labels: Int[np.ndarray, " examples"],
    *,
    rows: Int[np.ndarray, " evaluate"],
    chosen: Subsampling,
    batch_size: int | None,
    shelf: Shelf,
    progress: Progress,
    execute: Execute | None = None,
) -> tuple[Plan, Outcomes]:
    """Runs the plan, estimating where that is precise enough.

    Returns:
        The plan with route ``two-phase`` for the cells that were estimated, and the outcomes.
    """

    def run(
        title: str, cells: Sequence[Cell], route: str | None, on: Int[np.ndarray, " some"]
    ) -> Outcomes:
        routes = plan.routes if route is None else {cell.action: route for cell in cells}
        with progress.stage(title, max(1, len(cells) * len(on))) as advance:
            return sweep(
                engine,
                encoded,
                Plan(tuple(cells), routes),
                labels,
                rows=on,
                batch_size=batch_size,
                shelf=shelf,
                progress=lambda chunk, examples: advance(len(chunk.cells) * examples),
                execute=execute,
            )

    rows = np.sort(rows)
    first = [cell for cell in plan.actions if eligible(plan, cell)]
    rest = run(
        "exact cells", [cell for cell in plan.actions if not eligible(plan, cell)], None, rows
    )
    if not first:
        return plan, rest
    stream = run("first phase", first, STREAM, rows)
    board = _Board(stream, rows)
    few = chosen.order[: chosen.pilot]
    board.put(run("pilot", first, SUFFIX, few), few)
    rates = smoothed(first, board.disagreements(), chosen.pilot)
    sizes = {cell.action: chosen.size(rate) for cell, rate in zip(first, rates, strict=True)}
    for before, after in zip(chosen.ladder, chosen.ladder[1:], strict=False):
        more = [cell for cell in first if sizes[cell.action] >= after]
        if more:
            few = chosen.order[before:after]
            board.put(run(f"to {after} examples", more, SUFFIX, few), few)
    estimated = {a: TWO_PHASE for a, n in sizes.items() if n < len(rows)}
    return replace(plan, routes={**plan.routes, **estimated}), _join(board, rest, rates)


def smoothed(
    cells: Sequence[Cell], disagreements: Float[np.ndarray, " cells"], pilot: int
) -> Float[np.ndarray, " cells"]:
    """Disagreement per cell, drawn toward that of its kind as if seen on ``PRIOR`` examples.

    A pilot of 50 that shows none would otherwise claim 0. A kind is an operator at a selection;
    its own rate counts one half of a disagreement more than was seen.
    """
    kinds: dict[tuple[object, ...], list[int]] = {}
    for i, cell in enumerate(cells):
        kinds.setdefault((cell.operator, cell.strength, cell.selection), []).append(i)
    rates = np.zeros(len(cells))
    for members in kinds.values():
        seen = disagreements[members] * pilot
        common = (seen.sum() + 0.5) / (pilot * len(members) + 1)
        rates[members] = (seen + PRIOR * common) / (pilot + PRIOR)
    return rates


class _Board:
    """Stream outcomes on which exact ones are written, example by example."""

    def __init__(self, stream: Outcomes, rows: Int[np.ndarray, " evaluate"]) -> None:
        self.stream = stream
        self.column = {int(row): i for i, row in enumerate(rows)}
        found = {name: getattr(stream, name) for name in (*FIELDS, BENIGN)}
        self.values = {name: values.copy() for name, values in found.items() if values is not None}
        self.exact = np.zeros(stream.predicted.shape, dtype=bool)

    def put(self, found: Outcomes, on: Int[np.ndarray, " some"]) -> None:
        """Writes exact outcomes of some actions on some examples."""
        columns = np.array([self.column[int(row)] for row in np.sort(on)], dtype=np.int64)
        places = np.ix_(self.stream.rows(found.actions), columns)
        for name, values in self.values.items():
            values[places] = getattr(found, name)
        self.exact[places] = True

    def disagreements(self) -> Float[np.ndarray, " actions"]:
        """Share of the exact examples on which the routes predict different classes."""
        differ = (self.values["predicted"] != self.stream.predicted) & self.exact
        return differ.sum(axis=1) / np.maximum(1, self.exact.sum(axis=1))


def _join(board: _Board, rest: Outcomes, rates: Float[np.ndarray, " cells"]) -> Outcomes:
    """Estimated and exact actions in one table."""
    values: dict[str, Any] = {
        name: np.concatenate([found, getattr(rest, name)]) for name, found in board.values.items()
    }
    direct = Direct(
        exact=np.concatenate([board.exact, np.ones(rest.predicted.shape, dtype=bool)]),
        predicted=np.concatenate([board.stream.predicted, rest.predicted]),
        kl=np.concatenate([board.stream.kl, rest.kl]),
        disagreement=np.concatenate([rates, np.zeros(len(rest.actions))]),
    )
    return Outcomes((*board.stream.actions, *rest.actions), **values, direct=direct)
