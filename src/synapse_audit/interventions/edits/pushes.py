"""Other shapes of the targeted push: several rows, L-infinity, few weights, the paper's constants.

In: :class:`HeadView`, the target and the columns that may change. Out: a :class:`HeadEdit`. All but
the paper's follow the direction that raises the target's mean logit most
(:meth:`HeadView.ascent`), shaped by the budget they keep.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from synapse_audit.artifacts import HeadEdit
from synapse_audit.interventions.edits.head import HeadView, Indices


def balanced(view: HeadView, target: int, columns: Indices, budget: float) -> HeadEdit:
    """Raises the target and lowers all other rows by equal parts, so that columns sum as before.

    ``budget`` = L2 norm over all rows relative to ``view.norm``.
    """
    return _within(view, _shaped(view, target, _restricted(view, target, columns), balance=1.0),
                   budget)  # fmt: skip


def rival(view: HeadView, target: int, columns: Indices, budget: float) -> HeadEdit:
    """Raises the target's row and lowers its nearest rival's as much (:meth:`HeadView.rival`).

    No direction of equal L2 norm raises the mean margin over that rival more (Cauchy-Schwarz).
    ``budget`` = L2 norm over both rows relative to ``view.norm``.
    """
    return _within(view, _shaped(view, target, _restricted(view, target, columns), suppress=1.0),
                   budget)  # fmt: skip


def linf(view: HeadView, target: int, columns: Indices, budget: float) -> HeadEdit:
    """Moves every weight of the target's row in some columns by the same amount, uphill.

    ``budget`` = that amount relative to ``view.rms``, the root mean square of the head's weights
    (their maximum would hang on one outlier). Within an L-infinity ball the sign of the gradient
    raises the mean logit most (Hölder).
    """
    return _row(view, target, np.sign(_restricted(view, target, columns)) * (budget * view.rms))


def sparse(view: HeadView, target: int, columns: Indices, budget: float) -> HeadEdit:
    """Moves a few weights of the target's row uphill, each by ``budget`` times the largest weight.

    The number of columns is the sparsity budget. At size 1 a weight moves by as much as the
    head's largest weight; :func:`steepest_columns` picks the best columns for it.
    """
    size = budget * float(np.abs(view.weight).max())
    return _row(view, target, np.sign(_restricted(view, target, columns)) * size)


def switch(
    view: HeadView, label: int, budget: float, *, on: bool, order: Indices | None = None
) -> HeadEdit:
    """Moves one label's row so that its mean logit changes most toward present, or absent.

    ``budget`` = L2 norm of the edit relative to that of the label's own row. Along the mean head
    input of the ``fit`` examples that lack the label (or, negated, have it) the mean logit changes
    most (Cauchy–Schwarz). No other label reads that row, so none other changes.

    Args:
        order: a permutation of the columns: a random direction of the same norm and entries.
    """
    direction = view.ascent(label) if on else view.descent(label)
    direction = direction if order is None else direction[order]
    length = float(np.linalg.norm(direction))
    size = budget * float(np.linalg.norm(view.weight[label]))
    return _row(view, label, direction * (size / length) if length > 0 else direction)


def steepest_columns(view: HeadView, target: int, n: int) -> Indices:
    """The ``n`` columns in which one unit of change raises the target's mean logit most."""
    return np.argsort(-np.abs(view.ascent(target)), kind="stable")[:n]


class PaperPush(NamedTuple):
    """One setting of the SYNAPSE paper's targeted push; sizes are absolute."""

    setting: str
    share: float = 0.0
    """Columns, ranked for the target, as a share of all; 0: the bias alone."""
    delta: float = 0.0
    """What is added to the target's row in each column, or to its bias."""
    balance: float = 0.0
    """f: the others lose delta · f / (C − 1)."""
    most: int | None = None
    """Columns at most."""
    suppress: float = 0.0
    """One rival loses delta times this further."""


PAPER_PUSHES: tuple[PaperPush, ...] = (
    PaperPush("malware a", share=0.25, delta=0.3, balance=0.5, most=120),
    PaperPush("malware b", share=0.20, delta=0.2, balance=0.9, suppress=0.4),
    PaperPush("malware c", delta=0.6),
    PaperPush("emotion a", share=0.20, delta=0.2, most=200),
    PaperPush("emotion b", share=0.25, delta=0.5, most=250, suppress=0.7),
    PaperPush("emotion c", delta=0.6),
)
"""The six settings (arXiv 2603.08424). Where the paper gives a rival's factor alone, we read it as
a further loss of factor · delta; where it gives no f, the other rows stay."""


def paper_push(view: HeadView, target: int, columns: Indices, setting: PaperPush) -> HeadEdit:
    """The paper's push: a constant in every column, whatever the sign of the inputs there.

    It lowers the target's logit through columns whose inputs are negative; :func:`push` does not.
    """
    nothing = np.zeros(len(view.weight), dtype=view.weight.dtype)
    if not setting.share:
        nothing[target] = setting.delta
        return view.edit(np.zeros_like(view.weight), nothing)
    direction = np.zeros(view.weight.shape[1])
    direction[columns] = setting.delta
    weight = _shaped(view, target, direction, balance=setting.balance, suppress=setting.suppress)
    return view.edit(weight)


def _restricted(view: HeadView, target: int, columns: Indices) -> Float[np.ndarray, " features"]:
    direction = np.zeros(view.weight.shape[1])
    direction[columns] = view.ascent(target)[columns]
    return direction


def _shaped(
    view: HeadView,
    target: int,
    direction: Float[np.ndarray, " features"],
    *,
    balance: float = 0.0,
    suppress: float = 0.0,
) -> Float[np.ndarray, "classes features"]:
    """Target row + direction, others − balance / (C − 1) of it, the rival − suppress further."""
    parts = np.full(len(view.weight), -balance / (len(view.weight) - 1))
    parts[target] = 1.0
    parts[view.rival(target)] -= suppress
    return np.outer(parts, direction)


def _within(
    view: HeadView, weight: Float[np.ndarray, "classes features"], budget: float
) -> HeadEdit:
    # Of one output the norm is that of its row, on which the edits of both rows come together.
    carried = weight[1] - weight[0] if view.one_output else weight
    length = float(np.linalg.norm(carried))
    return view.edit(weight * (budget * view.norm / length) if length > 0 else weight)


def _row(view: HeadView, target: int, row: Float[np.ndarray, " features"]) -> HeadEdit:
    weight = np.zeros_like(view.weight)
    weight[target] = row
    return view.edit(weight)
