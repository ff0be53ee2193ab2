"""Gradient attacks on a guarded model, by an attacker who knows the guard and by one who does not.

In: a guarded model. Out: :class:`~synapse_audit.guard.attacks.Attack` records without a target.
Projected gradient ascent (Madry et al. 2018) on the margin of the strongest other class, in a box:

- *embeddings*: every token's embedding (layer 0) moves by a share of their root mean square;
- *states*: every neuron of the pooled states of blocks 1 to L moves by a share of its spread over
  ``fit``, and stays in its calibrated range.

Who does not know the guard differentiates the host alone. Who knows it differentiates through
ranges, head and detector, all of which are differentiable: an input that scores above the threshold
lowers its scores first, any other one raises its margin, which needs no weight between the two
(selective projected descent: Bryniarski et al. 2022). Of all steps that one counts which
changed the answer without an alarm; else one that changed it.

Limits: one start and few steps; more of either, or other objectives, may do better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from synapse_audit.guard.attacks import Attack, Attacked, silenced
from synapse_audit.guard.guarded import GuardedModel
from synapse_audit.guard.heads import CentredHead
from synapse_audit.model import BLOCK_OUTPUT, Batch
from synapse_audit.model.hooks import hook_at_points

STEPS = 8
STRIDE = 0.3
"""Length of a step, as a share of the box's half width."""
ROOM = 0.98
"""Share of the threshold that an attacker who knows it stays below."""
EMBEDDINGS, STATES = "embeddings", "states"
SIZES = {EMBEDDINGS: 0.1, STATES: 0.5}
KNOWN_OF_GUARD = {False: "gradient", True: "adaptive gradient"}

Boxed = Callable[[Sequence[Tensor]], AbstractContextManager[None]]
"""Changes in units of the box (−1 to 1) → the forward pass with them."""


class Opened(NamedTuple):
    """What may be changed of one batch."""

    shapes: list[tuple[int, ...]]
    changed: Boxed


class Step(NamedTuple):
    """What one step of the attack met."""

    margin: Float[Tensor, " examples"]
    """Of the strongest other class over the clean answer: positive = changed."""
    excess: Float[Tensor, " examples"]
    """Summed excess of the scores over the threshold: 0 = no alarm."""


def gradient_attacks(guarded: GuardedModel) -> Iterator[Attack]:
    """Each kind of change, without and with knowledge of the guard."""
    for what, size in SIZES.items():
        for knows, name in KNOWN_OF_GUARD.items():
            unit = "RMS" if what == EMBEDDINGS else "spread"
            yield Attack(
                f"{name}, {what}",
                f"{size:g} of the {unit}",
                (gradient_attack(guarded, what, size, knows=knows),),
                on_weights=False,
                if_alarms_stop=f"{name}, {what}, below the threshold",
            )


def gradient_attack(
    guarded: GuardedModel, what: str, size: float, *, knows: bool, steps: int = STEPS
) -> Attacked:
    """The attack on one batch, found when its ``with`` is entered.

    Args:
        what: ``EMBEDDINGS`` or ``STATES``.
        size: half the width of the box.
        knows: whether the guard is differentiated too.
    """
    opening = _embeddings if what == EMBEDDINGS else _states

    @contextmanager
    def attack(batch: Batch) -> Iterator[None]:
        with torch.enable_grad():
            opened = opening(guarded, batch, size)
            found = _ascended(guarded, batch, opened, knows=knows, steps=steps)
        with opened.changed(found):
            yield

    return attack


def _ascended(
    guarded: GuardedModel, batch: Batch, opened: Opened, *, knows: bool, steps: int
) -> list[Tensor]:
    look = _knowing if knows else _ignorant
    device = next(iter(batch.values())).device
    now = [torch.zeros(shape, device=device) for shape in opened.shapes]
    with torch.no_grad():
        clean = look(guarded, batch)[0].argmax(dim=1)
    kept, worth = now, torch.full(clean.shape, -1, device=device)
    for step in range(steps + 1):
        now = [one.detach().requires_grad_() for one in now]
        with opened.changed(now):
            found = _step(*look(guarded, batch), clean)
        value = _worth(found)
        better = (value > worth) | (value == 0)
        kept = [
            torch.where(_wide(better, b), b.detach(), a) for a, b in zip(kept, now, strict=True)
        ]
        worth = torch.maximum(worth, value)
        if step == steps:
            break
        uphill = torch.where(found.excess > 0, -found.excess, found.margin).sum()
        slopes = torch.autograd.grad(uphill, now, allow_unused=True)
        now = [_moved(one, slope) for one, slope in zip(now, slopes, strict=True)]
    return kept


def _moved(now: Tensor, slope: Tensor | None) -> Tensor:
    if slope is None:
        return now.detach()
    return (now.detach() + STRIDE * slope.nan_to_num().sign()).clamp(-1, 1)


def _worth(found: Step) -> Int[Tensor, " examples"]:
    """2: changed without an alarm; 1: changed; 0: not changed."""
    changed, silent = found.margin > 0, found.excess <= 0
    return changed.long() * (1 + silent.long())


def _wide(chosen: Bool[Tensor, " examples"], like: Tensor) -> Tensor:
    return chosen.reshape(-1, *(1,) * (like.ndim - 1))


def _step(
    logits: Float[Tensor, "examples classes"],
    excess: Float[Tensor, " examples"],
    clean: Int[Tensor, " examples"],
) -> Step:
    own = logits.gather(1, clean[:, None])[:, 0]
    others = logits.scatter(1, clean[:, None], -torch.inf).amax(dim=1)
    return Step(others - own, excess)


def _ignorant(guarded: GuardedModel, batch: Batch) -> tuple[Tensor, Tensor]:
    """The host's logits, and no alarm."""
    logits = guarded.decided(guarded.host(**batch))
    return logits, torch.zeros_like(logits[:, 0])


def _knowing(guarded: GuardedModel, batch: Batch) -> tuple[Tensor, Tensor]:
    """Logits of the head that answers (of a vote: the host's, behind ranges), and the excess."""
    seen = guarded.look(batch)
    logits = seen.logits
    if isinstance(guarded.head, CentredHead) and seen.head_input is not None:
        logits = guarded.head(seen.head_input.float())
    scores = guarded.scores.each(seen.groups)
    limit = ROOM * guarded.scores.threshold(guarded.guard.detector.false_alarm_rate)
    return logits, (scores - limit).clamp_min(0).sum(dim=(0, 2))


def _embeddings(guarded: GuardedModel, batch: Batch, size: float) -> Opened:
    classifier = guarded.classifier
    point, seen = classifier.point(BLOCK_OUTPUT, 0), list[Tensor]()

    def watch(states: Tensor) -> None:
        seen.append(states.detach())

    with torch.no_grad(), hook_at_points([(point, watch)], root=classifier.model):
        guarded.host(**batch)
    width = size * float(seen[0].float().square().mean().sqrt())

    @contextmanager
    def changed(now: Sequence[Tensor]) -> Iterator[None]:
        def hook(states: Tensor) -> Tensor:
            return states + (width * now[0]).to(states)

        with hook_at_points([(point, hook)], root=classifier.model):
            yield

    return Opened([tuple(seen[0].shape)], changed)


def _states(guarded: GuardedModel, batch: Batch, size: float) -> Opened:
    classifier, guard = guarded.classifier, guarded.guard
    layers = range(1, classifier.n_layers + 1)
    n = len(next(iter(batch.values())))
    widths = {m: _finite(guard.detector.scorers[m].spread) * size for m in layers}

    @contextmanager
    def changed(now: Sequence[Tensor]) -> Iterator[None]:
        def at(layer: int, moved: Tensor) -> Callable[[Tensor], Tensor]:
            low, high = (torch.from_numpy(np.array(end[layer])) for end in _ends(guarded))

            def of(pooled: Tensor) -> Tensor:
                new = pooled + moved * widths[layer].to(pooled)
                return torch.fmin(torch.fmax(new, low.to(pooled)), high.to(pooled))

            return of

        rewrites = {m: at(m, one) for m, one in zip(layers, now, strict=True)}
        with silenced(classifier, rewrites)(batch):
            yield

    return Opened([(n, len(widths[m])) for m in layers], changed)


def _ends(guarded: GuardedModel) -> tuple[Sequence[np.ndarray], Sequence[np.ndarray]]:
    return guarded.guard.ranges.low, guarded.guard.ranges.high


def _finite(spread: Float[np.ndarray, " neurons"]) -> Tensor:
    """What never varied may not be moved."""
    return torch.from_numpy(np.where(np.isfinite(spread), spread, 0.0).astype(np.float32))
