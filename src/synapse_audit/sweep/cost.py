"""What a plan costs, told before it runs: one short measurement per route, then arithmetic.

A suffix or full cell costs in proportion to the padded tokens of a batch and to the blocks that
run; stream and head cells in proportion to the examples.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from synapse_audit.activations import length_batches
from synapse_audit.artifacts import Cell, Plan
from synapse_audit.classifier import Encoded
from synapse_audit.plan import FULL, STREAM, SUFFIX
from synapse_audit.sweep.clean import clean_pass
from synapse_audit.sweep.routes import Engine
from synapse_audit.sweep.runners import RUNNERS, stack_size

LAST_BLOCK = 0.3
"""Share of a block's arithmetic that runs where only the pooled row is computed (Q, K, V)."""


@dataclass(frozen=True)
class Cost:
    """Expected seconds of a sweep."""

    seconds: dict[str, float]
    """Route → seconds."""
    cells: dict[str, int]
    """Route → distinct actions."""
    saved: float
    """Share of blocks × tokens, against a full pass for every distinct action, that is not run."""

    @property
    def total(self) -> float:
        """Seconds of all routes together."""
        return sum(self.seconds.values())


def estimate(
    engine: Engine,
    encoded: Encoded,
    plan: Plan,
    *,
    rows: Int[np.ndarray, " evaluate"],
    batch_size: int | None = None,
) -> Cost:
    """Times a few cells of each route on a batch of middling length and extrapolates."""
    batches = length_batches(encoded.lengths, np.sort(rows), batch_size=batch_size)
    middle = batches[len(batches) // 2]
    clean = clean_pass(
        engine.classifier, engine.classifier.collate(encoded, middle), middle, engine.tap
    )
    layers = engine.classifier.n_layers
    tokens = {"all": sum(len(b) * int(encoded.lengths[b].max()) for b in batches)}
    scale = {True: tokens["all"] / clean.tokens, False: len(rows) / len(middle)}
    seconds, work = {}, 0.0
    groups = _by_route(plan)
    for route, cells in groups.items():
        sample = _spread(cells, stack_size(route, clean) if route == STREAM else 4)
        RUNNERS[route](engine, clean, sample[:1])
        start = time.perf_counter()
        RUNNERS[route](engine, clean, sample)
        spent = time.perf_counter() - start
        share = sum(blocks(c, route, layers) for c in cells)
        sampled = max(1e-9, sum(blocks(c, route, layers) for c in sample))
        by_tokens = route in (SUFFIX, FULL)
        ratio = share / sampled if by_tokens else len(cells) / len(sample)
        seconds[route] = spent * ratio * scale[by_tokens]
        work += share if by_tokens else 0.0
    full = max(1, layers * len(plan.actions))
    return Cost(seconds, {r: len(c) for r, c in groups.items()}, 1.0 - work / full)


def blocks(cell: Cell, route: str, n_layers: int) -> float:
    """Blocks that run for a cell, the last one counted at the share that runs."""
    if route == FULL:
        return float(n_layers)
    if route != SUFFIX or cell.neurons is None:
        return 0.0
    first = min(cell.neurons.layers, default=n_layers)
    return max(0.0, n_layers - first - 1 + LAST_BLOCK)


def _by_route(plan: Plan) -> dict[str, list[Cell]]:
    groups: dict[str, list[Cell]] = {}
    for cell in plan.actions:
        groups.setdefault(plan.routes[cell.action], []).append(cell)
    return groups


def _spread(cells: Sequence[Cell], n: int) -> list[Cell]:
    """``n`` cells evenly spread over the list, so that first touched layers are represented."""
    places = np.unique(np.linspace(0, len(cells) - 1, min(n, len(cells))).astype(int))
    return [cells[i] for i in places]


def routes_of(plan: Plan) -> dict[str, int]:
    """Route → distinct actions."""
    return dict(Counter(plan.routes[cell.action] for cell in plan.actions))
