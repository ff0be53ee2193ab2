"""What a plan costs, estimated before it runs: short measurements of each route, then arithmetic.

A suffix or full cell costs in proportion to the padded tokens of a batch and to the blocks that
run; stream and head cells in proportion to the examples. A few cells are timed on batches from
short to long; the median of these rates is what the plan is reckoned with, so that neither one kind
of batch nor one interruption of the machine decides.

*Limits.* How many examples a two-phase estimate runs exactly is known only after its pilot: the
cost is a range, from the fewest to all. What the machine does later is not known at all.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from synapse_audit.artifacts import Cell, ParameterEdit, Plan
from synapse_audit.memory import release_memory
from synapse_audit.model import BLOCK_OUTPUT, Encoded
from synapse_audit.model.activations import length_batches
from synapse_audit.plan import FULL, STREAM, SUFFIX
from synapse_audit.sweep.clean import CleanStates, clean_pass
from synapse_audit.sweep.engine import Engine
from synapse_audit.sweep.inputs import passes
from synapse_audit.sweep.runners import RUNNERS, stack_size
from synapse_audit.sweep.subsample import Subsampling, pilot_cells
from synapse_audit.sweep.two_phase import eligible

LAST_BLOCK = 0.3
"""Share of a block's arithmetic that runs where only the pooled row is computed (Q, K, V)."""

SLOW = (SUFFIX, FULL)
"""Routes whose time grows with tokens and blocks."""

SAMPLE = 4
"""Cells timed per slow route and batch; stream and head time one whole stack."""

BATCHES = 5
"""Most batches on which a route is timed."""

ENOUGH = 0.4
"""Seconds after which a route is timed on no further batch."""


class Timing(NamedTuple):
    """How much is run to time a plan."""

    batches: int = BATCHES
    cells: int = SAMPLE
    """Per slow route and batch."""
    tokens: int | None = None
    """Padded tokens that a batch is cut to; None: a whole batch."""


@dataclass(frozen=True)
class Cost:
    """Expected seconds of a sweep."""

    seconds: dict[str, float]
    """Action → seconds on all examples by its own route."""
    stream: dict[str, float]
    """Action that may be estimated → seconds of the first phase on all examples."""
    floor: float
    """Share of the examples that every such action is run on exactly at least."""
    pilot: float
    """Seconds of the pilot."""
    cells: dict[str, int]
    """Route → distinct actions."""
    saved: float
    """Share of the blocks of a full pass per distinct action that do not run, all being exact."""
    clean: float = float("nan")
    """Seconds of one clean pass over the examples."""

    def on_part(self, shares: Mapping[str, float]) -> Cost:
        """The same where some actions run on a share of the examples only."""
        seconds, stream = (
            {a: s * shares.get(a, 1.0) for a, s in known.items()}
            for known in (self.seconds, self.stream)
        )
        return replace(self, seconds=seconds, stream=stream)

    @property
    def most(self) -> float:
        """Seconds if every action has to be run exactly on every example (the pilot left out)."""
        return self.of(self.seconds)

    @property
    def least(self) -> float:
        """Seconds if the fewest exact examples do for every action that may be estimated."""
        return self.least_of(self.seconds) + self.pilot

    def least_of(self, actions: Iterable[str]) -> float:
        """Fewest seconds that some actions take, the pilot left out."""
        chosen = list(actions)
        saved = sum(self.seconds[a] for a in chosen if a in self.stream) * (1 - self.floor)
        return self.of(chosen) - saved

    def of(self, actions: Iterable[str]) -> float:
        """Most seconds that some actions take."""
        return sum(self.seconds[a] + self.stream.get(a, 0.0) for a in actions)


def estimate(
    engine: Engine,
    encoded: Encoded,
    plan: Plan,
    *,
    rows: Int[np.ndarray, " evaluate"],
    chosen: Subsampling,
    batch_size: int | None = None,
    timing: Timing = Timing(),  # noqa: B008 (frozen)
) -> Cost:
    """Times a few cells of each route on a few batches and extrapolates."""
    batches = length_batches(encoded.lengths, np.sort(rows), batch_size=batch_size)
    estimated = [] if chosen.all_exact else [c for c in plan.actions if eligible(plan, c)]
    groups = _by_route(plan)
    trials = [Trial(route, tuple(cells)) for route, cells in groups.items()]
    trials += [Trial(STREAM, tuple(estimated), first_phase=True)] if estimated else []
    passes_timed: list[float] = []
    for clean, took in _clean_states(engine, encoded, batches, timing):
        passes_timed.append(took / clean.tokens)
        for trial in trials:
            trial.run(engine, clean, timing.cells)
        release_memory()
        if all(trial.known for trial in trials):
            break
    padded = sum(len(b) * int(encoded.lengths[b].max()) for b in batches)
    layers = engine.classifier.n_layers
    seconds: dict[str, float] = {}
    stream: dict[str, float] = {}
    for trial in trials:
        unit = trial.rate * (padded if trial.slow else len(rows))
        into = stream if trial.first_phase else seconds
        into |= {c.action: unit * _work([c], trial.route, layers) for c in trial.cells}
    tried = sum(seconds[cell.action] for cell in pilot_cells(estimated))
    return Cost(
        seconds,
        stream,
        floor=1.0 if chosen.all_exact else chosen.floor,
        pilot=tried * chosen.pilot / max(1, len(rows)),
        cells={route: len(cells) for route, cells in groups.items()},
        saved=_saved(plan, layers),
        clean=float(np.median(passes_timed)) * padded if passes_timed else float("nan"),
    )


@dataclass
class Trial:
    """Cells of one route, some of which are timed until enough is known."""

    route: str
    cells: tuple[Cell, ...]
    first_phase: bool = False
    rates: list[float] = field(default_factory=list)
    """Seconds per unit of work and padded token (slow routes) or example, batch by batch."""
    spent: float = 0.0

    @property
    def slow(self) -> bool:
        """Whether its time grows with tokens and blocks, not with examples alone."""
        return self.route in SLOW

    @property
    def known(self) -> bool:
        """Whether it was timed for long enough."""
        return self.spent > ENOUGH

    @property
    def rate(self) -> float:
        """The median over batches."""
        return float(np.median(self.rates))

    def run(self, engine: Engine, clean: CleanStates, cells: int = SAMPLE) -> None:
        """Times some cells on a batch, unless enough time was spent on others."""
        if self.known:
            return
        sample = _spread(self.cells, cells if self.slow else stack_size(self.route, clean))
        took = _time(engine, clean, self.route, sample)
        size = clean.tokens if self.slow else len(clean.examples)
        self.rates.append(took / size / _work(sample, self.route, engine.classifier.n_layers))
        self.spent += took


def _saved(plan: Plan, n_layers: int) -> float:
    full = max(1, n_layers * len(plan.actions))
    return 1.0 - sum(blocks(c, plan.routes[c.action], n_layers) for c in plan.actions) / full


def _clean_states(
    engine: Engine, encoded: Encoded, batches: Sequence[Int[np.ndarray, " _"]], timing: Timing
) -> Iterator[tuple[CleanStates, float]]:
    """Of batches from short to long, the middling one first, each with the seconds it took."""
    places = np.linspace(0, len(batches) - 1, min(timing.batches, len(batches)) + 2)[1:-1]
    chosen = np.unique(places.round().astype(int))
    for i in sorted(chosen, key=lambda place: abs(place - len(batches) // 2)):
        rows = batches[i]
        if timing.tokens is not None:
            rows = rows[: max(1, timing.tokens // max(1, int(encoded.lengths[rows].max())))]
        batch, start = engine.classifier.collate(encoded, rows), time.perf_counter()
        states = clean_pass(engine.classifier, batch, rows, engine.tap)
        yield states, time.perf_counter() - start


def blocks(cell: Cell, route: str, n_layers: int) -> float:
    """Blocks that run for a cell, the last one counted at the share that runs."""
    if route == FULL:
        return float(n_layers)
    if route == SUFFIX and isinstance(cell.edit, ParameterEdit):
        return n_layers - (cell.edit.layer or 1) + LAST_BLOCK
    if route != SUFFIX or cell.neurons is None:
        return 0.0
    first = min(cell.neurons.layers, default=n_layers) - (cell.site != BLOCK_OUTPUT)
    return max(0.0, n_layers - first - 1 + LAST_BLOCK)


def _work(cells: Sequence[Cell], route: str, n_layers: int) -> float:
    """Units in which the cost of a route is linear."""
    if route in SLOW:
        return sum(blocks(cell, route, n_layers) * passes(cell) for cell in cells)
    return float(len(cells))


def _time(engine: Engine, clean: CleanStates, route: str, cells: Sequence[Cell]) -> float:
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.site, []).append(cell)
    RUNNERS[route](engine, clean, cells[:1]).cpu()  # waits for an accelerator, as below
    start = time.perf_counter()
    for same_site in groups.values():
        RUNNERS[route](engine, clean, same_site).cpu()
    return time.perf_counter() - start


def _by_route(plan: Plan) -> dict[str, list[Cell]]:
    groups: dict[str, list[Cell]] = {}
    for cell in plan.actions:
        groups.setdefault(plan.routes[cell.action], []).append(cell)
    return groups


def _spread(cells: Sequence[Cell], n: int) -> list[Cell]:
    """``n`` cells evenly spread over the list, so that first touched layers are represented."""
    places = np.unique(np.linspace(0, len(cells) - 1, min(n, len(cells))).astype(int))
    return [cells[i] for i in places]
