"""A sample of the examples for cells that only exact passes can answer.

Nothing cheap stands in for a rewrite of every token, a changed weight of a block or an attack. So
such a cell runs on a stratified sample, the same for all cells of a kind (all that is compared is
paired), drawn by what the untouched model says: by class, by whether it is right, and by how far
ahead the right class is. Each sampled example stands for N_h / n_h of its stratum (Cochran 1977,
chapter 5; two phases: 12.2). What is known of all examples, the clean answers, is thereby kept: an
edit that changes nothing gives the clean accuracy exactly.

Strata too small to show anything of their own are joined: first a class's margins, then rights and
wrongs of small classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from synapse_audit.artifacts import Pooled
from synapse_audit.sweep.subsample import Subsampling

LEAST_STRATUM = 8
"""Examples that a stratum gives to the sample at least, or all it has."""

HALVED = 4 * LEAST_STRATUM
"""Right answers of a class from which they are split at their median margin."""

WRONG, DOUBTFUL, SURE = range(3)
"""What the untouched model makes of an example."""

BLOCKS = (2, 4)
"""Numbers of parts into which examples are dealt for random sets of which only a mean is
reported."""

HALVES = 2
"""Parts into which a sample is dealt."""

SETS_PER_BLOCK = 2
"""Random sets of a pool for each part, at least: one alone would say nothing of their spread."""

LEAST_DEALT = 400
"""Examples that are dealt, at least."""

MOST = 0.8
"""Share of the examples beyond which a sample saves too little to be drawn."""

LEAST_SAMPLE = 60
"""Size of the smallest sample."""

REFERENCE = 0.01
"""Precision at which a grid's sample sizes are meant."""


@dataclass(frozen=True)
class Sample:
    """Examples drawn for some actions, and how many of all each one stands for."""

    rows: Int[np.ndarray, " chosen"]
    """Ascending."""
    design_weight: Float[np.ndarray, " evaluate"]
    """Of all examples, float32; 0 where not drawn."""
    strata: Int[np.ndarray, " evaluate"]
    predicted: Int[np.ndarray, " evaluate"]
    """Class that the untouched model predicts."""
    dealt_from: Float[np.ndarray, " evaluate"] | None = None
    """``design_weight`` of what it is a part of; None where it is a part of nothing."""

    @property
    def whole(self) -> Float[np.ndarray, " evaluate"]:
        """What it is a part of, or its own."""
        return self.design_weight if self.dealt_from is None else self.dealt_from


@dataclass(frozen=True)
class Sampled:
    """A sample and the actions that run on it, exactly or in two phases."""

    sample: Sample
    actions: frozenset[str]


def sample_size(size: int, precision: float) -> int:
    """``size`` is meant at a precision of .01; half widths go with 1/√n.

    >>> [sample_size(250, p) for p in (0.01, 0.005, 0.02, 0.2)]
    [250, 1000, 62, 60]
    """
    return max(LEAST_SAMPLE, round(size * (REFERENCE / precision) ** 2))


def draw_sample(
    rows: Int[np.ndarray, " evaluate"],
    labels: Int[np.ndarray, " evaluate"],
    logits: Float[np.ndarray, "evaluate classes"],
    *,
    numbers: Float[np.ndarray, " evaluate"],
    size: int,
    parts: int = 1,
) -> Sample | None:
    """Draws about ``size`` examples; None where that is most of them.

    Args:
        rows: ascending.
        labels: of these rows.
        logits: of the untouched model.
        numbers: each example's random number, evenly spread within every class; the smallest of a
            stratum are drawn.
        parts: how many the sample is to be dealt into; strata are large enough for each.
    """
    if size >= MOST * len(rows):
        return None
    strata = strata_of(labels, logits, size // parts)
    members = np.bincount(strata)
    wanted = allocation(members, size, parts * LEAST_STRATUM)
    design_weight = np.zeros(len(rows), np.float32)
    for stratum, n in enumerate(wanted):
        inside = np.flatnonzero(strata == stratum)
        drawn = inside[np.argsort(numbers[inside], kind="stable")[:n]]
        design_weight[drawn] = members[stratum] / n
    chosen = rows[design_weight > 0]
    return Sample(chosen, design_weight, strata, logits.argmax(axis=1))


def halved(pools: Mapping[str, Pooled]) -> dict[str, Pooled]:
    """Random sets that meet one half of a sample: of pools with two for each half at least."""
    return {a: pool for a, pool in pools.items() if pool.size >= HALVES * SETS_PER_BLOCK}


def draw_halves(
    sample: Sample, numbers: Float[np.ndarray, " evaluate"], pools: Mapping[str, Pooled]
) -> tuple[Sampled, ...]:
    """Deals a sample into halves, each for every other of a pool's random sets.

    Half of them meet each half, so that what all say together rests on the whole sample.

    Args:
        pools: as :func:`halved` leaves them.
    """
    if not pools:
        return ()
    forced = np.zeros(int(sample.strata.max()) + 1, dtype=bool)
    halves = _dealt(sample, numbers, HALVES, forced)
    return tuple(
        Sampled(half, frozenset(a for a, pool in pools.items() if pool.place % HALVES == place))
        for place, half in enumerate(halves)
    )


def blocks_of(pool: Pooled, examples: int) -> int:
    """Parts into which the examples are dealt for the sets of a pool; 1: every set meets all."""
    most = pool.size // SETS_PER_BLOCK if examples >= LEAST_DEALT else 1
    return max((blocks for blocks in BLOCKS if blocks <= most), default=1)


def draw_blocks(
    chosen: Subsampling,
    labels: Int[np.ndarray, " evaluate"],
    logits: Float[np.ndarray, "evaluate classes"],
) -> tuple[Sampled, ...]:
    """Deals the examples into 2 or 4 parts, each for as many of every pool's random sets.

    So every set meets a quarter of the examples and every example a quarter of the sets, or half
    where a pool has fewer than eight; what all say together rests on all (incomplete blocks,
    Cochran & Cox 1957, chapter 11). The pilot's examples and strata too small to be dealt are met
    by every set. None is dealt where there are too few examples.
    """
    if chosen.all_exact:
        return ()
    found = []
    for blocks in BLOCKS:
        own = {a: p for a, p in chosen.pools.items() if blocks_of(p, len(labels)) == blocks}
        if not own:
            continue
        for block, sample in enumerate(_parts(chosen, labels, logits, blocks)):
            mine = frozenset(a for a, pool in own.items() if pool.place % blocks == block)
            found.append(Sampled(sample, mine))
    return tuple(found)


def _parts(
    chosen: Subsampling,
    labels: Int[np.ndarray, " evaluate"],
    logits: Float[np.ndarray, "evaluate classes"],
    blocks: int,
) -> Iterator[Sample]:
    """All examples, dealt; every part has those of the pilot."""
    strata = strata_of(labels, logits, len(labels) // blocks)
    strata[np.isin(chosen.rows, chosen.tail)] = strata.max() + 1
    ones = np.ones(len(labels), np.float32)
    every = Sample(chosen.rows, ones, strata, logits.argmax(axis=1))
    pilot = np.arange(strata.max() + 1) == strata.max()
    return _dealt(every, chosen.numbers, blocks, pilot)


def _dealt(
    sample: Sample,
    numbers: Float[np.ndarray, " evaluate"],
    blocks: int,
    whole: Bool[np.ndarray, " strata"],
) -> Iterator[Sample]:
    """The parts: every stratum is dealt by its random numbers, one example to each in turn.

    ``whole``: strata that every part has all of; so it has of those too small to be dealt.
    """
    strata, drawn = sample.strata, sample.design_weight > 0
    members, sizes = np.bincount(strata), np.bincount(strata, drawn)
    whole = whole | (sizes < blocks * LEAST_STRATUM)
    rank = np.zeros(len(strata), np.int64)
    for stratum in np.unique(strata):
        inside = np.flatnonzero(drawn & (strata == stratum))
        rank[inside[np.argsort(numbers[inside], kind="stable")]] = np.arange(len(inside))
    rows = np.zeros(len(strata), sample.rows.dtype)
    rows[drawn] = sample.rows
    for block in range(blocks):
        met = drawn & (whole[strata] | (rank % blocks == block))
        stands = members / np.maximum(1, np.bincount(strata, met))
        weight = np.where(met, stands[strata], 0).astype(np.float32)
        yield Sample(rows[met], weight, strata, sample.predicted, sample.design_weight)


def allocation(
    members: Int[np.ndarray, " strata"], size: int, least: int = LEAST_STRATUM
) -> Int[np.ndarray, " strata"]:
    """How many of each stratum are drawn: in proportion to √N_h, at least ``least``.

    The root lies between what serves the whole (N_h) and what serves every class alike (Bankier
    1988).
    """
    share = size * np.sqrt(members) / np.sqrt(members).sum()
    return np.minimum(members, np.maximum(least, np.round(share))).astype(np.int64)


def strata_of(
    labels: Int[np.ndarray, " evaluate"], logits: Float[np.ndarray, "evaluate classes"], size: int
) -> Int[np.ndarray, " evaluate"]:
    """Strata by class and clean answer, numbered from 0, few enough for a sample of ``size``.

    The finest of three that is: classes with halves, classes without, and halves without classes.
    """
    state = _states(labels, logits)
    whole = np.where(state == DOUBTFUL, SURE, state)
    for code in (_joined(labels, state), _joined(labels, whole), state):
        found, strata = np.unique(code, return_inverse=True)
        if len(found) * LEAST_STRATUM <= size:
            break
    return np.asarray(strata.reshape(-1))


def _joined(
    labels: Int[np.ndarray, " evaluate"], state: Int[np.ndarray, " evaluate"]
) -> Int[np.ndarray, " evaluate"]:
    """Class and state in one number; small ones of all classes joined, rights and wrongs apart."""
    code = labels * 3 + state
    for joined in (WRONG, SURE):
        mine = (state == WRONG) == (joined == WRONG)
        _, place, sizes = np.unique(code, return_inverse=True, return_counts=True)
        code = np.where(mine & (sizes[place.reshape(-1)] < LEAST_STRATUM), -1 - joined, code)
    return np.asarray(code)


def _states(
    labels: Int[np.ndarray, " evaluate"], logits: Float[np.ndarray, "evaluate classes"]
) -> Int[np.ndarray, " evaluate"]:
    """Wrong, doubtful (the nearer half of a class's right answers), or sure."""
    true = np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    others = logits.copy()
    np.put_along_axis(others, labels[:, None], -np.inf, axis=1)
    margin = true - others.max(axis=1)
    right = logits.argmax(axis=1) == labels
    state = np.where(right, SURE, WRONG)
    for label in np.unique(labels):
        mine = np.flatnonzero(right & (labels == label))
        if len(mine) >= HALVED:
            state[mine[margin[mine] < np.median(margin[mine])]] = DOUBTFUL
    return state


def sample_numbers(
    samples: Sequence[Sampled], actions: Sequence[str]
) -> Int[np.ndarray, " actions"]:
    """Which sample each action runs on, -1 for none."""
    known = {a: i for i, one in enumerate(samples) for a in one.actions}
    return np.array([known.get(action, -1) for action in actions], dtype=np.int64)
