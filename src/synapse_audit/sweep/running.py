"""The loop: batches of examples × chunks of cells; each finished unit is kept at once.

In: a plan. Out: :class:`Outcomes`. A unit is one batch of examples under one chunk of cells of one
route; its clean states live only while its batch runs, whatever the amount of data.
Who runs the units is the caller's choice (:mod:`synapse_audit.sweep.executors`): they may come back
in any order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from synapse_audit.artifacts import Cell, Outcomes, ParameterEdit, Plan
from synapse_audit.memory import Allocate, in_memory, release_memory
from synapse_audit.model import Encoded
from synapse_audit.model.activations import length_batches
from synapse_audit.plan import HEAD, STREAM
from synapse_audit.sweep.clean import CleanStates, clean_pass
from synapse_audit.sweep.engine import Engine
from synapse_audit.sweep.pairs import run_pairs
from synapse_audit.sweep.runners import RUNNERS, stack_size
from synapse_audit.sweep.score import Scores, score


@runtime_checkable
class UnitStore(Protocol):
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


@dataclass(frozen=True)
class Unit:
    """One batch of examples under one chunk of cells."""

    chunk: Chunk
    rows: Int[np.ndarray, " examples"]
    wanted: Bool[np.ndarray, "cells examples"] | None = None
    """The pairs that are run, where not all are; the scores of the others are 0."""

    @cached_property
    def batch(self) -> str:
        """Name of the batch: a hash of its rows."""
        return _hash(self.rows)

    @property
    def name(self) -> str:
        """Under which the unit store keeps it."""
        some = "" if self.wanted is None else f"-{_hash(np.packbits(self.wanted))}"
        return f"{self.chunk.name}-{self.batch}{some}"

    @property
    def pairs(self) -> int:
        """Pairs of cell and example that are run."""
        every = len(self.chunk.cells) * len(self.rows)
        return every if self.wanted is None else int(self.wanted.sum())


def _hash(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:12]


@dataclass(frozen=True)
class Work:
    """Units that are still to be run, batch by batch, and what running them takes."""

    engine: Engine
    encoded: Encoded
    labels: Int[np.ndarray, " examples"]
    """Of all examples of ``encoded``."""
    units: tuple[Unit, ...]


class Done(NamedTuple):
    """A unit that was run."""

    unit: Unit
    scores: Scores


Execute = Callable[[Work], Generator[Done]]
"""Runs every unit once and hands each back as soon as it is done, in any order; what it has started
ends when it is closed."""


CHUNK = {HEAD: 2048, STREAM: 1024}
"""Cells per unit; the routes that run many tokens take ``SLOW_CHUNK``."""

SLOW_CHUNK = 128


def sweep(
    engine: Engine,
    encoded: Encoded,
    plan: Plan,
    labels: Int[np.ndarray, " examples"],
    *,
    rows: Int[np.ndarray, " evaluate"] | None = None,
    wanted: Shaped[np.ndarray, "actions evaluate"] | None = None,
    onto: Scores | None = None,
    batch_size: int | None = None,
    unit_store: UnitStore | None = None,
    progress: Callable[[int], None] = lambda pairs: None,
    execute: Execute | None = None,
) -> Outcomes:
    """Runs every distinct action of the plan on the examples ``rows``.

    Args:
        labels: of all examples of ``encoded``.
        rows: the examples to run; all where None.
        wanted: not 0 for the pairs of action and example (ascending) to run, where not all. For
            actions on the suffix route that rewrite pooled rows alone.
        onto: what the outcomes are written on, (actions, examples), in the order of the plan's
            actions; pairs that are not run keep what stands there. Zeros where None.
        unit_store: where finished units are kept and looked for; nowhere where None.
        progress: called after each unit with its number of pairs.
        execute: who runs the units; :func:`in_order` where None.
    """
    actions = tuple(cell.action for cell in plan.actions)
    rows = np.arange(len(labels)) if rows is None else np.sort(rows)
    result: Any = blank(len(actions), len(rows), engine.fields) if onto is None else onto
    sheet = Sheet(result, {action: i for i, action in enumerate(actions)}, rows)
    batches = length_batches(encoded.lengths, rows, batch_size=batch_size)
    work = chunks(plan, engine.number_format)
    units = (sheet.chosen(unit, wanted) for unit in _units(work, batches))
    waiting: list[Unit] = []
    for unit in (unit for unit in units if unit.pairs):
        kept = None if unit_store is None else unit_store.load(unit.name)
        if kept is None:
            waiting.append(unit)
        else:
            sheet.put(unit, kept)
            progress(unit.pairs)
    with closing((execute or in_order)(Work(engine, encoded, labels, tuple(waiting)))) as done:
        for unit, scores in done:
            if unit_store is not None:
                unit_store.save(unit.name, scores)
            sheet.put(unit, scores)
            progress(unit.pairs)
    return Outcomes(actions, **result)


class Sheet(NamedTuple):
    """The outcomes while they are written: where the scores of each unit belong."""

    scores: Any
    """Name → (actions, examples); filled in place."""
    row_of: Mapping[str, int]
    """Action → its row."""
    examples: Int[np.ndarray, " evaluate"]
    """The examples of the columns, ascending."""

    def chosen(self, unit: Unit, wanted: Shaped[np.ndarray, "actions evaluate"] | None) -> Unit:
        """The unit with those of its pairs that are to be run; all where ``wanted`` is None."""
        if wanted is None:
            return unit
        cells, examples = self._places(unit)
        return replace(unit, wanted=wanted[np.ix_(cells, examples)] != 0)

    def put(self, unit: Unit, scores: Scores) -> None:
        """Writes the scores of the pairs that were run; the others keep what stands there."""
        cells, examples = self._places(unit)
        whole = unit.wanted is None
        done = np.ones((len(cells), len(examples)), bool) if whole else unit.wanted
        cell, example = np.asarray(done).nonzero()
        for name, values in scores.items():
            self.scores[name][cells[cell], examples[example]] = values[done]

    def _places(self, unit: Unit) -> tuple[Int[np.ndarray, " cells"], Int[np.ndarray, " examples"]]:
        """Rows and columns of a unit's cells and examples."""
        cells = np.array([self.row_of[cell.action] for cell in unit.chunk.cells])
        return cells, np.searchsorted(self.examples, unit.rows)


def blank(
    actions: int,
    examples: int,
    kinds: Mapping[str, type[np.generic]],
    allocate: Allocate = in_memory,
) -> Scores:
    """Zeros for all that is kept of every pair (:attr:`Engine.fields`)."""
    shape = (actions, examples)
    return {name: allocate(name, shape, dtype) for name, dtype in kinds.items()}


def chunks(plan: Plan, number_format: str = "") -> tuple[Chunk, ...]:
    """Distinct actions grouped by route and site, then by first touched layer.

    ``number_format``: coarser than the model's own, where it is; part of the names of kept units.
    """
    prefix = f"{number_format}-" if number_format else ""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in plan.actions:
        groups.setdefault((plan.routes[cell.action], cell.site), []).append(cell)
    found = []
    for (route, _), cells in sorted(groups.items()):
        ordered = sorted(cells, key=_first_layer)
        size = CHUNK.get(route, SLOW_CHUNK)
        for start in range(0, len(ordered), size):
            part = tuple(ordered[start : start + size])
            found.append(Chunk(f"{prefix}{route}-{_name(part)}", route, part))
    return tuple(found)


def _units(work: Sequence[Chunk], batches: Iterable[Int[np.ndarray, " _"]]) -> Iterator[Unit]:
    return (Unit(chunk, rows) for rows in batches for chunk in work)


def in_order(work: Work) -> Generator[Done]:
    """Runs the units one after the other in this process; one clean pass per batch."""
    for _, units in groupby(work.units, key=lambda unit: unit.batch):
        yield from _one_batch(work, list(units))
        release_memory()


def _one_batch(work: Work, units: Sequence[Unit]) -> Generator[Done]:
    engine, rows = work.engine, units[0].rows
    batch = engine.classifier.collate(work.encoded, rows)
    clean = clean_pass(engine.classifier, batch, rows, engine.tap)
    for unit in units:
        yield Done(unit, run_chunk(engine, clean, unit.chunk, work.labels[rows], unit.wanted))


def run_chunk(
    engine: Engine,
    clean: CleanStates,
    chunk: Chunk,
    labels: Int[np.ndarray, " examples"],
    wanted: Bool[np.ndarray, "cells examples"] | None = None,
) -> Scores:
    """The scores of a chunk's cells on one batch: (cells, examples)."""
    true = torch.as_tensor(labels, device=clean.logits.device)
    if wanted is not None:
        return _score_pairs(engine, clean, chunk, true, wanted)
    size, runner = stack_size(chunk.route, len(clean.examples)), RUNNERS[chunk.route]
    parts = [
        score(
            runner(engine, clean, chunk.cells[start : start + size]),
            clean.logits,
            true,
            engine.benign,
            engine.classifier.decision,
        )
        for start in range(0, len(chunk.cells), size)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _score_pairs(
    engine: Engine,
    clean: CleanStates,
    chunk: Chunk,
    true: Int[Tensor, " examples"],
    wanted: Bool[np.ndarray, "cells examples"],
) -> Scores:
    example = torch.as_tensor(wanted.nonzero()[1], device=clean.logits.device)
    logits = run_pairs(engine, clean, chunk.cells, wanted)
    decision = engine.classifier.decision
    found = score(logits[None], clean.logits[example], true[example], engine.benign, decision)
    scores = {name: np.zeros(wanted.shape, values.dtype) for name, values in found.items()}
    for name, values in found.items():
        scores[name][wanted] = values[0]
    return scores


def _first_layer(cell: Cell) -> int:
    if isinstance(cell.edit, ParameterEdit):
        return -1 if cell.edit.layer is None else cell.edit.layer
    return min(cell.neurons.layers, default=-1) if cell.neurons is not None else -1


def _name(cells: Sequence[Cell]) -> str:
    return hashlib.sha256("".join(cell.action for cell in cells).encode()).hexdigest()[:16]
