"""Which bits are flipped: at random, or where the loss rises most to first order.

In: named float32 weights. Out: flips, and the :class:`ParameterEdit` that they make. The greedy
search, which needs the model, is in :mod:`synapse_audit.interventions.edits.bit_search`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int

from synapse_audit.artifacts import ParameterChange, ParameterEdit
from synapse_audit.interventions.edits.number_formats import NumberFormat

Weights = Mapping[str, Float32[np.ndarray, "..."]]
"""Name, as in the model's ``state_dict`` → a copy of the weight."""


class Flip(NamedTuple):
    """One bit of one weight."""

    weight: str
    entry: int
    """Into the flattened weight."""
    bit: int


class Steepest(NamedTuple):
    """The entries of one weight with the largest gradients."""

    entries: Int[np.ndarray, " kept"]
    gradient: Float[np.ndarray, " kept"]


@dataclass(frozen=True)
class ChosenFlips:
    """Flips that were chosen with the model at hand; the first n of them are the choice of n."""

    selection: str
    """top: largest first-order rise of the loss; searched: greedy."""
    format: str
    kind: str
    part: str
    layer: int | None
    target: str | None
    """The class that the search drew examples to; None: away from what they were."""
    flips: tuple[Flip, ...]


def flip_changes(
    weights: Weights, flips: Sequence[Flip], format: NumberFormat
) -> tuple[ParameterChange, ...]:
    """The new values of every weight that a set of flips touches."""
    masks: dict[str, dict[int, int]] = {}
    for name, entry, bit in flips:
        mine = masks.setdefault(name, {})
        mine[entry] = mine.get(entry, 0) ^ (1 << bit)
    changes = []
    for name, mine in masks.items():
        index = np.array(sorted(mine), dtype=np.int64)
        before = weights[name].reshape(-1)[index]
        mask = np.array([mine[int(i)] for i in index], dtype=np.uint32)
        after = format.flipped(before, mask, format.scale(weights[name]))
        changes.append(ParameterChange(name, index, before, after))
    return tuple(changes)


def flip_edit(
    weights: Weights, flips: Sequence[Flip], format: NumberFormat, layer: int | None
) -> ParameterEdit:
    """The edit that a set of flips makes."""
    return ParameterEdit(flip_changes(weights, flips, format), layer, bits=len(flips))


def random_flips(
    weights: Weights, bits: Sequence[int], n: int, generator: np.random.Generator
) -> tuple[Flip, ...]:
    """``n`` distinct bits of the given places, uniform over all entries; nested over n.

    Fewer where there are not so many bits.
    """
    sizes = np.array([weight.size for weight in weights.values()])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    total = int(starts[-1]) * len(bits)
    places = generator.choice(total, size=min(n, total), replace=False)
    names = list(weights)
    found = []
    for place in places:
        entry, bit = divmod(int(place), len(bits))
        owner = int(np.searchsorted(starts, entry, side="right")) - 1
        found.append(Flip(names[owner], entry - int(starts[owner]), bits[bit]))
    return tuple(found)


def ranked_flips(
    weights: Weights,
    steepest: Mapping[str, Steepest],
    format: NumberFormat,
    bits: Sequence[int],
    n: int,
    *,
    taken: Sequence[Flip] = (),
) -> tuple[Flip, ...]:
    """The ``n`` flips, one per entry, with the largest gradient · change of the weight.

    That is the rise of the loss to first order; for an exponent's top bit the change is far too
    large for first order to hold, so this is a ranking and no estimate. Only flips that change
    the weight and raise the loss count, and only the steepest entries are looked at.

    Args:
        taken: flips already made; ``weights`` are those before them.
    """
    found: list[tuple[float, Flip]] = []
    for name, (index, gradient) in steepest.items():
        rises = _rises(weights[name], index, gradient, format, bits, _masks(name, index, taken))
        best = rises.argmax(axis=0)
        for column in np.argsort(-rises.max(axis=0), kind="stable")[:n]:
            rise = float(rises[best[column], column])
            if rise > 0:
                found.append((rise, Flip(name, int(index[column]), bits[int(best[column])])))
    found.sort(key=lambda pair: -pair[0])
    return tuple(flip for _, flip in found[:n])


def _masks(
    name: str, index: Int[np.ndarray, " kept"], taken: Sequence[Flip]
) -> Int[np.ndarray, " kept"]:
    """Bits of each entry that are flipped already."""
    masks = np.zeros(len(index), dtype=np.int64)
    for flip in taken:
        if flip.weight == name:
            masks[index == flip.entry] ^= 1 << flip.bit
    return masks


def _rises(
    weight: Float32[np.ndarray, "..."],
    index: Int[np.ndarray, " kept"],
    gradient: Float[np.ndarray, " kept"],
    format: NumberFormat,
    bits: Sequence[int],
    masks: Int[np.ndarray, " kept"],
) -> Float[np.ndarray, "bits kept"]:
    """First-order rise per bit and entry; −∞ where a flip changes nothing or is taken back."""
    values, scale = weight.reshape(-1)[index], format.scale(weight)
    now = format.flipped(values, masks.astype(np.uint32), scale).astype(np.float64)
    rows = []
    for bit in bits:
        new = format.flipped(values, (masks ^ (1 << bit)).astype(np.uint32), scale)
        with np.errstate(invalid="ignore", over="ignore"):
            rise = gradient * np.clip(new.astype(np.float64) - now, -1e300, 1e300)
        usable = (new != now) & ((masks >> bit) & 1 == 0) & ~np.isnan(rise)
        rows.append(np.where(usable, rise, -np.inf))
    return np.stack(rows)
