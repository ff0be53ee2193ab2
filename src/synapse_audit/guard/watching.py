"""What a guard sees and changes in a pass of the host: pooled states, and their ranges.

In: a pass about to run. Out: the pooled states of all places, and the head input behind its range.
Serving pays for every step here. So the hooks are made once and laid for each pass, a state is
copied once and clamped in place, and nothing is scored before the pass is over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from synapse_audit.guard.clamping import clamp_first, clamp_pooled, within
from synapse_audit.model import BLOCK_OUTPUT, HEAD_INPUT, Classifier, Pooling
from synapse_audit.model.hooks import HookPoint, OutputHook, hook_at_points

Ends = tuple[Tensor, Tensor] | None
"""Lower and upper ends of a place's neurons; None where nothing is clamped."""


class Watch:
    """The hooks of a guarded model, and what the pass under way showed them.

    One pass at a time: hooks are the model's, whoever runs it.
    """

    def __init__(self, classifier: Classifier) -> None:
        last = classifier.n_layers
        self.head = last + 1
        layers = [
            (classifier.point(BLOCK_OUTPUT, m), partial(self._at, m)) for m in range(self.head)
        ]
        points: list[tuple[HookPoint, OutputHook]] = [*layers]
        points.append((classifier.point(HEAD_INPUT, last), self._at_head))
        self.hooks = hook_at_points(points, root=classifier.model)
        self.reads_first = classifier.position == "first"

    def begin(self, pooling: Callable[[], Pooling], ends: Sequence[Ends]) -> None:
        """Before each pass.

        Args:
            pooling: what the head reads; asked only where that is not simply the first token.
            ends: per place. The last layer's state is read by the head, whose input is clamped
                instead, so that its own ends do not count.
        """
        self.pooled: list[Tensor] = [torch.Tensor()] * (self.head + 1)
        self.head_input: Tensor | None = None
        self.asked, self.known, self.ends = pooling, None, ends
        # A view of the first token can be changed in place, unless gradients are wanted.
        self.first = self.reads_first and not torch.is_grad_enabled()

    asked: Callable[[], Pooling]
    known: Pooling | None
    ends: Sequence[Ends]

    @property
    def pooling(self) -> Pooling:
        """What the head reads in this pass."""
        if self.known is None:
            self.known = self.asked()
        return self.known

    def _at(self, layer: int, states: Tensor) -> Tensor | None:
        ends = self.ends[layer] if layer < self.head - 1 else None
        if self.first and states.ndim == 3:
            row = states.select(1, 0)
            self.pooled[layer] = row.clone()
            if ends is None:
                return None
            if states.dtype == ends[0].dtype:
                clamp_first(row, *ends)
                return None
        else:
            self.pooled[layer] = self.pooling.gather(states)
        return None if ends is None else clamp_pooled(states, self.pooling, *ends)

    def _at_head(self, states: Tensor) -> Tensor | None:
        row = states if states.ndim == 2 else self.pooling.gather(states)
        self.pooled[self.head] = self.head_input = row
        ends = self.ends[self.head]
        if ends is None:
            return None
        self.head_input = within(row, *ends)
        return self.head_input if states.ndim == 2 else None
