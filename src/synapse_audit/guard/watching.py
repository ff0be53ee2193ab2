"""What a guard sees and changes in one pass of the host: pooled states, and their ranges.

In: a pass about to run. Out: the pooled states of all places, as one tensor per width, and the head
input behind its range. Serving pays for every step here, so that states are written straight to
where the scores read them, and nothing is scored before the pass is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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


def places_of(groups: Sequence[Sequence[int]]) -> list[Place]:
    """Place of each of several places that are kept by width."""
    found = {p: Place(g, r) for g, places in enumerate(groups) for r, p in enumerate(places)}
    return [found[p] for p in range(len(found))]


class Watch:
    """The hooks of one pass and what they saw."""

    def __init__(
        self,
        classifier: Classifier,
        pooling: Pooling,
        groups: Sequence[Sequence[int]],
        ranges: Range | None,
    ) -> None:
        self.classifier, self.pooling, self.ranges = classifier, pooling, ranges
        self.sizes, self.places = [len(one) for one in groups], places_of(groups)
        self.groups: list[Tensor] = [torch.empty(0)] * len(groups)
        self.head_input: Tensor | None = None
        # A view of the first token can be changed in place, unless gradients are wanted.
        self.first = classifier.position == "first" and not torch.is_grad_enabled()

    def hooks(self) -> Iterator[tuple[HookPoint, OutputHook]]:
        """One per place."""
        last = self.classifier.n_layers
        for layer in range(last + 1):
            yield self.classifier.point(BLOCK_OUTPUT, layer), self._at(layer, layer == last)
        yield self.classifier.point(HEAD_INPUT, last), self._at_head

    @property
    def pooled(self) -> list[Tensor]:
        """Per place, before it was clamped."""
        return [self.groups[group][row] for group, row in self.places]

    def _at(self, layer: int, last: bool) -> OutputHook:
        # The last layer's state is read by the head, whose input is clamped instead.
        ends = None if self.ranges is None or last else self.ranges(layer)

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
        place = self.classifier.n_layers + 1
        row = states if states.ndim == 2 else self.pooling.gather(states)
        self._keep(place, row)
        self.head_input = row
        if self.ranges is None:
            return None
        self.head_input = within(row, *self.ranges(place))
        return self.head_input if states.ndim == 2 else None

    def _keep(self, place: int, row: Float[Tensor, "examples neurons"]) -> None:
        group, at = self.places[place]
        if not self.groups[group].numel():
            device = self.groups[0].device if self.groups[0].numel() else row.device
            shape = (self.sizes[group], *row.shape)
            self.groups[group] = torch.empty(shape, dtype=torch.float32, device=device)
        self.groups[group][at] = row
