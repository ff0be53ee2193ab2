"""Attacks by somebody who knows the guard: inside the ranges, and below the detector's threshold.

In: a guarded model and clean states. Out: :class:`~synapse_audit.guard.attacks.Attack` records with
a target each. The pooled states of blocks 1 to L are moved from where they are toward the mean
state of the target class, as far as the step says, and cut to the calibrated ranges: no range is
left, and a small step scores like a clean input. For each step it is counted how many examples
reach the target without an alarm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from synapse_audit.guard.attacks import Attack, Attacked, silenced
from synapse_audit.guard.building import host_head
from synapse_audit.guard.clamping import within
from synapse_audit.guard.guarded import GuardedModel
from synapse_audit.guard.hardening import linear_logits
from synapse_audit.model import Classifier

INSIDE = "adaptive, inside the ranges"
UNSEEN = "adaptive, below the threshold"
"""The same, and what raises an alarm has not succeeded."""

STEPS = (0.25, 0.5, 0.75, 1.0)
"""Shares of the way to the target class's mean."""


def adaptive_attacks(
    guarded: GuardedModel, states: Sequence[Float[np.ndarray, "fit _"]]
) -> Iterator[Attack]:
    """One attack per step, with a draw per target class.

    Args:
        states: pooled states of ``fit`` per place.
    """
    classifier, ranges = guarded.classifier, guarded.guard.ranges
    predicted = linear_logits(host_head(classifier), states[-1]).argmax(axis=1)
    targets = tuple(int(t) for t in np.unique(predicted))
    means = {t: [one[predicted == t].mean(axis=0) for one in states[:-1]] for t in targets}
    ends = list(zip(ranges.low, ranges.high, strict=True))
    for step in STEPS:
        made = tuple(toward(classifier, means[t], ends, step) for t in targets)
        setting = f"{step:g} of the way"
        yield Attack(
            INSIDE, setting, made, on_weights=False, targets=targets, if_alarms_stop=UNSEEN
        )


def toward(
    classifier: Classifier,
    means: Sequence[Float[np.ndarray, " _"]],
    ranges: Sequence[tuple[np.ndarray, np.ndarray]],
    step: float,
) -> Attacked:
    """Moves the pooled states of blocks 1 to L a share of the way to ``means``, inside ranges."""

    def change(layer: int) -> Callable[[Tensor], Tensor]:
        mean = torch.from_numpy(np.asarray(means[layer], np.float32))
        low, high = (torch.from_numpy(np.array(end)) for end in ranges[layer])

        def of(pooled: Tensor) -> Tensor:
            return within(pooled + step * (mean.to(pooled) - pooled), low, high)

        return of

    return silenced(classifier, {m: change(m) for m in range(1, classifier.n_layers + 1)})
