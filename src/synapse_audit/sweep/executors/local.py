"""Runs the units on this machine: in one process per core, or in this process alone.

Where there are fewer batches than keep every process busy, units are cut by cells. The scores of a
cell are the same up to the order in which sums are taken, which may change with the height of the
stack that a cell is run in.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from math import ceil
from typing import NamedTuple

import numpy as np
import torch

from synapse_audit.errors import UsageError
from synapse_audit.machine import available_memory, core_limit
from synapse_audit.memory import release_memory
from synapse_audit.model import Classifier
from synapse_audit.model.activations import TOKENS_PER_BATCH, largest_batch
from synapse_audit.plan import STREAM
from synapse_audit.sweep import (
    CleanStates,
    Done,
    Execute,
    Scores,
    Unit,
    Work,
    clean_pass,
    in_order,
    run_chunk,
)
from synapse_audit.sweep.cost import SLOW, route_work
from synapse_audit.sweep.executors.forked import can_fork, run_forked
from synapse_audit.sweep.runners import stack_size

SHARES = 16
"""A task is at most this part of what a process does in a sweep, so that all end at one time."""


def check(workers: int | None, address: str | None) -> None:
    """Refuses what this engine cannot do.

    Raises:
        UsageError: an address, which means a cluster; several workers where processes cannot be
            copied.
    """
    if address is not None:
        raise UsageError(
            f"address '{address}' given with engine 'local', which runs on this machine alone; "
            "expected engine 'ray'"
        )
    if workers is not None and workers > 1 and not can_fork():
        raise UsageError(
            f"workers '{workers}' given with engine 'local', which copies processes on Linux, "
            "without a GPU, and not within another program's helper process; expected 1, or engine "
            "'ray'"
        )


@contextmanager
def start(workers: int | None, address: str | None) -> Iterator[Execute]:
    """Processes start with each sweep and end with it."""
    check(workers, address)

    def execute(work: Work) -> Generator[Done]:
        largest = largest_batch(work.encoded.lengths, (unit.rows for unit in work.units))
        number = processes(work.engine.classifier, workers, tokens=largest)
        alone = number == 1 or not work.units
        return in_order(work) if alone else _in_processes(work, number)

    yield execute


def processes(
    classifier: Classifier, workers: int | None = None, *, tokens: int = TOKENS_PER_BATCH
) -> int:
    """How many processes run a classifier's units.

    Where nobody says it, as many as torch has threads (``OMP_NUM_THREADS``), if memory and a
    container's limits allow. One where processes cannot be copied, or a part of the classifier is
    not on the CPU.

    Args:
        tokens: of the largest batch, padded.
    """
    if set(classifier.devices) != {"cpu"} or not can_fork():
        return 1
    if workers is not None:
        return workers
    free, each = available_memory(), 2 * batch_memory(sum(classifier.widths), tokens)
    limits = (core_limit(), free // each if free is not None and each else None)
    return max(1, min([torch.get_num_threads(), *(n for n in limits if n is not None)]))


@contextmanager
def threads_of(number: int) -> Iterator[None]:
    """Torch's threads as a process has them where there are so many: to time what it does."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if number == 1 else 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def batch_memory(width: int, tokens: int) -> int:
    """Bytes of the clean states of a batch: states, keys and values of every block.

    Args:
        width: of all blocks together; 0 where it is not known.
        tokens: of the batch, padded.
    """
    return 3 * 4 * tokens * width


class _Piece(NamedTuple):
    """Some of the cells of a unit."""

    unit: int
    start: int
    stop: int


def _in_processes(work: Work, number: int) -> Generator[Done]:
    """Hands each unit back when all of its pieces are done."""
    parts: dict[int, dict[int, Scores]] = {i: {} for i in range(len(work.units))}
    tasks = run_forked(_Runner(work), _pieces(work, number), number)
    with closing(tasks):
        for piece, scores in tasks:
            unit, done = work.units[piece.unit], parts[piece.unit]
            done[piece.start] = scores
            cells = sum(len(next(iter(part.values()))) for part in done.values())
            if cells == len(unit.chunk.cells):
                yield Done(unit, _joined([done[start] for start in sorted(done)]))
                del parts[piece.unit]
    if parts:  # it would stay zeros without a word
        raise RuntimeError(f"{len(parts)} units were not run")


def _pieces(work: Work, number: int) -> list[list[_Piece]]:
    """The pieces of each batch, the longest batches first."""
    costs = [_cost(work, unit) for unit in work.units]
    most = sum(costs) / (SHARES * number)
    numbered = zip(range(len(costs)), work.units, strict=True)
    return [
        [piece for i, unit in batch for piece in _cut(i, unit, ceil(costs[i] / most))]
        for _, batch in groupby(numbered, key=lambda item: item[1].batch)
    ]


def _cut(number: int, unit: Unit, parts: int) -> list[_Piece]:
    """At most so many pieces, and only between stacks: in bfloat16 the height of a stack shows."""
    cells, route = len(unit.chunk.cells), unit.chunk.route
    each = 1 if unit.wanted is None else cells  # its pairs are stacked across cells
    if route == STREAM:
        each = stack_size(route, len(unit.rows))
    stacks = ceil(cells / each)
    ends = each * np.linspace(0, stacks, min(parts, stacks) + 1).round().astype(int)
    return [_Piece(number, a, b) for a, b in pairwise(np.minimum(ends, cells).tolist())]


def _cost(work: Work, unit: Unit) -> float:
    """Of units of one sweep, in proportion: padded tokens times blocks that run."""
    cells, layers = unit.chunk.cells, work.engine.classifier.n_layers
    blocks = route_work(cells, unit.chunk.route, layers) if unit.chunk.route in SLOW else 1.0
    each = max(blocks, 1.0) / len(cells)
    return each * max(1, unit.pairs) * float(work.encoded.lengths[unit.rows].max())


def _joined(parts: Sequence[Scores]) -> Scores:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@dataclass
class _Runner:
    """Runs pieces; the clean states of the latest batch are kept."""

    work: Work
    clean: tuple[str, CleanStates] | None = None

    def __call__(self, piece: _Piece) -> Scores:
        engine, unit = self.work.engine, self.work.units[piece.unit]
        some = slice(piece.start, piece.stop)
        chunk = replace(unit.chunk, cells=unit.chunk.cells[some])
        wanted = None if unit.wanted is None else unit.wanted[some]
        labels = self.work.labels[unit.rows]
        return run_chunk(engine, self._clean(unit), chunk, labels, wanted)

    def _clean(self, unit: Unit) -> CleanStates:
        if self.clean is None or self.clean[0] != unit.batch:
            self.clean = None  # frees the last batch before the next one needs the memory
            release_memory()
            engine, encoded = self.work.engine, self.work.encoded
            batch = engine.classifier.collate(encoded, unit.rows)
            passed = clean_pass(engine.classifier, batch, unit.rows, engine.tap)
            self.clean = (unit.batch, passed)
        return self.clean[1]
