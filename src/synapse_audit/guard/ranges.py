"""Calibrated ranges: what every neuron says on clean inputs, per place and per predicted class.

In: pooled states of the ``fit`` examples. Out: :class:`Ranges`. Clamping to them was proposed
against hardware faults (Ranger: Chen, Li and Pattabiraman 2021); it stops what leaves the range,
and nothing that stays inside.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.guard.parts import Ranges

LEAST = 20
"""Examples below which a class has no range of its own and gets that of all."""


def calibrated_ranges(
    states: Sequence[Float[np.ndarray, "fit _"]],
    predicted: Int[np.ndarray, " fit"],
    *,
    n_classes: int,
    quantile: float,
    per_class: bool = False,
) -> Ranges:
    """Lower and upper quantile of every neuron over ``fit``.

    Args:
        states: per place.
        predicted: the untouched model's class of each example.
        quantile: 0 = smallest and largest value seen; 0.01 = 1st and 99th percentile.
        per_class: also over the examples of each predicted class alone.
    """
    ends = [_ends(one, quantile) for one in states]
    low, high = (tuple(end[i] for end in ends) for i in (0, 1))
    if not per_class:
        return Ranges(low, high)
    rows = [np.flatnonzero(predicted == c) for c in range(n_classes)]
    each = [
        np.stack([_ends(one[mine] if len(mine) >= LEAST else one, quantile) for mine in rows], 1)
        for one in states
    ]
    return Ranges(low, high, tuple(e[0] for e in each), tuple(e[1] for e in each))


def _ends(states: Float[np.ndarray, "some _"], quantile: float) -> Float[np.ndarray, "2 _"]:
    found = np.quantile(np.asarray(states, np.float64), [quantile, 1 - quantile], axis=0)
    return found.astype(np.float32)
