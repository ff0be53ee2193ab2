"""Which rows are kept: no input twice, and no more rows than asked for.

In: a :class:`Pool`. Out: a smaller one, and a weight per row that undoes what the cap did to the
class shares.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.artifacts import Input
from synapse_audit.data.tables import DATA, FIT_DATA, Pool, written
from synapse_audit.errors import DataError

MIN_KEPT = 30
"""Rows of each class that the cap leaves alone."""

_FIT_SHARE = 0.6
"""Share of the cap that goes to ``--fit-data``: fit 40 % and select 20 % of all rows."""


def drop_repeats(pool: Pool) -> Pool:
    """The pool with the rows of :func:`distinct` alone.

    Raises:
        DataError: nothing is left to fit on.
    """
    return pool.take(distinct(pool))


def distinct(pool: Pool) -> Int[np.ndarray, " rows"]:
    """One row per distinct input; rows to fit on never share an input or a group with the data.

    Of rows that agree on the label the first is kept. Where the same input has several labels,
    none of them is known to be wrong: dropping the input would leave only the unambiguous ones
    and flatter every accuracy, and taking the first would favour whichever class a sorted file
    starts with. So one of its labels is drawn in proportion to how often it was given, by the
    hash of the input: the same draw for every seed and row order.

    Raises:
        DataError: nothing is left to fit on.
    """
    fresh = _without_leaks(pool)
    copies: dict[Input, list[int]] = defaultdict(list)
    for row in fresh.tolist():
        copies[pool.inputs[row]].append(row)
    kept = [_choose(text, rows, pool.truth) for text, rows in copies.items()]
    return np.array(sorted(kept), dtype=np.int64)


def require_two_classes(
    labels: Int[np.ndarray, " examples"], classes: Sequence[str], source: str
) -> None:
    """Refuses data in which nothing is distinguished.

    Raises:
        DataError: all labels are the same.
    """
    present = np.unique(labels)
    if len(present) < 2:
        raise DataError(
            f"'{source}' holds only class '{classes[present[0]]}'; expected at least two of the "
            f"model's classes: {', '.join(classes)}"
        )


def _without_leaks(pool: Pool) -> Int[np.ndarray, " rows"]:
    data = np.flatnonzero(pool.origin == DATA)
    fit = np.flatnonzero(pool.origin == FIT_DATA)
    seen = {pool.inputs[row] for row in data.tolist()}
    fresh = np.array([row for row in fit.tolist() if pool.inputs[row] not in seen], dtype=np.int64)
    if pool.groups is not None:
        fresh = fresh[~np.isin(pool.groups[fresh], pool.groups[data])]
    if len(fit) and not len(fresh):
        raise DataError(
            f"every input or group of the {len(fit)} rows of the fit data also occurs in the "
            "data; expected separate files, or no --fit-data, which splits the data itself"
        )
    return np.concatenate([data, fresh])


def _choose(given_input: Input, rows: list[int], labels: Int[np.ndarray, " examples"]) -> int:
    given = sorted((int(labels[row]), row) for row in rows)
    if given[0][0] == given[-1][0]:
        return rows[0]
    number = int.from_bytes(hashlib.sha256(written(given_input)).digest()[:8], "big")
    label = given[number % len(given)][0]
    return next(row for row in rows if labels[row] == label)


def cap(pool: Pool, max_examples: int | None, *, seed: int, least: int = MIN_KEPT) -> Pool:
    """At most ``max_examples`` rows, chosen at random within each class.

    Every class keeps ``least`` rows (or all it has), the others share the rest in proportion to
    their size, so many small classes can exceed the cap. With a separate file to fit on, it gets
    60 % of the cap and the data 40 %, each with its own ``least``; what one does not need goes to
    the other. Groups are thinned rather than dropped: many small groups tell more than few large
    ones.
    """
    if max_examples is None:
        return pool
    sides = [np.flatnonzero(pool.origin == side) for side in (DATA, FIT_DATA)]
    for_fit = min(round(_FIT_SHARE * max_examples), len(sides[FIT_DATA]))
    for_data = max_examples - for_fit
    for_fit = max(for_fit, max_examples - len(sides[DATA])) if len(sides[FIT_DATA]) else 0
    kept = [
        _thin(pool.labels, rows, limit, np.random.SeedSequence([seed, side]), least)
        for side, (rows, limit) in enumerate(zip(sides, (for_data, for_fit), strict=True))
    ]
    return pool.take(np.sort(np.concatenate(kept)))


def _thin(
    labels: Int[np.ndarray, " examples"],
    rows: Int[np.ndarray, " rows"],
    limit: int,
    seed: np.random.SeedSequence,
    least: int,
) -> Int[np.ndarray, " kept"]:
    sizes = np.bincount(labels[rows])
    generator = np.random.default_rng(seed)
    chosen = [
        generator.permutation(rows[labels[rows] == label])[:quota]
        for label, quota in enumerate(quotas(sizes, limit, least))
    ]
    return np.concatenate([*chosen, rows[:0]])


def quotas(
    sizes: Int[np.ndarray, " classes"], limit: int, least: int = MIN_KEPT
) -> Int[np.ndarray, " classes"]:
    """How many rows each class may keep.

    >>> quotas(np.array([900, 60, 40]), 500).tolist()
    [440, 30, 30]
    """
    floor = np.minimum(sizes, least)
    if sizes.sum() <= limit:
        return sizes
    if floor.sum() >= limit:
        return floor
    free = sizes > floor
    scale = 1.0
    while True:
        scale = (limit - floor[~free].sum()) / sizes[free].sum()
        short = free & (scale * sizes < floor)
        if not short.any():
            break
        free &= ~short
    ideal = np.where(free, scale * sizes, floor)
    whole = np.floor(ideal).astype(np.int64)
    # Largest remainders; a stable sort gives ties to the lower class.
    order = np.argsort(whole - ideal, kind="stable")
    whole[order[: limit - whole.sum()]] += 1
    return whole


def class_weights(whole: Pool, kept: Pool) -> Float[np.ndarray, " examples"]:
    """Weight of each kept row: the class's share in the data over its share among kept rows.

    ``whole`` is the pool without repeats, before the cap. Shares among kept rows are taken within
    the data and within the file to fit on separately; the target is the data's in both. Each of
    the two has mean 1.
    """
    classes = int(whole.labels.max()) + 1
    target = _shares(whole.labels[whole.origin == DATA], classes)
    weights = np.ones(len(kept.labels))
    for side in np.unique(kept.origin):
        rows = kept.origin == side
        labels = kept.labels[rows]
        weights[rows] = target[labels] / _shares(labels, classes)[labels]
    return weights


def _shares(labels: Int[np.ndarray, " examples"], classes: int) -> Float[np.ndarray, " classes"]:
    return np.bincount(labels, minlength=classes) / len(labels)
