"""What a plan costs, told before it runs: one short measurement per route, then arithmetic.

A suffix or full cell costs in proportion to the padded tokens of a batch and to the blocks that
run; stream and head cells in proportion to the examples.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from synapse_audit.activations import length_batches
from synapse_audit.artifacts import Cell, ParameterEdit, Plan
from synapse_audit.classifier import BLOCK_OUTPUT, Encoded
from synapse_audit.plan import FULL, STREAM, SUFFIX
from synapse_audit.sweep.clean import CleanStates, clean_pass
from synapse_audit.sweep.engine import Engine
from synapse_audit.sweep.inputs import passes
from synapse_audit.sweep.runners import RUNNERS, stack_size
from synapse_audit.sweep.subsample import Subsampling
from synapse_audit.sweep.two_phase import eligible

LAST_BLOCK = 0.3
"""Share of a block's arithmetic that runs where only the pooled row is computed (Q, K, V)."""

SAMPLE = 4
"""Cells timed per route; stream times one whole stack."""


@dataclass(frozen=True)
class Cost:
    """Expected seconds of a sweep."""

    seconds: dict[str, float]
    """Action → seconds on all examples by its own route."""
    stream: dict[str, float]
    """Action that may be estimated → seconds of the first phase on all examples."""
    floor: float
    """Share of the examples that every such action is run on exactly at least."""
    cells: dict[str, int]
    """Route → distinct actions."""
    saved: float
    """Share of the blocks of a full pass per distinct action that do not run, all being exact."""

    @property
    def most(self) -> float:
        """Seconds if every action has to be run exactly on every example."""
        return self.of(self.seconds)

    @property
    def least(self) -> float:
        """Seconds if the fewest exact examples do for every action that may be estimated."""
        saved = sum(self.seconds[action] for action in self.stream) * (1 - self.floor)
        return self.most - saved

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
) -> Cost:
    """Times a few cells of each route on a batch of middling length and extrapolates."""
    batches = length_batches(encoded.lengths, np.sort(rows), batch_size=batch_size)
    middle = batches[len(batches) // 2]
    batch = engine.classifier.collate(encoded, middle)
    clean = clean_pass(engine.classifier, batch, middle, engine.tap)
    tokens = sum(len(b) * int(encoded.lengths[b].max()) for b in batches) / clean.tokens
    examples = len(rows) / len(middle)
    layers, groups = engine.classifier.n_layers, _by_route(plan)
    seconds: dict[str, float] = {}
    for route, cells in groups.items():
        sample = _spread(cells, stack_size(route, clean) if route == STREAM else SAMPLE)
        unit = _time(engine, clean, route, sample) / _work(sample, route, layers)
        scale = tokens if route in (SUFFIX, FULL) else examples
        seconds |= {c.action: unit * scale * _work([c], route, layers) for c in cells}
    stream = _stream_seconds(engine, clean, plan, chosen)
    floor = 1.0 if chosen.all_exact else chosen.floor
    full = max(1, layers * len(plan.actions))
    ran = sum(blocks(cell, plan.routes[cell.action], layers) for cell in plan.actions)
    cells_of = {route: len(cells) for route, cells in groups.items()}
    return Cost(seconds, stream, floor, cells_of, 1.0 - ran / full)


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
    if route in (SUFFIX, FULL):
        return sum(blocks(cell, route, n_layers) * passes(cell) for cell in cells)
    return float(len(cells))


def _time(engine: Engine, clean: CleanStates, route: str, cells: Sequence[Cell]) -> float:
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.site, []).append(cell)
    RUNNERS[route](engine, clean, cells[:1])
    start = time.perf_counter()
    for same_site in groups.values():
        RUNNERS[route](engine, clean, same_site)
    return time.perf_counter() - start


def _stream_seconds(
    engine: Engine, clean: CleanStates, plan: Plan, chosen: Subsampling
) -> dict[str, float]:
    cells = [cell for cell in plan.actions if eligible(plan, cell)]
    if not cells or chosen.all_exact:
        return {}
    sample = _spread(cells, stack_size(STREAM, clean))
    unit = _time(engine, clean, STREAM, sample) / len(sample)
    seconds = unit * len(chosen.rows) / len(clean.examples)
    return {cell.action: seconds for cell in cells}


def _by_route(plan: Plan) -> dict[str, list[Cell]]:
    groups: dict[str, list[Cell]] = {}
    for cell in plan.actions:
        groups.setdefault(plan.routes[cell.action], []).append(cell)
    return groups


def _spread(cells: Sequence[Cell], n: int) -> list[Cell]:
    """``n`` cells evenly spread over the list, so that first touched layers are represented."""
    places = np.unique(np.linspace(0, len(cells) - 1, min(n, len(cells))).astype(int))
    return [cells[i] for i in places]
