"""Differences of figures between two models on the same examples, all of them at once.

Both models' contributions are resampled together, example by example, and tested by swapping all
that the two models did to an example at random. Where the models are exchangeable the test is exact
whatever the figure, so a difference is called one only where the test says so too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.compare.paired import LEVEL, holm
from synapse_audit.compare.per_example import Contribution
from synapse_audit.compare.swapping import SWAPS, p_value
from synapse_audit.effects.selection import widened
from synapse_audit.memory import row_chunks
from synapse_audit.statistics import Z_975, interval
from synapse_audit.summary import Figure, Keys, entry_of

SHARES = ("share", "difference of shares")
"""Units of means over examples of something within [−1, 1]."""

Both = tuple[Contribution, Contribution]


class Sample(NamedTuple):
    """The examples that both models evaluated."""

    weights: Float[np.ndarray, " examples"]
    resampled: Float[np.ndarray, "examples resamples"]
    units: Int[np.ndarray, " examples"]
    """What is swapped as a whole: the example, or the group that it is of; numbered from 0."""
    seed: int


def joint_differences(pairs: Mapping[Keys, Both], sample: Sample, *, among: int) -> list[Figure]:
    """Second minus first of every figure; intervals and tests hold for ``among`` figures at once.

    Intervals are paired percentile intervals, made wider for what was not seen (one example that
    gains, one that loses; Bonett & Price 2012), for the gap to the grid's next point, and for the
    number of figures (Bonferroni). They hold 0 unless the swap test, corrected by Holm's method,
    excludes it.
    """
    found = [_bootstrapped(keys, both, sample, among) for keys, both in pairs.items()]
    draws = swapped(list(pairs.values()), sample)
    tested = [p_value(one.value, some) for one, some in zip(found, draws, strict=True)]
    # Figures claimed elsewhere count as if their p values were larger.
    corrected = holm([*tested, *[1.0] * (among - len(pairs))])
    return [
        one if p <= LEVEL else Figure(one.value, min(one.low, 0.0), max(one.high, 0.0), n=one.n)
        for one, p in zip(found, corrected[: len(found)], strict=True)
    ]


def own_value(given: Contribution, weights: Float[np.ndarray, " examples"]) -> float:
    """The figure on the examples themselves."""
    return float(given.value((weights @ given.columns)[:, None])[0])


def _bootstrapped(keys: Keys, both: Both, sample: Sample, among: int) -> Figure:
    first, second = (own_value(one, sample.weights) for one in both)
    value = second - first
    samples = [one.value(one.columns.T @ sample.resampled) for one in both]
    ends = interval((samples[1] - samples[0])[None, :])
    below, above = value - float(ends.low[0]), float(ends.high[0]) - value
    n = min(_size(one, sample.weights) for one in both)
    entry = entry_of(keys)
    if entry is not None and entry.unit in SHARES and not both[0].gap:
        unseen = Z_975 * np.sqrt(2.0) / (n + 2.0)
        below, above = np.hypot(max(below, 0.0), unseen), np.hypot(max(above, 0.0), unseen)
    wide = widened(np.array(0.0), np.array(-below), np.array(above), among=among)
    low = value + float(wide.low) - both[0].gap - both[1].below
    high = value + float(wide.high) + both[1].gap + both[0].below
    return Figure(value, low, high, n=int(n))


def _size(one: Contribution, weights: Float[np.ndarray, " examples"]) -> float:
    """Effective number of the examples that count."""
    counted = weights * one.columns[:, -1]
    return float(counted.sum() ** 2 / max((counted**2).sum(), 1e-300))


def swapped(pairs: Sequence[Both], sample: Sample) -> list[Float[np.ndarray, " swaps"]]:
    """Second minus first of every figure under random swaps of the two models, unit by unit."""
    if not pairs:
        return []
    one, other = (np.concatenate([both[i].columns for both in pairs], axis=1) for i in (0, 1))
    middle = sample.weights @ (one + other) / 2
    half = sample.weights[:, None] * (other - one) / 2
    units = np.zeros((int(sample.units.max()) + 1, half.shape[1]))
    np.add.at(units, sample.units, half)
    generator = np.random.default_rng([sample.seed, 2])
    parts = []
    for some in row_chunks(SWAPS, len(units)):
        shape = (len(range(*some.indices(SWAPS))), len(units))
        apart = (generator.integers(0, 2, shape) * 2.0 - 1.0) @ units
        parts.append(list(_values(pairs, (middle - apart).T, (middle + apart).T)))
    return [np.concatenate(found) for found in zip(*parts, strict=True)]


def _values(
    pairs: Sequence[Both], first: Float[np.ndarray, "columns draws"], second: np.ndarray
) -> Iterator[Float[np.ndarray, " draws"]]:
    start = 0
    for both in pairs:
        here = slice(start, start + both[0].columns.shape[1])
        start = here.stop
        yield both[1].value(second[here]) - both[0].value(first[here])
