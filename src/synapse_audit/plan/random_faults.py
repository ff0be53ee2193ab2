"""Random faults: one bit of one number of the model, drawn by kind of tensor and kind of bit.

Bits of the exponent are few and break most; bits of the mantissa are many and break nothing. So
each kind of tensor × kind of bit is a stratum of its own, whose faults are drawn without
replacement from all of its bits; what the strata weigh together is their number of bits.

Source: statistical fault injection, Leveugle et al. 2009 (DATE), with the strata by bit that
Ruospo et al. 2023 (DATE) found necessary.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from synapse_audit.artifacts import Cell
from synapse_audit.config import Grid
from synapse_audit.interventions.edits import (
    FORMATS,
    HEAD,
    Flip,
    NumberFormat,
    Part,
    flip_edit,
    random_flips,
    weights_of,
)
from synapse_audit.plan.plan_inputs import PlanInputs

OPERATOR = "random_fault"

DEFAULT_FORMAT = "fp32"
"""Where the grid names no number format."""

PURPOSE = 6
"""What keys the random numbers besides seed and stratum."""


class Stratum(NamedTuple):
    """The bits of one kind in one kind of tensor."""

    part: str
    bit_kind: str
    population: int
    """How many bits there are."""
    faults: int
    """How many of them are drawn."""


def fault_cells(s: PlanInputs) -> Iterator[Cell]:
    """The random faults of every stratum, each a cell of its own."""
    format = fault_format(s.grid)
    for stratum in fault_strata(weights_of(s.every), s.grid):
        parts = [part for part in s.every if part.name == stratum.part]
        homes = {name: part for part in parts for name in part.weights}
        weights = {name: part.weights[name] for name, part in homes.items()}
        flips = random_flips(
            weights, bits_of(format)[stratum.bit_kind], stratum.faults, _generator(s, stratum)
        )
        for draw, flip in enumerate(flips):
            cell = _cell(homes[flip.weight], flip, format)
            yield replace(cell, bit_kind=stratum.bit_kind, draw=draw)


def fault_strata(weights: Mapping[str, int], grid: Grid) -> tuple[Stratum, ...]:
    """Every stratum with its share of the faults that the grid asks for; none where it asks none.

    Half of them are dealt evenly, so that rare bits are seen, half by number of bits, which keeps
    the margin over all bits narrow. Each has at least one, and no more than it has bits.

    Args:
        weights: kind of tensor → how many numbers of it the model has.
    """
    bits = bits_of(fault_format(grid))
    kinds = [(part, kind) for part in weights for kind in bits]
    sizes = np.array([weights[part] * len(bits[kind]) for part, kind in kinds], dtype=np.float64)
    if not grid.faults or not kinds:
        return ()
    quota = grid.faults / 2 * (1 / len(kinds) + sizes / sizes.sum())
    dealt = np.diff(np.round(np.cumsum(quota)), prepend=0.0)
    faults = np.minimum(np.maximum(dealt, 1), sizes)
    return tuple(
        Stratum(part, kind, int(size), int(n))
        for (part, kind), size, n in zip(kinds, sizes, faults, strict=True)
    )


def fault_format(grid: Grid) -> NumberFormat:
    """The number format whose bits are flipped: the grid's first, else fp32."""
    return FORMATS[(*grid.bit_formats, DEFAULT_FORMAT)[0]]


def bits_of(format: NumberFormat) -> dict[str, tuple[int, ...]]:
    """Kind of bit → its places; together every bit of a number, once."""
    kinds = {
        "sign": (format.sign,),
        "exponent_msb": format.exponent[-1:],
        "exponent_rest": format.exponent[:-1],
        "mantissa": format.mantissa,
    }
    return {kind: places for kind, places in kinds.items() if places}


def _cell(part: Part, flip: Flip, format: NumberFormat) -> Cell:
    outside = "head_weight" if part.name == HEAD else "outer_weight"
    return Cell(
        "weight",
        OPERATOR,
        "block_weight" if part.layer else outside,
        strength=1.0,
        layers=str(part.layer) if part.layer else None,
        selection="random",
        part=part.name,
        format=format.name,
        weight=f"{flip.weight}[{flip.entry}]",
        bit=flip.bit,
        edit=flip_edit(part.weights, [flip], format, part.layer),
    )


def _generator(s: PlanInputs, stratum: Stratum) -> np.random.Generator:
    key = zlib.crc32(f"{stratum.part} {stratum.bit_kind}".encode())
    return np.random.default_rng(np.random.SeedSequence([s.seed, PURPOSE, key]))
