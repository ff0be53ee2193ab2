"""The fewest inputs of a linear head that must be silenced to change the argmax.

In: logits (examples, classes), the head's weight and inputs h, and what silencing puts in an
input's place (0, or its mean μ). Out: per example the exact distance, and toward each class a lower
bound.

Silencing the inputs S moves z_p − z_r by −Σ_{j∈S} d_j with d_j = (W_pj − W_rj)(h_j − μ_j). One
rival r overtakes the predicted class p with the fewest inputs when the largest d_j go first, so its
distance is the first k at which the sum of the k largest reaches the margin (exchange argument).
Some rival must overtake for the argmax to change, and once one has, it has changed: the minimum
over rivals is exact. Toward one *named* class it must overtake every other class at once, an
integer programme with more than two classes; overtaking the predicted class is necessary, so that
rival's own distance is a lower bound, and exact where the same inputs do make the class lead.

A tie counts as a change, so that fewer inputs than the distance never change the prediction.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from synapse_audit.memory import row_chunks


class FewestSilenced(NamedTuple):
    """Numbers of silenced inputs; infinite where silencing all of them in any set is not enough."""

    least: Float[np.ndarray, " examples"]
    """Fewest that change the prediction: exact."""
    toward: Float[np.ndarray, "examples classes"]
    """Lower bound of the fewest that make a class lead; 0 for the predicted class."""
    attained: Bool[np.ndarray, "examples classes"]
    """Whether the bound is known to be the distance itself."""


def fewest_silenced(
    logits: Float[np.ndarray, "examples classes"],
    weight: Float[np.ndarray, "classes features"],
    inputs: Float[np.ndarray, "examples features"],
    replacement: Float[np.ndarray, " features"],
) -> FewestSilenced:
    """The fewest of every example, for any other class and toward each class.

    Args:
        logits: of the untouched head.
        weight: of the head's last linear layer.
        inputs: that layer's.
        replacement: what a silenced input becomes.
    """
    wide, rows = logits.astype(np.float64), weight.astype(np.float64)
    parts = [
        _of_rows(wide[some], rows, inputs[some] - replacement.astype(np.float64))
        for some in row_chunks(*inputs.shape)
    ]
    return FewestSilenced(*map(np.concatenate, zip(*parts, strict=True)))


def _of_rows(
    wide: Float[np.ndarray, "examples classes"],
    rows: Float[np.ndarray, "classes features"],
    moved: Float[np.ndarray, "examples features"],
) -> FewestSilenced:
    """``moved``: what silencing subtracts from each input."""
    predicted = wide.argmax(axis=1)
    toward = np.zeros_like(wide)
    attained = np.ones(wide.shape, dtype=bool)
    for target in range(wide.shape[1]):
        others = np.flatnonzero(predicted != target)
        if len(others):
            found = _overtake(wide[others], rows, moved[others], target=target)
            toward[others, target], attained[others, target] = found
    own = np.arange(wide.shape[1]) == predicted[:, None]
    return FewestSilenced(np.where(own, np.inf, toward).min(axis=1), toward, attained)


class _Overtaking(NamedTuple):
    distance: Float[np.ndarray, " examples"]
    leads: Bool[np.ndarray, " examples"]


def _overtake(
    logits: Float[np.ndarray, "examples classes"],
    weight: Float[np.ndarray, "classes features"],
    change: Float[np.ndarray, "examples features"],
    *,
    target: int,
) -> _Overtaking:
    """Fewest inputs with which the target overtakes the predicted class, and whether it leads."""
    predicted: Int[np.ndarray, " examples"] = logits.argmax(axis=1)
    rows = np.arange(len(logits))
    gains = (weight[predicted] - weight[target]) * change
    descending = -np.sort(-gains, axis=1)
    margin = logits[rows, predicted] - logits[rows, target]
    reached = np.cumsum(descending, axis=1) >= margin[:, None]
    place, possible = reached.argmax(axis=1), reached.any(axis=1)
    silenced = gains >= descending[rows, place][:, None]
    after = logits - (silenced * change) @ weight.T
    # Equal contributions could make the set larger than the distance, which then proves nothing.
    leads = (after.argmax(axis=1) == target) & (silenced.sum(axis=1) == place + 1)
    return _Overtaking(np.where(possible, place + 1.0, np.inf), leads | ~possible)
