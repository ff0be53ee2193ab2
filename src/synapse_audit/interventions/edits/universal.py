"""One edit of the whole head that sends as many examples as it can to a class: the one to beat.

In: :class:`HeadView`, a target, sizes. Out: a :class:`HeadEdit` per size, found on ``fit`` and
judged elsewhere. Closed forms say what no edit of a size can do; this says what one that was looked
for does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import softmax

from synapse_audit.artifacts import HeadEdit
from synapse_audit.interventions.edits.head import HeadView, Indices

STEPS = 100

LONGEST, SHORTEST = 0.5, 0.02
"""First and last step, as shares of the radius."""

SHARPEST = 16.0
"""At the last step logits are multiplied by it over the median margin, at the first divided."""

MOST = 320
"""Examples of ``fit`` that are looked at, evenly spaced."""

Edit = Float[np.ndarray, "classes inputs"]


class _Attack(NamedTuple):
    """What an edit is judged by: examples that are not predicted as the target."""

    inputs: Float[np.ndarray, "examples inputs"]
    logits: Float[np.ndarray, "examples classes"]
    target: int
    scale: float
    """Median margin of the strongest rival over the target."""
    allowed: Float[np.ndarray, "classes inputs"]
    """1 where a weight or bias may change, else 0."""

    def margins(self, edit: Edit) -> Float[np.ndarray, " examples"]:
        """Target's logit minus the largest other one."""
        logits = self.logits + self.inputs @ edit.T
        own = logits[:, self.target].copy()
        logits[:, self.target] = -np.inf
        return np.asarray(own - logits.max(axis=1))

    def ascent(self, edit: Edit, sharpness: float) -> Edit:
        """Gradient of the target's mean probability, all logits multiplied by ``sharpness``."""
        # With p = softmax(s z), (examples, classes): ∂p_t/∂z_c = s p_t ([c = t] − p_c). The factor
        # s is left out, since steps are normalised. z = logits + inputs Eᵀ, so ∂/∂E = pullᵀ inputs,
        # (classes, inputs); columns that may not change have no gradient.
        shares = softmax(sharpness * (self.logits + self.inputs @ edit.T), axis=1)
        own = shares[:, [self.target]]
        pull = -own * shares
        pull[:, [self.target]] += own
        return np.asarray((pull.T @ self.inputs) * self.allowed)


def universal(view: HeadView, target: int, columns: Indices, budget: float) -> HeadEdit:
    """The edit of all rows within an L2 budget that redirects most ``fit`` examples, as found.

    Projected ascent on the target's mean probability, which stands in for the share redirected:
    it is sharpened from step to step, so that examples that cannot be won stop pulling. The bias
    changes as one more column where the head has one. Normalised steps, the best point kept.
    Limits: not convex, so a better edit may exist; ``fit`` may flatter it, hence it is judged on
    ``evaluate``.

    Args:
        view: the head and its inputs over ``fit``.
        columns: head inputs that may be edited.
        budget: L2 norm of weight and bias together, relative to ``view.norm``.
    """
    return universal_path(view, target, columns, (budget,))[0]


def universal_path(
    view: HeadView, target: int, columns: Indices, budgets: Sequence[float]
) -> list[HeadEdit]:
    """:func:`universal` for ascending budgets; none is worse than a smaller one stretched."""
    attack = _attack(view, target, columns)
    if attack is None:
        return [_as_edit(view, None) for _ in budgets]
    found, edit = [], np.zeros((len(view.weight), attack.inputs.shape[1]))
    for budget in budgets:
        radius = budget * view.norm
        tried = (_onto(edit, radius), _search(attack, radius))
        edit = max(tried, key=lambda one: _worth(attack, one))
        found.append(_as_edit(view, edit))
    return found


def _attack(view: HeadView, target: int, columns: Indices) -> _Attack | None:
    """None where every example is predicted as the target, or no input can move one."""
    away = np.flatnonzero(view.predicted != target)
    if not len(away):
        return None
    away = away[np.linspace(0, len(away) - 1, min(MOST, len(away))).astype(np.int64)]
    inputs = view.head_input[away].astype(np.float64)
    logits = view.logits(inputs)
    allowed = np.zeros(inputs.shape[1])
    allowed[columns] = 1.0
    if view.bias is not None:
        # (h, 1): the bias is the weight of one more input, which is always 1.
        inputs = np.pad(inputs, ((0, 0), (0, 1)), constant_values=1.0)
        allowed = np.append(allowed, 1.0)
    rivals = np.delete(logits, target, axis=1).max(axis=1) - logits[:, target]
    scale = float(np.median(np.abs(rivals)))
    weights = np.zeros((len(view.weight), len(allowed)))
    weights[view.rows] = allowed
    return _Attack(inputs, logits, target, scale, weights) if scale > 0 else None


def _search(attack: _Attack, radius: float) -> Edit:
    """The best edit of that norm met on the way, from no edit at all."""
    edit = np.zeros((attack.logits.shape[1], attack.inputs.shape[1]))
    best, most = edit, (-1, -np.inf)
    for done in np.linspace(0.0, 1.0, STEPS):
        # Sharpness from 1/SHARPEST to SHARPEST over the median margin: at first every example
        # pulls, at last only those on the edge, as in the share redirected itself.
        uphill = attack.ascent(edit, SHARPEST ** (2 * done - 1) / attack.scale)
        length = float(np.linalg.norm(uphill))
        if length == 0 or most[0] == len(attack.inputs):
            break
        # Steps shrink geometrically; the point is put back on the sphere after each, since a longer
        # edit is never worse.
        stride = LONGEST * (SHORTEST / LONGEST) ** done
        edit = _onto(edit + stride * radius / length * uphill, radius)
        found = _worth(attack, edit)
        if found > most:
            best, most = edit, found
    return best


def _worth(attack: _Attack, edit: Edit) -> tuple[int, float]:
    """Examples redirected, then the median margin."""
    margins = attack.margins(edit)
    return int((margins > 0).sum()), float(np.median(margins))


def _onto(edit: Edit, radius: float) -> Edit:
    length = float(np.linalg.norm(edit))
    return edit * (radius / length) if length > 0 else edit


def _as_edit(view: HeadView, edit: Edit | None) -> HeadEdit:
    weight, bias = np.zeros_like(view.weight), np.zeros(len(view.weight), view.weight.dtype)
    if edit is not None:
        width = weight.shape[1]
        weight = edit[:, :width].astype(view.weight.dtype)
        if edit.shape[1] > width:
            bias = edit[:, width].astype(view.weight.dtype)
    return view.edit(weight, bias)
