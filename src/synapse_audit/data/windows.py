"""Rows cut into windows, each an example of its own.

In: the data row by row, and which row each window was cut from. Out: the data window by window.
A window has the label of its row, and the row is its group, unless a group column says otherwise:
windows of one row never fall into different splits, and the bootstrap resamples whole rows.

Limits: every figure is then one per window, not per row; long rows count more than short ones, and
a window need not hold what gave its row the label. What counts examples without resampling them
(McNemar's test, Wilson's interval) takes the windows of one row for independent. The cap on the
number of rows is one of rows: there may be many more windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.artifacts import LabelledData, Windows
from synapse_audit.data.tables import DATA, Pool
from synapse_audit.data.thinning import distinct, require_two_classes


class Windowed(NamedTuple):
    """Data window by window."""

    data: LabelledData
    kept: Int[np.ndarray, " kept"]
    """Which of the windows given are its examples, ascending."""


def windowed(
    data: LabelledData, rows: Int[np.ndarray, " windows"], contents: Sequence[str]
) -> Windowed:
    """Makes every window an example.

    Equal windows are repeats like equal rows: one of them is kept (:func:`thinning.distinct`), so
    that none occurs in two splits. Weights are those of the rows, scaled to mean 1.

    Args:
        rows: the row that each window was cut from.
        contents: what each window holds; equal ones are repeats.

    Raises:
        DataError: no window of the file to fit on is left.
    """
    groups = rows if data.groups is None else data.groups[rows]
    pool = Pool(tuple(contents), data.labels[rows], data.origin[rows], groups)
    kept = distinct(pool)
    own = kept[pool.origin[kept] == DATA]
    require_two_classes(pool.labels[own], data.classes, f"windows of {data.source}")
    of = rows[kept]
    cut = len(rows) > len(data)
    whole = replace(
        data,
        inputs=tuple(data.inputs[row] for row in of.tolist()),
        labels=pool.labels[kept],
        weights=_mean_one(data.weights[of], data.origin[of]),
        origin=data.origin[of],
        # Where no row was cut its windows need no group: the bootstrap can then keep class counts.
        slices={name: values[of] for name, values in data.slices.items()},
        groups=groups[kept] if cut or data.groups is not None else None,
        windows=Windows(of, len(data), len(rows), len(rows) - len(kept)),
    )
    return Windowed(whole, kept)


def _mean_one(
    weights: Float[np.ndarray, " examples"], origin: Int[np.ndarray, " examples"]
) -> Float[np.ndarray, " examples"]:
    scaled = weights.copy()
    for side in np.unique(origin):
        scaled[origin == side] /= weights[origin == side].mean()
    return scaled
