"""What a gradient attack may change of a batch, as a box of half width 1.

In: a guarded model, a batch, a size. Out: :class:`Box`: the shapes of the changes, and the forward
pass with them.

- *embeddings*: every token's embedding (layer 0) moves by a share of their root mean square;
- *spared*: the same without what never varies of the pooled token's
  (:mod:`synapse_audit.guard.spared`);
- *states*: every neuron of the pooled states of blocks 1 to L moves by a share of its spread over
  ``fit``, and stays in its calibrated range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from synapse_audit.guard.attacks import Free, everything, silenced
from synapse_audit.guard.clamping import within
from synapse_audit.guard.guarded import GuardedModel
from synapse_audit.guard.spared import SPARED, free_to_move
from synapse_audit.model import BLOCK_OUTPUT, Batch
from synapse_audit.model.hooks import hook_at_points

EMBEDDINGS, STATES = "embeddings", "states"
SPARED_EMBEDDINGS = f"embeddings, {SPARED}"
UNITS = {EMBEDDINGS: "RMS", SPARED_EMBEDDINGS: "RMS", STATES: "spread"}

Changes = list[Tensor]
"""One tensor per place that may be changed, −1 to 1; examples first."""


class Box(NamedTuple):
    """What may be changed of one batch."""

    size: float
    """Half its width, in ``UNITS``."""
    shapes: Sequence[tuple[int, ...]]
    changed: Callable[[Batch, Sequence[Tensor]], AbstractContextManager[None]]
    """Forward passes of these examples, or of some of them, with the changes."""


def open_box(guarded: GuardedModel, batch: Batch, what: str, size: float) -> Box:
    """The box around a batch.

    Args:
        what: ``EMBEDDINGS``, ``SPARED_EMBEDDINGS`` or ``STATES``.
        size: half its width, in ``UNITS``; infinite: as far as the ranges allow (states).
    """
    if what == EMBEDDINGS:
        return _embeddings(guarded, batch, size, everything)
    if what == SPARED_EMBEDDINGS:
        return _embeddings(guarded, batch, size, partial(free_to_move, guarded))
    n = len(next(iter(batch.values())))
    shapes = [(n, len(side.width)) for side in sides(guarded, size)]
    return Box(size, shapes, _states(guarded, size))


def _embeddings(guarded: GuardedModel, batch: Batch, size: float, free: Free) -> Box:
    classifier = guarded.classifier
    point, seen = classifier.point(BLOCK_OUTPUT, 0), list[Tensor]()

    def watch(states: Tensor) -> None:
        seen.append(states.detach())

    with torch.no_grad(), hook_at_points([(point, watch)], root=classifier.model):
        guarded.host(**batch)
    width = size * float(seen[0].float().square().mean().sqrt())

    @contextmanager
    def changed(some: Batch, now: Sequence[Tensor]) -> Iterator[None]:
        def hook(states: Tensor) -> Tensor:
            return states + (width * now[0] * free(some, states)).to(states)

        with hook_at_points([(point, hook)], root=classifier.model):
            yield

    return Box(size, [tuple(seen[0].shape)], changed)


class Side(NamedTuple):
    """How far the neurons of one layer may move."""

    layer: int
    width: Float[Tensor, " neurons"]
    """0 where a neuron never varied."""
    low: Float[Tensor, " neurons"]
    high: Float[Tensor, " neurons"]

    def moved(self, pooled: Tensor, now: Tensor) -> Tensor:
        """The pooled state with its change, inside the range."""
        return within(pooled + now * self.width.to(pooled), self.low, self.high)


def sides(guarded: GuardedModel, size: float) -> list[Side]:
    """Those of blocks 1 to L."""
    guard, found = guarded.guard, []
    for layer in range(1, guarded.classifier.n_layers + 1):
        low, high = (np.asarray(e[layer]) for e in (guard.ranges.low, guard.ranges.high))
        spread = guard.detector.scorers[layer].spread
        far = high - low if np.isinf(size) else size * spread
        width = np.where(np.isfinite(spread), far, 0.0).astype(np.float32)
        found.append(Side(layer, *map(torch.from_numpy, (width, low.copy(), high.copy()))))
    return found


def _states(
    guarded: GuardedModel, size: float
) -> Callable[[Batch, Sequence[Tensor]], AbstractContextManager[None]]:
    known = sides(guarded, size)

    @contextmanager
    def changed(some: Batch, now: Sequence[Tensor]) -> Iterator[None]:
        def at(side: Side, moved: Tensor) -> Callable[[Tensor], Tensor]:
            return lambda pooled: side.moved(pooled, moved)

        rewrites = {s.layer: at(s, one) for s, one in zip(known, now, strict=True)}
        with silenced(guarded.classifier, rewrites)(some):
            yield

    return changed


def changes_toward(
    guarded: GuardedModel, batch: Batch, size: float, chosen: Int[Tensor, " examples"]
) -> Changes:
    """The changes that bring every pooled state as near as the box allows to the mean of a class.

    Layer by layer in one pass: each layer is met as the changes below it leave it.

    Args:
        chosen: row of the detector's ``centres``, per example.
    """
    found: Changes = []

    def at(side: Side) -> Callable[[Tensor], Tensor]:
        means = torch.from_numpy(guarded.guard.detector.scorers[side.layer].centres)

        def of(pooled: Tensor) -> Tensor:
            width = side.width.to(pooled)
            way = (means.to(pooled)[chosen] - pooled) / width
            found.append(torch.where(width > 0, way, 0.0).nan_to_num().clamp(-1, 1))
            return side.moved(pooled, found[-1])

        return of

    rewrites = {side.layer: at(side) for side in sides(guarded, size)}
    with torch.no_grad(), silenced(guarded.classifier, rewrites)(batch):
        guarded.host(**batch)
    return found
