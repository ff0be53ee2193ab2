"""Two phases: the stream route on all examples, the exact route on a random subsample.

For a pooled-position cell below the last two layers the stream route is no longer exact, but it
costs a tenth, and often predicts the same classes. So it serves as a control variate (Cochran 1977,
chapter 12; :mod:`synapse_audit.metrics.two_phase` makes the estimate). How many examples are run
exactly is set per *kind* of cell (operator, strength, site, one layer or all, size), so that the
half width that the second phase adds to accuracy stays below ``precision``.

Two rules keep the estimate free of bias. Sizes come from a pilot on other examples than those that
are then run: were they the same, a size would grow where they hold a disagreement, which would
then be scaled up less, and stay small where they hold none, which corrects nothing. And a kind
says nothing of why neurons were chosen, so a ranked set and its random twins are estimated from
the same examples and compare like with like. There is no optional stopping.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.artifacts import ALL_LAYERS, Cell, Direct, Outcomes, Plan
from synapse_audit.classifier import Encoded
from synapse_audit.plan import STREAM, SUFFIX, TWO_PHASE
from synapse_audit.progress import Progress
from synapse_audit.statistics import Z_975
from synapse_audit.sweep.engine import Engine
from synapse_audit.sweep.running import Execute, Shelf, sweep
from synapse_audit.sweep.score import BENIGN, FIELDS

PILOT = 50
"""Least number of examples on which both routes are run."""

PILOT_SHARE = 0.05

PILOT_CELLS = 8
"""Most cells of each kind that the pilot runs."""

PILOT_PART = 4
"""It runs one cell in so many of a small kind, and at least one."""

STEP = 1.25
"""Ratio of neighbouring sizes: kinds that need about as many examples share their batches."""

PER_CLASS = 8
"""Examples of each class (or all) that come first in the order: rare classes stay measured."""

PRIOR = 100.0
"""Pairs of cell and example that an operator counts for in the rate of each of its kinds."""


@dataclass(frozen=True)
class Subsampling:
    """Who is run exactly: the first so many examples of ``order``; the pilot takes the last."""

    order: Int[np.ndarray, " evaluate"]
    pilot: int
    """Examples of the pilot, and fewest that are run exactly."""
    precision: float

    @property
    def tail(self) -> Int[np.ndarray, " pilot"]:
        """The pilot's examples. They overlap with a subsample of nearly everybody only."""
        return self.order[len(self.order) - self.pilot :]

    @property
    def all_exact(self) -> bool:
        """Whether the pilot is everybody, so that nothing is estimated."""
        return self.pilot >= len(self.order)

    @property
    def ladder(self) -> tuple[int, ...]:
        """Sizes that are used: from the pilot's in steps of ``STEP`` until everything is exact."""
        if self.all_exact:
            return (len(self.order),)
        sizes = [self.pilot]
        while (larger := math.ceil(sizes[-1] * STEP)) < len(self.order):
            sizes.append(larger)
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

    options: dict[str, Any] = {"batch_size": batch_size, "shelf": shelf, "execute": execute}

    def run(
        advance: Callable[[int], None],
        cells: Sequence[Cell],
        route: str | None,
        on: Int[np.ndarray, " some"],
    ) -> Outcomes:
        routes = plan.routes if route is None else {cell.action: route for cell in cells}
        return sweep(
            engine,
            encoded,
            Plan(tuple(cells), routes),
            labels,
            rows=on,
            progress=lambda chunk, examples: advance(len(chunk.cells) * examples),
            **options,
        )

    def stage(
        title: str, cells: Sequence[Cell], route: str | None, on: Int[np.ndarray, " some"]
    ) -> Outcomes:
        with progress.stage(title, max(1, len(cells) * len(on))) as advance:
            return run(advance, cells, route, on)

    rows = np.sort(rows)
    first = [cell for cell in plan.actions if eligible(plan, cell)]
    rest = stage(
        "exact cells", [cell for cell in plan.actions if not eligible(plan, cell)], None, rows
    )
    if not first:
        return plan, rest
    board = _Board(stage("first phase", first, STREAM, rows), rows)
    tried = pilot_cells(first)
    pilot = stage("pilot", tried, SUFFIX, chosen.tail)
    rates = kind_rates(first, tried, board.differing(pilot, chosen.tail), chosen.pilot)
    sizes = [chosen.size(rate) for rate in rates]
    with progress.stage("second phase", sum(sizes)) as advance:
        for size in sorted(set(sizes)):
            mine = [cell for cell, n in zip(first, sizes, strict=True) if n == size]
            few = chosen.order[:size]
            board.put(run(advance, mine, SUFFIX, few), few)
    estimated = {
        cell.action: TWO_PHASE for cell, n in zip(first, sizes, strict=True) if n < len(rows)
    }
    return replace(plan, routes={**plan.routes, **estimated}), _join(board, rest, rates)


def kind(cell: Cell) -> tuple[object, ...]:
    """What cells share whose routes are taken to disagree about as often.

    Set sizes count as equal within a factor of about √2.
    """
    size = round(2 * float(np.log2(cell.k))) if cell.k else -1
    return (*_operator(cell), cell.site, cell.layers == ALL_LAYERS, size)


def _operator(cell: Cell) -> tuple[object, ...]:
    return (cell.operator, cell.strength)


def pilot_cells(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Some of every kind, evenly spread over the list."""
    kinds: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        kinds.setdefault(kind(cell), []).append(cell)
    found: list[Cell] = []
    for members in kinds.values():
        some = min(PILOT_CELLS, -(-len(members) // PILOT_PART))
        places = np.linspace(0, len(members) - 1, some + 2)[1:-1]
        found += [members[i] for i in np.unique(places.astype(int))]
    return tuple(found)


def kind_rates(
    cells: Sequence[Cell],
    tried: Sequence[Cell],
    differing: Int[np.ndarray, " tried"],
    pilot: int,
) -> Float[np.ndarray, " cells"]:
    """Share of examples on which the routes are expected to disagree, one rate per kind.

    A kind's own rate is drawn toward its operator's as if that had been seen on ``PRIOR`` pairs
    of cell and example, and an operator counts half a disagreement more than was seen: none in a
    pilot is not none at all (empirical Bayes).

    Args:
        differing: on how many of the ``pilot`` examples the routes differ, per tried cell.
    """
    seen: dict[tuple[object, ...], float] = {}
    pairs: dict[tuple[object, ...], float] = {}
    for cell, count in zip(tried, differing, strict=True):
        for group in (kind(cell), _operator(cell)):
            seen[group] = seen.get(group, 0.0) + float(count)
            pairs[group] = pairs.get(group, 0.0) + pilot

    def rate(cell: Cell) -> float:
        own, common = kind(cell), _operator(cell)
        expected = (seen[common] + 0.5) / (pairs[common] + 1)
        return (seen[own] + PRIOR * expected) / (pairs[own] + PRIOR)

    return np.array([rate(cell) for cell in cells], dtype=np.float64)


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
        places = self._places(found, on)
        for name, values in self.values.items():
            values[places] = getattr(found, name)
        self.exact[places] = True

    def differing(
        self, found: Outcomes, on: Int[np.ndarray, " some"]
    ) -> Int[np.ndarray, " actions"]:
        """On how many of some examples exact outcomes name another class than stream."""
        return (found.predicted != self.stream.predicted[self._places(found, on)]).sum(axis=1)

    def _places(
        self, found: Outcomes, on: Int[np.ndarray, " some"]
    ) -> tuple[Int[np.ndarray, "actions 1"], Int[np.ndarray, "1 some"]]:
        columns = np.array([self.column[int(row)] for row in np.sort(on)], dtype=np.int64)
        actions, examples = np.ix_(self.stream.rows(found.actions), columns)
        return actions, examples


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
