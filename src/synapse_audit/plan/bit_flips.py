"""Cells that flip bits of weights: random, ranked and searched, in several number formats.

Random flips are drawn here; those that need the model (largest first-order rise of the loss, greedy
search) come ready in :attr:`PlanInputs.flips`. ``strength`` = number of bits.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from synapse_audit.artifacts import Cell
from synapse_audit.interventions.edits import (
    FORMATS,
    HEAD,
    ChosenFlips,
    Flip,
    Part,
    counts_of,
    flip_edit,
    formats_of,
    kinds_of,
    random_flips,
)
from synapse_audit.plan.plan_inputs import PlanInputs

OPERATOR = "bit_flip"

HEAD_DRAWS, BLOCK_DRAWS = 5, 3
"""Random draws at most: a cell of the head is nearly free, one of a block is not."""


def flip_cells(s: PlanInputs) -> Iterator[Cell]:
    """Every kind of flip that the grid names, for every part of the model that was found."""
    for part in s.parts:
        if not _flippable(part):
            continue
        for format in formats_of(s.grid.bit_formats, part.name):
            for kind in kinds_of(format, part.name):
                yield from _random_cells(s, part, format, kind)
            for chosen in s.flips:
                if (chosen.part, chosen.layer, chosen.format) == (part.name, part.layer, format):
                    yield from _chosen_cells(s, part, chosen)


def _flippable(part: Part) -> bool:
    """Matrices only: gains are scaled instead."""
    return all(weight.ndim == 2 for weight in part.weights.values())


def _random_cells(s: PlanInputs, part: Part, format: str, kind: str) -> Iterator[Cell]:
    counts = counts_of(s.grid.bit_counts, part.name)
    for draw in s.draws[: HEAD_DRAWS if part.name == HEAD else BLOCK_DRAWS]:
        key = zlib.crc32(f"{format} {kind} {part.name} {part.layer}".encode())
        generator = np.random.default_rng(np.random.SeedSequence([s.seed, draw, 4, key]))
        bits = FORMATS[format].bits(kind)
        flips = random_flips(part.weights, bits, max(counts), generator)
        for n in counts:
            cell = _cell(part, format, kind, flips[:n])
            yield replace(cell, selection="random", draw=draw, strength=float(n))


def _chosen_cells(s: PlanInputs, part: Part, chosen: ChosenFlips) -> Iterator[Cell]:
    counts: Sequence[int] = counts_of(s.grid.bit_counts, part.name)
    if chosen.selection == "searched":
        counts = range(1, len(chosen.flips) + 1)
    for n in (n for n in counts if n <= len(chosen.flips)):
        cell = _cell(part, chosen.format, chosen.kind, chosen.flips[:n])
        yield replace(cell, selection=chosen.selection, target=chosen.target, strength=float(n))


def _cell(part: Part, format: str, kind: str, flips: Sequence[Flip]) -> Cell:
    return Cell(
        "weight",
        OPERATOR,
        "head_weight" if part.name == HEAD else "block_weight",
        layers=None if part.layer is None else str(part.layer),
        part=part.name,
        format=format,
        bit_kind=kind,
        edit=flip_edit(part.weights, flips, FORMATS[format], part.layer),
    )
