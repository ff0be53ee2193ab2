"""Searches changes of the answer without an alarm, from several starts.

In: a :class:`~synapse_audit.guard.climbing.Target` whose limit is known. Out: the best changes
found, example by example: changed without an alarm, else changed with the least excess, else none.

With m the margin and e the summed excess of the scores over the limit, each start climbs
min(m, ``ENOUGH``) − λ log(1 + e). λ grows per example while the answer is changed and an alarm is
raised, and falls while it is not changed: the Lagrangian of Carlini and Wagner (2017), as attacks
on detectors use it (Tramèr et al. 2020, Bryniarski et al. 2022). Steps follow the sign of a
gradient with momentum (Dong et al. 2018) and become shorter. Only examples that no start has
changed without an alarm get the next start. Where another package's detector raises the alarms,
which gives no gradients, e is that of the guard's own scores; λ and which changes are best follow
the alarms.

On the bundled classifier, with longer steps than these and an earlier detector, steps that obey one
constraint at a time (selective: Bryniarski et al. 2022), or each orthogonal to the other, found
less in as many steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from synapse_audit.guard.boxes import EMBEDDINGS, STATES, Changes, changes_toward
from synapse_audit.guard.building import host_head
from synapse_audit.guard.climbing import Met, Target, climb_margin, moved, slopes, wide
from synapse_audit.guard.hardening import linear_logits

STEPS = 16
STRIDE, LAST_STRIDE = 0.08, 0.002
"""Length of the first step, and nearly of the last one, as shares of the box's half width. Longer
ones overshoot where the detector hardly shrinks its covariances: of 24 inputs of the bundled
classifier 0.15 and 0.01 changed 12 silently within one spread of the states, these 23."""
MOMENTUM = 0.75
ENOUGH = 0.5
"""Margin, in logits, beyond which only the alarm counts."""
FACTOR = 1.3
"""By which λ grows or falls in a step."""

Start = Callable[[Target], Changes]


class Best(NamedTuple):
    """The best changes so far, example by example."""

    changes: Changes
    worth: Float[Tensor, " examples"]
    """− the excess where the answer is changed (0: without an alarm), else − infinity."""

    def beside(self, now: Sequence[Tensor], met: Met) -> Best:
        """The better one of each example."""
        value = torch.where(met.margin > 0, -met.raised, -torch.inf).detach()
        pairs = zip(self.changes, now, strict=True)
        kept = [torch.where(wide(value > self.worth, b), b.detach(), a) for a, b in pairs]
        return Best(kept, torch.maximum(self.worth, value))

    def with_rows(self, rows: Int[Tensor, " rows"], found: Best) -> Best:
        """With what was found for some of the examples."""
        pairs = zip(self.changes, found.changes, strict=True)
        changes = [whole.index_copy(0, rows, some) for whole, some in pairs]
        return Best(changes, self.worth.index_copy(0, rows, found.worth))

    def only(self, rows: Int[Tensor, " rows"]) -> Best:
        """Some of the examples."""
        return Best([one[rows] for one in self.changes], self.worth[rows])


def best_of_starts(target: Target, starts: Sequence[Start], steps: int = STEPS) -> Changes:
    """The best changes that any start led to."""
    best = Best(target.unchanged, torch.full_like(target.clean, -torch.inf, dtype=torch.float32))
    for start in starts:
        rows = torch.nonzero(best.worth < 0)[:, 0]
        if not len(rows):
            break
        some = target.only(rows)
        best = best.with_rows(rows, _climb(some, start(some), best.only(rows), steps))
    return best.changes


def _climb(target: Target, now: Changes, best: Best, steps: int) -> Best:
    """The best changes on the way from one start, or before it."""
    price = torch.ones_like(best.worth)
    momentum = [torch.zeros_like(one) for one in now]
    for step in range(steps + 1):
        now = [one.detach().requires_grad_() for one in now]
        met = target.met(now)
        best = best.beside(now, met)
        if step == steps or bool((best.worth == 0).all()):
            break
        uphill = met.margin.clamp_max(ENOUGH) - price * torch.log1p(met.excess)
        new = _of_size_one(slopes(uphill.sum(), now))
        momentum = [MOMENTUM * old + one for old, one in zip(momentum, new, strict=True)]
        stride = STRIDE * (1 - step / steps) + LAST_STRIDE
        now = [moved(one, stride * m.sign()) for one, m in zip(now, momentum, strict=True)]
        price = (price * _factor(met)).clamp(1e-3, 1e3)
    return best


def _factor(met: Met) -> Float[Tensor, " examples"]:
    raised = torch.where(met.raised > 0, FACTOR, 1.0)
    return torch.where(met.margin > 0, raised, 1 / FACTOR)


def _of_size_one(found: Sequence[Tensor]) -> list[Tensor]:
    """Slopes whose mean absolute values sum to 1 in each example, over all places."""
    size = torch.stack([one.abs().flatten(1).mean(dim=1) for one in found]).sum(dim=0)
    return [one / wide(size + 1e-20, one) for one in found]


def _unchanged(target: Target) -> Changes:
    return target.unchanged


def _plain(target: Target) -> Changes:
    """Where an attack on the host alone ends."""
    return climb_margin(Target.of(target.guarded, target.batch, target.box))


def _random(target: Target) -> Changes:
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.rand(one.shape, generator=generator) for one in target.unchanged]
    return [2 * one.to(target.clean.device) - 1 for one in drawn]


def _toward_mean(target: Target, nth: int) -> Changes:
    """As far toward the mean of the nth nearest class of another answer as the box allows."""
    order = _nearest_others(target)
    chosen = order[:, min(nth, order.shape[1] - 1)]
    return changes_toward(target.guarded, target.batch, target.box.size, chosen)


def _nearest_others(target: Target) -> Int[Tensor, "examples centres"]:
    """Rows of the detector's centres, nearest first at the head's input; the own answer's last."""
    guarded, clean = target.guarded, target.clean
    read = guarded.guard.detector.scorers[-1]
    answers = linear_logits(host_head(guarded.classifier), read.centres).argmax(axis=1)
    with torch.no_grad():
        inputs = guarded.look(target.batch).pooled[-1].float()
    centres, spread = (torch.from_numpy(one).to(inputs) for one in (read.centres, read.spread))
    far = torch.cdist(inputs / spread, centres / spread)
    own = clean[:, None] == torch.from_numpy(answers).to(clean)
    return far.masked_fill(own, torch.inf).argsort(dim=1)


ANYWHERE: Mapping[str, Start] = {"no change": _unchanged, "plain": _plain, "random": _random}
STARTS: Mapping[str, Mapping[str, Start]] = {
    EMBEDDINGS: ANYWHERE,
    STATES: {
        "nearest class": partial(_toward_mean, nth=0),
        "second class": partial(_toward_mean, nth=1),
        **ANYWHERE,
    },
}
"""What is changed → where an attack that knows the guard starts."""
