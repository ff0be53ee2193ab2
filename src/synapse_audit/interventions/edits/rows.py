"""Edits of whole rows of the head, and noise on its columns.

In: :class:`HeadView`. Out: a :class:`HeadEdit`.
"""

from __future__ import annotations

import numpy as np

from synapse_audit.artifacts import HeadEdit
from synapse_audit.interventions.edits.head import HeadView, Indices


def row_swap(view: HeadView, one: int, other: int) -> HeadEdit:
    """Exchanges the rows (and biases) of two classes: each is then said where the other was.

    With one output the row and its bias change sign.
    Exact up to one rounding of float32, because an edit is added to the weight.
    """
    weight, bias = np.zeros_like(view.weight), np.zeros(len(view.weight), dtype=view.weight.dtype)
    weight[one] = view.weight[other] - view.weight[one]
    weight[other] = -weight[one]
    if view.bias is not None:
        bias[one] = view.bias[other] - view.bias[one]
        bias[other] = -bias[one]
    return view.edit(weight, bias)


def row_scale(view: HeadView, target: int, factor: float) -> HeadEdit:
    """Multiplies one class's row by ``factor``; its bias stays."""
    weight = np.zeros_like(view.weight)
    weight[target] = (factor - 1.0) * view.weight[target]
    return view.edit(weight)


def column_noise(
    view: HeadView, columns: Indices, sigma: float, generator: np.random.Generator
) -> HeadEdit:
    """Gaussian noise N(0, ``sigma``²) on every row of some columns.

    The paper's "fault sneaking" has sigma 0.05. The noise of a column does not depend on which
    other columns are chosen.
    """
    noise = generator.normal(0.0, sigma, size=view.weight.shape).astype(view.weight.dtype)
    weight = np.zeros_like(view.weight)
    # A row that is no weight gets none: with one output both would fall on the same row.
    weight[view.rows, columns] = noise[view.rows, columns]
    return view.edit(weight)
