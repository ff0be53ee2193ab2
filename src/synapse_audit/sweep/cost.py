"""What a plan costs, estimated before it runs: short measurements of each route, then arithmetic.

A suffix or full cell costs in proportion to the padded tokens of a batch and to the blocks that
run; stream and head cells in proportion to the examples. A few cells are timed on batches from
short to long; the median of these rates is what the plan is reckoned with, so that neither one kind
of batch nor one interruption of the machine decides. These :class:`UnitCosts` are measured once;
:func:`reckon` then gives the cost of any plan without a clock.

*Limits.* How many examples a two-phase estimate runs exactly is known only after its pilot; until
then typical rates of disagreement stand for it (:func:`synapse_audit.sweep.subsample.likely`), so
the cost is meant within :data:`FACTOR`. What the machine does later is not known at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
from synapse_audit.sweep.subsample import Subsampling, likely, pilot_cells
from synapse_audit.sweep.two_phase import eligible

LAST_BLOCK = 0.3
"""Share of a block's arithmetic that runs where only the pooled row is computed (Q, K, V)."""

SLOW = (SUFFIX, FULL)
"""Routes whose time grows with tokens and blocks."""

FACTOR = 2.0
"""By which the expected time may be off, either way."""

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
    clock: Callable[[], float] | None = None
    """What tells the seconds; None: time that passes."""


class UnitCosts(NamedTuple):
    """What was measured: all that a plan's cost is reckoned from."""

    routes: Mapping[str, float]
    """Route → seconds per block and padded token (suffix, full), or per example (others)."""
    first_phase: float = 0.0
    """Seconds per action and example of the stream that two-phase estimates begin with."""
    clean: float = 0.0
    """Seconds of a clean pass per padded token."""
    findings: float = 0.0
    """Seconds that effects and findings take per distinct action."""

    def shared(self, processes: int) -> UnitCosts:
        """What is left of each where so many processes share the interventions."""
        return self._replace(
            routes={route: seconds / processes for route, seconds in self.routes.items()},
            first_phase=self.first_phase / processes,
        )


class Amount(NamedTuple):
    """What every action meets."""

    examples: int
    tokens: int
    """Of these examples, with the padding of their batches."""
    layers: int
    """Of the model."""


@dataclass(frozen=True)
class Cost:
    """Expected seconds of a sweep, and of the effects and findings made of it."""

    seconds: dict[str, float]
    """Action → seconds on all examples that it meets, by its own route."""
    stream: dict[str, float]
    """Action that may be estimated → seconds of the first phase on the same."""
    shares: dict[str, float]
    """The same action → share of that work which its second phase is expected to run."""
    pilot: float
    """Seconds of the pilot."""
    cells: dict[str, int]
    """Route → distinct actions."""
    saved: float
    """Share of the blocks of a full pass per distinct action that do not run, all being exact."""
    clean: float = float("nan")
    """Seconds of one clean pass over the examples."""
    findings: float = 0.0
    """Seconds that effects and findings take per action."""

    @property
    def expected(self) -> float:
        """Seconds of everything."""
        return self.of(self.seconds) + self.pilot

    @property
    def work(self) -> dict[str, float]:
        """Part of the sweep → its expected seconds."""
        second = sum(self.seconds[a] * self.shares[a] for a in self.stream)
        exact = sum(s for a, s in self.seconds.items() if a not in self.stream)
        first = sum(self.stream.values())
        parts = {"exact cells": exact, "first phase": first, "pilot": self.pilot}
        return parts | {
            "second phase": second,
            "effects and findings": self.findings * len(self.seconds),
        }

    def of(self, actions: Iterable[str]) -> float:
        """Expected seconds that some actions take, the pilot left out."""
        return sum(
            self.seconds[a] * self.shares.get(a, 1.0) + self.stream.get(a, 0.0) + self.findings
            for a in actions
        )


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
    padded = sum(len(b) * int(encoded.lengths[b].max()) for b in batches)
    estimates = not chosen.all_exact
    units = measure_units(
        engine, encoded, plan, batches=batches, estimates=estimates, timing=timing
    )
    return reckon(plan, units, Amount(len(rows), padded, engine.classifier.n_layers), chosen)


def measure_units(
    engine: Engine,
    encoded: Encoded,
    plan: Plan,
    *,
    batches: Sequence[Int[np.ndarray, " _"]],
    estimates: bool = True,
    timing: Timing = Timing(),  # noqa: B008 (frozen)
) -> UnitCosts:
    """Times a few cells of each route of the plan on a few of the batches.

    ``estimates``: whether the first phase of two-phase estimates too.
    """
    estimated = [cell for cell in plan.actions if estimates and eligible(plan, cell)]
    groups = _by_route(plan)
    trials = [Trial(route, tuple(cells)) for route, cells in groups.items()]
    trials += [Trial(STREAM, tuple(estimated), first_phase=True)] if estimated else []
    passes_timed: list[float] = []
    for clean, took in _clean_states(engine, encoded, batches, timing):
        passes_timed.append(took / clean.tokens)
        for trial in trials:
            trial.run(engine, clean, timing)
        release_memory()
        if all(trial.known for trial in trials):
            break
    first = [trial.rate for trial in trials if trial.first_phase]
    return UnitCosts(
        {trial.route: trial.rate for trial in trials if not trial.first_phase},
        first_phase=first[0] if first else 0.0,
        clean=float(np.median(passes_timed)) if passes_timed else float("nan"),
    )


def reckon(
    plan: Plan,
    units: UnitCosts,
    amount: Amount,
    chosen: Subsampling,
    parts: Mapping[str, float] | None = None,
) -> Cost:
    """The cost of a plan by arithmetic alone.

    Args:
        parts: action → share of the examples that it meets, where that is not all.
    """
    met = parts or {}
    seconds = {}
    for cell in plan.actions:
        route = plan.routes[cell.action]
        size = amount.tokens if route in SLOW else amount.examples
        work = route_work([cell], route, amount.layers) * size * met.get(cell.action, 1.0)
        seconds[cell.action] = units.routes[route] * work
    estimated = [] if chosen.all_exact else [c for c in plan.actions if eligible(plan, c)]
    one = units.first_phase * amount.examples
    stream = {cell.action: one * met.get(cell.action, 1.0) for cell in estimated}
    # The pilot's examples are met by everyone.
    tried = sum(seconds[c.action] / met.get(c.action, 1.0) for c in pilot_cells(estimated))
    return Cost(
        seconds,
        stream,
        shares=likely(chosen, estimated, met),
        pilot=tried * chosen.pilot / max(1, amount.examples),
        cells={route: len(cells) for route, cells in _by_route(plan).items()},
        saved=_saved(plan, amount.layers),
        clean=units.clean * amount.tokens,
        findings=units.findings,
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

    def run(self, engine: Engine, clean: CleanStates, timing: Timing) -> None:
        """Times some cells on a batch, unless enough time was spent on others."""
        if self.known:
            return
        count = timing.cells if self.slow else stack_size(self.route, len(clean.examples))
        sample = _spread(self.cells, count)
        took = _time(engine, clean, self.route, sample, timing.clock or time.perf_counter)
        size = clean.tokens if self.slow else len(clean.examples)
        self.rates.append(took / size / route_work(sample, self.route, engine.classifier.n_layers))
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
        clock = timing.clock or time.perf_counter
        batch, start = engine.classifier.collate(encoded, rows), clock()
        states = clean_pass(engine.classifier, batch, rows, engine.tap)
        yield states, clock() - start


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


def route_work(cells: Sequence[Cell], route: str, n_layers: int) -> float:
    """Units in which the cost of a route is linear."""
    if route in SLOW:
        return sum(blocks(cell, route, n_layers) * passes(cell) for cell in cells)
    return float(len(cells))


def _time(
    engine: Engine,
    clean: CleanStates,
    route: str,
    cells: Sequence[Cell],
    clock: Callable[[], float],
) -> float:
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.site, []).append(cell)
    RUNNERS[route](engine, clean, cells[:1]).cpu()  # waits for an accelerator, as below
    start = clock()
    for same_site in groups.values():
        RUNNERS[route](engine, clean, same_site).cpu()
    return clock() - start


def _by_route(plan: Plan) -> dict[str, list[Cell]]:
    groups: dict[str, list[Cell]] = {}
    for cell in plan.actions:
        groups.setdefault(plan.routes[cell.action], []).append(cell)
    return groups


def _spread(cells: Sequence[Cell], n: int) -> list[Cell]:
    """``n`` cells evenly spread over the list, so that first touched layers are represented."""
    places = np.unique(np.linspace(0, len(cells) - 1, min(n, len(cells))).astype(int))
    return [cells[i] for i in places]
