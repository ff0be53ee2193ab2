"""The loop: batches of examples × chunks of cells; each finished unit is kept at once.

In: a plan. Out: :class:`Outcomes`. A unit is one batch of examples under one chunk of cells of one
route; its clean states live only while its batch runs, so memory does not grow with the data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Int

from synapse_audit.activations import length_batches
from synapse_audit.artifacts import Cell, Outcomes, Plan
from synapse_audit.classifier import Encoded
from synapse_audit.plan import HEAD, STREAM
from synapse_audit.sweep.clean import CleanStates, clean_pass
from synapse_audit.sweep.routes import Engine
from synapse_audit.sweep.runners import RUNNERS, stack_size
from synapse_audit.sweep.score import FIELDS, Scores, score


class Shelf(Protocol):
    """Where finished units are kept, so that an interrupted sweep goes on."""

    def load(self, name: str) -> Mapping[str, np.ndarray] | None:
        """The unit of that name, or None."""

    def save(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keeps a unit, whole or not at all."""


@dataclass(frozen=True)
class Chunk:
    """Cells of one route that are run and kept together."""

    name: str
    route: str
    cells: tuple[Cell, ...]


CHUNK = {HEAD: 2048, STREAM: 1024}
"""Cells per unit; the routes that run many tokens take ``SLOW_CHUNK``."""

SLOW_CHUNK = 128


def sweep(
    engine: Engine,
    encoded: Encoded,
    plan: Plan,
    labels: Int[np.ndarray, " examples"],
    *,
    rows: Int[np.ndarray, " evaluate"],
    batch_size: int | None = None,
    shelf: Shelf,
    progress: Callable[[Chunk, int], None] = lambda chunk, examples: None,
) -> Outcomes:
    """Runs every distinct action of the plan on the examples ``rows``.

    Args:
        labels: of all examples of ``encoded``.
        progress: called after each unit with its chunk and the number of its examples.
    """
    actions = tuple(cell.action for cell in plan.actions)
    at = {action: i for i, action in enumerate(actions)}
    column = {int(row): i for i, row in enumerate(np.sort(rows))}
    shape = (len(actions), len(rows))
    result: dict[str, Any] = {name: np.zeros(shape, dtype) for name, dtype in FIELDS.items()}
    batches = length_batches(encoded.lengths, np.sort(rows), batch_size=batch_size)
    for chunk, chosen, scores in _units(engine, encoded, chunks(plan), batches, labels, shelf):
        places = np.ix_([at[c.action] for c in chunk.cells], [column[int(r)] for r in chosen])
        for name, values in scores.items():
            result[name][places] = values
        progress(chunk, len(chosen))
    return Outcomes(actions, **result)


def chunks(plan: Plan) -> tuple[Chunk, ...]:
    """Distinct actions grouped by route, then by first touched layer."""
    groups: dict[str, list[Cell]] = {}
    for cell in plan.actions:
        groups.setdefault(plan.routes[cell.action], []).append(cell)
    found = []
    for route, cells in sorted(groups.items()):
        ordered = sorted(cells, key=_first_layer)
        size = CHUNK.get(route, SLOW_CHUNK)
        for start in range(0, len(ordered), size):
            part = tuple(ordered[start : start + size])
            found.append(Chunk(f"{route}-{_name(part)}", route, part))
    return tuple(found)


def _units(
    engine: Engine,
    encoded: Encoded,
    work: Sequence[Chunk],
    batches: Sequence[Int[np.ndarray, " examples"]],
    labels: Int[np.ndarray, " examples"],
    shelf: Shelf,
) -> Iterator[tuple[Chunk, Int[np.ndarray, " examples"], Scores]]:
    for rows in batches:
        clean: CleanStates | None = None
        for chunk in work:
            name = f"{chunk.name}-{_rows_name(rows)}"
            scores = shelf.load(name)
            if scores is None:
                if clean is None:
                    batch = engine.classifier.collate(encoded, rows)
                    clean = clean_pass(engine.classifier, batch, rows, engine.tap)
                scores = run_chunk(engine, clean, chunk, labels[rows])
                shelf.save(name, scores)
            yield chunk, rows, scores


def run_chunk(
    engine: Engine, clean: CleanStates, chunk: Chunk, labels: Int[np.ndarray, " examples"]
) -> Scores:
    """The scores of a chunk's cells on one batch: (cells, examples)."""
    true = torch.as_tensor(labels, device=clean.logits.device)
    size, runner = stack_size(chunk.route, clean), RUNNERS[chunk.route]
    parts = [
        score(runner(engine, clean, chunk.cells[start : start + size]), clean.logits, true)
        for start in range(0, len(chunk.cells), size)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in FIELDS}


def _first_layer(cell: Cell) -> int:
    return min(cell.neurons.layers, default=-1) if cell.neurons is not None else -1


def _name(cells: Sequence[Cell]) -> str:
    return hashlib.sha256("".join(cell.action for cell in cells).encode()).hexdigest()[:16]


def _rows_name(rows: Int[np.ndarray, " examples"]) -> str:
    return hashlib.sha256(np.ascontiguousarray(rows).tobytes()).hexdigest()[:12]
