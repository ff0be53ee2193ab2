"""Steps of a gradient attack: what a pass with some changes met, and the way uphill.

In: a guarded model, a batch, its box. Out: :class:`Target`, which is asked for margins and alarms,
and the ascent of somebody who knows the host alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from synapse_audit.guard.boxes import Box, Changes
from synapse_audit.guard.guarded import GuardedModel
from synapse_audit.guard.heads import CentredHead
from synapse_audit.model import Batch

PLAIN_STEPS = 8
PLAIN_STRIDE = 0.3
"""Length of a step, as a share of the box's half width."""


class Met(NamedTuple):
    """What a pass with some changes met."""

    margin: Float[Tensor, " examples"]
    """Of the strongest other class over the clean answer: positive = changed."""
    excess: Float[Tensor, " examples"]
    """Summed excess of the guard's own scores over the limit, with gradients: 0 = no alarm."""
    raised: Float[Tensor, " examples"]
    """Excess of the detector that raises the alarms, where that is another: 0 = no alarm."""


class Target(NamedTuple):
    """Some examples under attack."""

    guarded: GuardedModel
    batch: Batch
    box: Box
    clean: Int[Tensor, " examples"]
    """Their answers when untouched."""
    limit: float | None
    """Own score up to which no alarm is raised; None: the guard is not known, the host alone is
    met."""

    @classmethod
    def of(
        cls, guarded: GuardedModel, batch: Batch, box: Box, *, limit: float | None = None
    ) -> Target:
        """A whole batch."""
        with torch.no_grad():
            clean = _answers(guarded, batch, limit).logits.argmax(dim=1)
        return cls(guarded, batch, box, clean, limit)

    def met(self, now: Sequence[Tensor]) -> Met:
        """One pass."""
        with self.box.changed(self.batch, now):
            logits, excess, raised = _answers(self.guarded, self.batch, self.limit)
        own = logits.gather(1, self.clean[:, None])[:, 0]
        others = logits.scatter(1, self.clean[:, None], -torch.inf).amax(dim=1)
        return Met(others - own, excess, raised)

    def only(self, rows: Int[Tensor, " rows"]) -> Target:
        """Some of the examples."""
        batch = {name: tensor[rows] for name, tensor in self.batch.items()}
        return self._replace(batch=batch, clean=self.clean[rows])

    @property
    def unchanged(self) -> Changes:
        """No change."""
        n, device = len(self.clean), self.clean.device
        return [torch.zeros(n, *shape[1:], device=device) for shape in self.box.shapes]


def climb_margin(target: Target, steps: int = PLAIN_STEPS) -> Changes:
    """Projected gradient ascent of the margin; of all steps that with the largest one counts."""
    kept = now = target.unchanged
    largest = torch.full_like(target.clean, -torch.inf, dtype=torch.float32)
    for step in range(steps + 1):
        now = [one.detach().requires_grad_() for one in now]
        margin = target.met(now).margin
        better = margin.detach() > largest
        kept = [torch.where(wide(better, b), b.detach(), a) for a, b in zip(kept, now, strict=True)]
        largest = torch.maximum(largest, margin.detach())
        if step < steps:
            pairs = zip(now, slopes(margin.sum(), now), strict=True)
            now = [moved(one, PLAIN_STRIDE * slope.sign()) for one, slope in pairs]
    return kept


def slopes(uphill: Tensor, now: Sequence[Tensor]) -> list[Tensor]:
    """Gradients; 0 where a change does not matter."""
    found = torch.autograd.grad(uphill, now, allow_unused=True)
    pairs = zip(found, now, strict=True)
    return [torch.zeros_like(at) if one is None else one.nan_to_num() for one, at in pairs]


def moved(now: Tensor, step: Tensor) -> Tensor:
    """A step, inside the box."""
    return (now.detach() + step).clamp(-1, 1)


def wide(
    each: Bool[Tensor, " examples"] | Float[Tensor, " examples"], like: Tensor
) -> Shaped[Tensor, "examples ..."]:
    """A value per example, with axes of length 1 for all others of a tensor."""
    return each.reshape(-1, *(1,) * (like.ndim - 1))


class _Answers(NamedTuple):
    logits: Float[Tensor, "examples classes"]
    excess: Float[Tensor, " examples"]
    raised: Float[Tensor, " examples"]


def _answers(guarded: GuardedModel, batch: Batch, limit: float | None) -> _Answers:
    """Logits and excess over the limit; without one the host's own, and no excess.

    Of a vote, which has no gradient, the logits are the host's behind its ranges. Where another
    package's detector raises the alarms, which gives no gradient either, the excess that is climbed
    down is that of the guard's own scores, and what counts is the other's.
    """
    if limit is None:
        logits = guarded.decided(guarded.host(**batch))
        nothing = torch.zeros_like(logits[:, 0])
        return _Answers(logits, nothing, nothing)
    seen = guarded.look(batch)
    logits = seen.logits
    if isinstance(guarded.head, CentredHead) and seen.head_input is not None:
        logits = guarded.head(seen.head_input.float())
    scores = guarded.own_scores.each(seen.pooled)
    excess = (scores - limit).clamp_min(0).sum(dim=(0, 2))
    if guarded.scores is guarded.own_scores or np.isinf(limit):
        return _Answers(logits, excess, excess)
    threshold = guarded.scores.threshold(guarded.guard.detector.false_alarm_rate)
    raised = (guarded.scores(seen.pooled) - threshold).clamp_min(0)
    return _Answers(logits, excess, raised.to(excess))
