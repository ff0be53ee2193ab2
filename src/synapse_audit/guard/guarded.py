"""The guarded model: a plain module that answers as the host does, behind ranges, detector, head.

In: what the host's ``forward`` takes. Out: logits of the head that the guard names, and per input
an anomaly score, its conformal p-value and whether it is an alarm. The host is left as it is: the
hooks live inside each call. It has the host's configuration and device, so that a pipeline of
transformers takes it for the host.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers.utils.generic import ModelOutput

from synapse_audit.guard.clamping import clamp_pooled, within
from synapse_audit.guard.folder import read_guard
from synapse_audit.guard.heads import head_module
from synapse_audit.guard.integrity import check_canaries, check_tensors
from synapse_audit.guard.opening import opened
from synapse_audit.guard.parts import Guard, known_head
from synapse_audit.guard.scoring import Scores
from synapse_audit.model import BLOCK_OUTPUT, HEAD_INPUT, Classifier, logits_of
from synapse_audit.model.evaluation_mode import evaluating
from synapse_audit.model.hooks import OutputHook, hook_at_points
from synapse_audit.model.placement import device_of


@dataclass
class GuardedOutput(ModelOutput):
    """What a guarded model says of each input."""

    logits: Float[Tensor, "examples classes"] | None = None
    score: Float[Tensor, " examples"] | None = None
    """Anomaly score: the largest over layers and kinds, 0 at a typical clean input."""
    p_value: Float[Tensor, " examples"] | None = None
    """Share of clean calibration inputs that score at least as much: small = unusual."""
    alarm: Bool[Tensor, " examples"] | None = None
    """Whether the p-value is at most the stated false-alarm rate."""


def load_guarded(model: Any, folder: str | Path, *, head: str | None = None) -> GuardedModel:
    """A model behind its guard, after its checksums and canaries were checked.

    Args:
        model: folder or hub id, a model of transformers, or a :class:`Classifier`; it is not
            changed.
        folder: what ``synapse-audit guard`` wrote.
        head: another head than the guard's own: host, hardened or vote.

    Raises:
        ModelError: not the model that the guard was made for, or it was tampered with; one line
            says which tensor differs.
        RunFolderError: no guard, or a damaged one.
        UsageError: an unknown head.
    """
    guard = read_guard(folder)
    name = guard.head if head is None else known_head(head)
    return GuardedModel(opened(model, guard), guard, head=name)


class GuardedModel(nn.Module):
    """Host, ranges, detector and head as one module."""

    def __init__(
        self,
        classifier: Classifier,
        guard: Guard,
        *,
        head: str | None = None,
        clamp: bool = True,
        verify: bool = True,
    ) -> None:
        super().__init__()
        self.host = classifier.model
        self.classifier, self.guard, self.clamp = classifier, guard, clamp
        self.scores = Scores(guard.detector, guard.ranges)
        self.head = head_module(guard, head or guard.head)
        for name in ("low", "high", "class_low", "class_high"):
            for place, array in enumerate(getattr(guard.ranges, name)):
                self.register_buffer(f"{name}_{place}", torch.from_numpy(np.array(array)))
        self.calls = 0
        self.signature = inspect.signature(self.host.forward)
        self.to(device_of(self.host)).eval()
        if verify:
            check_tensors(self.host, guard.tensors, classifier.name)
            check_canaries(guard.canaries, self._host_logits, classifier.name)
        self.known = self._canary_logits()

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            host = self.__dict__.get("_modules", {}).get("host")
            if host is None:
                raise
            return getattr(host, name)

    def verify(self) -> None:
        """Checks every tensor and asks the canaries.

        Raises:
            ModelError: the model is not the one that was guarded.
        """
        check_tensors(self.host, self.guard.tensors, self.classifier.name)
        self.ask_canaries()

    def ask_canaries(self) -> None:
        """Asks the canaries alone: what runs after every ``check_every`` calls.

        The host's answers are held against the guard's folder, those of the guard's own head
        against what it said when it was loaded.

        Raises:
            ModelError: an answer differs.
        """
        name = self.classifier.name
        check_canaries(self.guard.canaries, self._host_logits, name)
        if self.head is not None:
            own = replace(self.guard.canaries, logits=self.known.cpu().numpy())
            check_canaries(own, lambda batch: self._canary_logits(), name)

    def _host_logits(self, batch: Mapping[str, Tensor]) -> Tensor:
        device = device_of(self.host)
        with evaluating(self.host):
            return logits_of(self.host(**{n: t.to(device) for n, t in batch.items()}))

    @torch.no_grad()
    def _canary_logits(self) -> Tensor:
        """What the guarded model says of the canaries now."""
        device = device_of(self.host)
        inputs = self.guard.canaries.inputs
        return self._logits(
            self.look({n: torch.from_numpy(v).to(device) for n, v in inputs.items()})
        )

    @torch.no_grad()
    def forward(self, *arguments: Any, **keywords: Any) -> GuardedOutput:
        """What the host's ``forward`` takes; labels and the like are ignored.

        Raises:
            ModelError: a canary that was due is answered otherwise than before.
        """
        self._count()
        batch = self._batch(arguments, keywords)
        seen = self.look(batch)
        if self.guard.ranges.class_low and self.clamp:
            first = self._logits(seen).argmax(dim=1)
            # What is scored is the first pass: the second clamps more.
            logits = self._logits(self.look(batch, first))
        else:
            logits = self._logits(seen)
        score = self.scores(seen.pooled)
        p_value = self.scores.p_values(score)
        alarm = p_value <= self.guard.detector.false_alarm_rate
        return GuardedOutput(logits=logits, score=score, p_value=p_value, alarm=alarm)

    def _count(self) -> None:
        self.calls += 1
        every = self.guard.check_every
        if every and self.calls % every == 0:
            self.ask_canaries()

    def _batch(self, arguments: Any, keywords: Any) -> dict[str, Tensor]:
        given = self.signature.bind_partial(*arguments, **keywords).arguments
        given |= given.pop("kwargs", {})
        return {n: v for n, v in given.items() if isinstance(v, Tensor) and n != "labels"}

    def look(
        self, batch: Mapping[str, Tensor], named: Int[Tensor, " examples"] | None = None
    ) -> HostPass:
        """One pass of the host behind its ranges.

        Args:
            named: the class of each example whose ranges hold; those over all classes where None.
        """
        classifier, pooling = self.classifier, self.classifier.pooling(batch)
        found = HostPass([], None, torch.empty(0))
        last = classifier.n_layers

        def at(layer: int) -> OutputHook:
            def hook(states: Tensor) -> Tensor | None:
                found.pooled.append(pooling.gather(states))
                # The last layer's state is read by the head, whose input is clamped instead.
                if not self.clamp or layer == last:
                    return None
                return clamp_pooled(states, pooling, *self._range(layer, named))

            return hook

        def at_head(states: Tensor) -> Tensor | None:
            row = states if states.ndim == 2 else pooling.gather(states)
            found.pooled.append(row)
            found.head_input = row
            if not self.clamp:
                return None
            found.head_input = within(row, *self._range(last + 1, named))
            return found.head_input if states.ndim == 2 else None

        points = [(classifier.point(BLOCK_OUTPUT, m), at(m)) for m in range(last + 1)]
        points.append((classifier.point(HEAD_INPUT, last), at_head))
        with evaluating(self.host), hook_at_points(points, root=self.host):
            found.logits = logits_of(self.host(**batch))
        return found

    def _logits(self, seen: HostPass) -> Float[Tensor, "examples classes"]:
        if self.head is None or seen.head_input is None:
            return seen.logits
        found: Tensor = self.head(seen.head_input.float())
        return found

    def _range(self, place: int, named: Int[Tensor, " examples"] | None) -> tuple[Tensor, Tensor]:
        if named is None:
            return getattr(self, f"low_{place}"), getattr(self, f"high_{place}")
        low, high = getattr(self, f"class_low_{place}"), getattr(self, f"class_high_{place}")
        return low[named], high[named]


@dataclass
class HostPass:
    """What one pass of the host showed."""

    pooled: list[Tensor]
    """Per place, before it was clamped."""
    head_input: Tensor | None
    """As the head gets it."""
    logits: Tensor
    """The host's own."""
