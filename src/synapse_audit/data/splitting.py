"""Fit, select, evaluate: three disjoint sets, stratified by class, with groups kept whole.

In: :class:`LabelledData`. Out: :class:`Splits`. Shares are 40, 20 and 40 %; with a separate file
to fit on, it is split 2 : 1 into fit and select, and evaluate is all of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.artifacts import LabelledData, Splits
from synapse_audit.data.tables import DATA, FIT_DATA, MIN_PER_CLASS, listing
from synapse_audit.errors import DataError

SPLITS = ("fit", "select", "evaluate")

_TRIES = 40
"""Orders in which groups are dealt before giving up."""


class _Deal(NamedTuple):
    part: Int[np.ndarray, " groups"]
    filled: Int[np.ndarray, "parts classes"]
    """Examples of each class in each part."""


def split(data: LabelledData, *, seed: int = 0) -> Splits:
    """Divides the examples; the same data and seed give the same splits.

    Without groups each class is divided by itself: a fifth (at least 5) to select, half of the
    rest to evaluate, what remains to fit. With groups, whole groups are dealt out so that the
    class counts come as near to those numbers as a greedy search gets; shares then hold only
    roughly, all the more so where groups are few or large.

    Raises:
        DataError: a class that occurs has too few examples, or too few groups, to put 5 into each
            split.
    """
    rows = np.flatnonzero(data.origin == DATA)
    if not (data.origin == FIT_DATA).any():
        return Splits(*_divide(data, rows, SPLITS, seed))
    _check_counts(data, rows, SPLITS[2:])
    separate = np.flatnonzero(data.origin == FIT_DATA)
    fit, select = _divide(data, separate, SPLITS[:2], seed)
    return Splits(fit=fit, select=select, evaluate=rows)


def split_weights(data: LabelledData, splits: Splits) -> Float[np.ndarray, " examples"]:
    """Weights with which each split has the class shares of the whole file; mean 1 in each.

    A split holds whole examples, at least 5 of each class, and with groups only about the shares
    that were wanted: 200 a and 16 b, 7.4 % of the file, leave 5 of 85 in ``evaluate``, 5.9 %. So a
    class weighs its share of the file over its share of the split (poststratification). Classes
    that a split lacks leave their share to the others.
    """
    mine = data.origin == DATA
    shares = np.bincount(data.labels[mine], data.weights[mine], minlength=len(data.strata))
    weights = np.array(data.weights, dtype=np.float64)
    for rows in (splits.fit, splits.select, splits.evaluate):
        counts = np.bincount(data.labels[rows], minlength=len(data.strata))
        scale = np.divide(shares, counts, out=np.zeros_like(shares), where=counts > 0)
        found = scale[data.labels[rows]]
        weights[rows] = found / found.mean() if len(rows) else found
    return weights


def _divide(
    data: LabelledData, rows: Int[np.ndarray, " rows"], names: Sequence[str], seed: int
) -> list[Int[np.ndarray, " part"]]:
    """Rows of each part, ascending; ``names`` has fit and select, and perhaps evaluate."""
    _check_counts(data, rows, names)
    labels = data.labels[rows]
    counts = np.bincount(labels, minlength=len(data.strata))
    wanted = np.array([part_sizes(int(n), len(names)) for n in counts]).T
    if data.groups is None:
        part = _deal_examples(labels, wanted, seed)
    else:
        groups = np.unique(data.groups[rows], return_inverse=True)[1]
        table = np.zeros((groups.max() + 1, len(counts)), dtype=np.int64)
        np.add.at(table, (groups, labels), 1)
        _check_groups(data, table, names)
        part = _deal_groups(data, table, wanted, seed)[groups]
    return [rows[part == index] for index in range(len(names))]


def part_sizes(n: int, parts: int) -> list[int]:
    """Sizes of fit, select and (of three parts) evaluate for a class of ``n`` examples.

    Select gets half the share of each other part, but at least 5; fit gets the odd example.

    >>> part_sizes(100, 3), part_sizes(16, 3), part_sizes(30, 2), part_sizes(0, 3)
    ([40, 20, 40], [6, 5, 5], [20, 10], [0, 0, 0])
    """
    select = min(n, max(MIN_PER_CLASS, round(n / (2 * parts - 1))))
    evaluate = (n - select) // 2 if parts == 3 else 0
    return [n - select - evaluate, select, evaluate][:parts]


def _deal_examples(
    labels: Int[np.ndarray, " rows"], wanted: Int[np.ndarray, "parts classes"], seed: int
) -> Int[np.ndarray, " rows"]:
    part = np.empty(len(labels), dtype=np.int64)
    for label, sizes in enumerate(wanted.T):
        members = np.flatnonzero(labels == label)
        shuffled = np.random.default_rng([seed, label]).permutation(members)
        part[shuffled] = np.repeat(np.arange(len(sizes)), sizes)
    return part


def _deal_groups(
    data: LabelledData,
    table: Int[np.ndarray, "groups classes"],
    wanted: Int[np.ndarray, "parts classes"],
    seed: int,
) -> Int[np.ndarray, " groups"]:
    """Part of each group; large groups first, then, where that fails, in random orders."""
    occurs = table.any(axis=0)
    short: set[int] = set()
    for attempt in range(_TRIES):
        order = np.random.default_rng([seed, attempt]).permutation(len(table))
        if attempt == 0:
            order = order[np.argsort(-table[order].sum(axis=1), kind="stable")]
        deal = _deal_in_order(table, wanted, order)
        lacking = np.flatnonzero(occurs & (deal.filled < MIN_PER_CLASS).any(axis=0))
        if not len(lacking):
            return deal.part
        short.update(lacking.tolist())
    names = [f"'{data.strata[i]}'" for i in sorted(short)]
    raise DataError(
        f"whole groups of '{data.source}' cannot be dealt out so that every split holds "
        f"{MIN_PER_CLASS} examples of each class ({len(table)} groups, {_TRIES} orders tried); "
        f"short: {listing(names, most=5)}; expected more or smaller groups"
    )


def _deal_in_order(
    table: Int[np.ndarray, "groups classes"],
    wanted: Int[np.ndarray, "parts classes"],
    order: Int[np.ndarray, " groups"],
) -> _Deal:
    """Each group goes where it brings Σ (count − wanted)² / wanted down most."""
    filled = np.zeros_like(wanted)
    part = np.empty(len(table), dtype=np.int64)
    per_wanted = 1 / np.maximum(wanted, 1)
    for group in order:
        added = table[group]
        change = (added * (2 * (filled - wanted) + added) * per_wanted).sum(axis=1)
        part[group] = change.argmin()
        filled[part[group]] += added
    return _Deal(part, filled)


def _check_counts(data: LabelledData, rows: Int[np.ndarray, " rows"], names: Sequence[str]) -> None:
    counts = np.bincount(data.labels[rows], minlength=len(data.strata))
    occurs = np.bincount(data.labels, minlength=len(data.strata)) > 0
    needed = MIN_PER_CLASS * len(names)
    short = [
        f"'{data.strata[i]}' has {counts[i]}" for i in np.flatnonzero(occurs & (counts < needed))
    ]
    if short:
        raise DataError(
            f"too few different inputs per class in '{data.source}': {listing(short, most=5)}; "
            f"expected at least {needed} ({MIN_PER_CLASS} for each of {', '.join(names)}), or none "
            "of that class at all"
        )


def _check_groups(
    data: LabelledData, table: Int[np.ndarray, "groups classes"], names: Sequence[str]
) -> None:
    holding = (table > 0).sum(axis=0)
    short = [
        f"'{data.strata[i]}' occurs in {holding[i]}"
        for i in np.flatnonzero((holding > 0) & (holding < len(names)))
    ]
    if short:
        raise DataError(
            f"too few groups per class in '{data.source}': {listing(short, most=5)}; expected at "
            f"least {len(names)}, because a whole group goes to one of {', '.join(names)}"
        )
