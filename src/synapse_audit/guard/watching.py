"""What a guard sees and changes in one pass of the host: pooled states, and their ranges.

In: a pass about to run. Out: the pooled states of all places, as one tensor per width, and the head
input behind its range. Serving pays for every step here, so that states are written straight to
where the scores read them, and nothing is scored before the pass is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from synapse_audit.guard.clamping import clamp_first, clamp_pooled, within
from synapse_audit.model import BLOCK_OUTPUT, HEAD_INPUT, Classifier, Pooling
from synapse_audit.model.hooks import HookPoint, OutputHook

Range = Callable[[int], tuple[Tensor, Tensor]]
"""Place → lower and upper ends of its neurons."""


class Place(NamedTuple):
    """Where the states of a place are kept."""

    group: int
    row: int


def places_of(groups: Sequence[Sequence[int]]) -> tuple[Place, ...]:
    """Place of each of several places that are kept by width."""
    found = {p: Place(g, r) for g, places in enumerate(groups) for r, p in enumerate(places)}
    return tuple(found[p] for p in range(len(found)))


class Watched(NamedTuple):
    """What is the same in every pass of a classifier."""

    points: tuple[HookPoint, ...]
    """Of layers 0 to L, then of the head's input."""
    sizes: tuple[int, ...]
    """Places of each width."""
    places: tuple[Place, ...]
    first: bool
    """Whether the head reads the first token."""

    @classmethod
    def of(cls, classifier: Classifier, groups: Sequence[Sequence[int]]) -> Watched:
        """``groups``: places of one width each."""
        last = classifier.n_layers
        points = [classifier.point(BLOCK_OUTPUT, layer) for layer in range(last + 1)]
        points.append(classifier.point(HEAD_INPUT, last))
        sizes = tuple(len(one) for one in groups)
        return cls(tuple(points), sizes, places_of(groups), classifier.position == "first")


class Watch:
    """The hooks of one pass and what they saw.

    Args:
        pooling: what the head reads; asked only where that is not simply the first token.
        ranges: None where nothing is clamped.
    """

    def __init__(
        self, watched: Watched, pooling: Callable[[], Pooling], ranges: Range | None
    ) -> None:
        self.watched, self.asked, self.ranges = watched, pooling, ranges
        self.groups: list[Tensor] = [torch.empty(0)] * len(watched.sizes)
        self.head_input: Tensor | None = None
        self.last = len(watched.points) - 2
        # A view of the first token can be changed in place, unless gradients are wanted.
        self.first = watched.first and not torch.is_grad_enabled()

    @cached_property
    def pooling(self) -> Pooling:
        """What the head reads."""
        return self.asked()

    def hooks(self) -> Iterator[tuple[HookPoint, OutputHook]]:
        """One per place."""
        *blocks, head = self.watched.points
        for layer, point in enumerate(blocks):
            yield point, self._at(layer)
        yield head, self._at_head

    @property
    def pooled(self) -> list[Tensor]:
        """Per place, before it was clamped."""
        return [self.groups[group][row] for group, row in self.watched.places]

    def _at(self, layer: int) -> OutputHook:
        # The last layer's state is read by the head, whose input is clamped instead.
        ends = None if self.ranges is None or layer == self.last else self.ranges(layer)

        def hook(states: Tensor) -> Tensor | None:
            if self.first and states.ndim == 3:
                self._keep(layer, states[:, 0])
                if ends is not None and states.dtype == ends[0].dtype:
                    clamp_first(states, *ends)
                    return None
            else:
                self._keep(layer, self.pooling.gather(states))
            return None if ends is None else clamp_pooled(states, self.pooling, *ends)

        return hook

    def _at_head(self, states: Tensor) -> Tensor | None:
        place = self.last + 1
        row = states if states.ndim == 2 else self.pooling.gather(states)
        self._keep(place, row)
        self.head_input = row
        if self.ranges is None:
            return None
        self.head_input = within(row, *self.ranges(place))
        return self.head_input if states.ndim == 2 else None

    def _keep(self, place: int, row: Float[Tensor, "examples neurons"]) -> None:
        group, at = self.watched.places[place]
        if not self.groups[group].numel():
            device = self.groups[0].device if self.groups[0].numel() else row.device
            shape = (self.watched.sizes[group], *row.shape)
            self.groups[group] = torch.empty(shape, dtype=torch.float32, device=device)
        self.groups[group][at] = row
