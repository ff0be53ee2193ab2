"""The guarded model: a plain module that answers as the host does, behind ranges, detector, head.

In: what the host's ``forward`` takes. Out: logits of the head that the guard names, and per input
an anomaly score, its conformal p-value and whether it is an alarm. The host is left as it is: the
hooks live inside each call. It has the host's configuration and device, so that a pipeline of
transformers takes it for the host.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers.utils.generic import ModelOutput

from synapse_audit.guard.folder import read_guard
from synapse_audit.guard.heads import head_module
from synapse_audit.guard.integrity import (
    CanaryStates,
    check_canaries,
    check_states,
    check_tensors,
    repeated,
)
from synapse_audit.guard.opening import opened
from synapse_audit.guard.other_detectors import fitted_again
from synapse_audit.guard.parts import Guard, known_head
from synapse_audit.guard.scoring import Calibrated, Scores
from synapse_audit.guard.watching import Ends, Watch
from synapse_audit.model import Classifier, logits_of
from synapse_audit.model.evaluation_mode import evaluating
from synapse_audit.model.placement import device_of

IN_TRAINING = attrgetter("training")


@dataclass
class GuardedOutput(ModelOutput):
    """What a guarded model says of each input; tensors of inference mode, without gradients."""

    logits: Float[Tensor, "examples outputs"] | None = None
    """As many as the host has outputs."""
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
        UsageError: an unknown head, or the package of the guard's detector is not installed.
        DataError: that detector cannot be fitted on the stored states.
    """
    guard = read_guard(folder)
    name = guard.head if head is None else known_head(head)
    return GuardedModel(opened(model, guard), guard, head=name)


class HostPass(NamedTuple):
    """What one pass of the host showed."""

    pooled: list[Tensor]
    """The pooled states per place, before they were clamped."""
    head_input: Tensor | None
    """As the head gets it."""
    logits: Float[Tensor, "examples classes"]
    """The host's own, as they decide."""


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
        self.own_scores = Scores(guard.detector, guard.ranges)
        self.scores: Any = self.own_scores if guard.other is None else fitted_again(guard.other)
        self.watch, self.ends = Watch(classifier), list[Ends]()
        self.head = head_module(guard, head or guard.head)
        for name in ("low", "high", "class_low", "class_high"):
            for place, array in enumerate(getattr(guard.ranges, name)):
                self.register_buffer(f"{name}_{place}", torch.from_numpy(np.array(array)))
        self.calls = 0
        self.known: CanaryStates | None = None
        self.signature = inspect.signature(self.host.forward)
        self.host_modules = (*self.host.modules(),)
        self.to(device_of(self.host)).eval()
        if verify:
            check_tensors(self.host, guard.tensors, classifier.name)
            check_canaries(guard.canaries, self._host_logits, classifier.name)
        self.known = self._known_canaries()

    def _apply(self, *arguments: Any, **keywords: Any) -> Any:
        # On another device the same canaries are answered a little differently.
        self.known, self.ends = None, []
        return super()._apply(*arguments, **keywords)  # type: ignore[no-untyped-call]

    def __getattr__(self, name: str) -> Any:
        # First what a pass asks for: torch's own search comes after it, then the host's.
        part = self.__dict__.get("_modules", {}).get(name)
        if part is not None:
            return part
        try:
            return super().__getattr__(name)
        except AttributeError:
            host = self.__dict__.get("_modules", {}).get("host")
            if host is None:
                raise
            return getattr(host, name)

    def use_scores(self, scores: Calibrated) -> None:
        """Another detector in the place of the guard's own, in memory.

        Args:
            scores: of :mod:`synapse_audit.guard.other_detectors`.
        """
        self.scores = scores

    def verify(self) -> None:
        """Checks every tensor and asks the canaries: what runs after every ``check_every`` calls.

        Raises:
            ModelError: the model is not the one that was guarded.
        """
        check_tensors(self.host, self.guard.tensors, self.classifier.name)
        self.ask_canaries()

    def ask_canaries(self) -> None:
        """Asks the canaries alone, which also run what the weights are run by.

        Their states at every place and the answers are held against what they were when the model
        was loaded, on this machine: as close as repetition gives them.

        Raises:
            ModelError: one differs.
        """
        if self.known is None:
            self.known = self._known_canaries()
        check_states(self._canary_states(), self.known, self.classifier.name)

    def _host_logits(self, batch: Mapping[str, Tensor]) -> Tensor:
        device = device_of(self.host)
        with evaluating(self.host):
            return self.decided(self.host(**{n: t.to(device) for n, t in batch.items()}))

    def _known_canaries(self) -> CanaryStates:
        return repeated(self._canary_states(), self._canary_states())

    @torch.inference_mode()
    def _canary_states(self) -> list[Tensor]:
        """Pooled states of the canaries at every place, then the guarded model's answers."""
        device = device_of(self.host)
        inputs = self.guard.canaries.inputs
        seen = self.look({n: torch.from_numpy(v).to(device) for n, v in inputs.items()})
        return [one.float() for one in (*seen.pooled, seen.logits, self._logits(seen))]

    @torch.inference_mode()
    def forward(self, *arguments: Any, **keywords: Any) -> GuardedOutput:
        """What the host's ``forward`` takes; labels and the like are ignored.

        Raises:
            ModelError: a check was due, and the model is not the one that was guarded.
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
        return GuardedOutput(self._as_host(logits), score, p_value, alarm)

    def _as_host(self, logits: Float[Tensor, "examples classes"]) -> Tensor:
        """As many outputs as the host has."""
        one = self.classifier.decision.one_output
        return logits[:, 1:] - logits[:, :1] if one else logits

    def _count(self) -> None:
        self.calls += 1
        every = self.guard.check_every
        if every and self.calls % every == 0:
            self.verify()

    def _batch(self, arguments: Any, keywords: Any) -> dict[str, Tensor]:
        given: dict[str, Any] = keywords
        if arguments:
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
        watch = self.watch
        watch.begin(partial(self.classifier.pooling, batch), self._ranges(named))
        # Whether anything is in training mode is asked in each pass; the list of modules is not.
        mode = evaluating(self.host) if any(map(IN_TRAINING, self.host_modules)) else nullcontext()
        with mode, watch.hooks:
            logits = self.decided(self.host(**batch))
        return HostPass(watch.pooled, watch.head_input, logits)

    def decided(self, output: Any) -> Float[Tensor, "examples classes"]:
        """The host's output as logits that decide: one output z as (0, z)."""
        return self.classifier.decision.logits(logits_of(output))

    def _logits(self, seen: HostPass) -> Float[Tensor, "examples classes"]:
        if self.head is None or seen.head_input is None:
            return seen.logits
        found: Tensor = self.head(seen.head_input.float())
        return found

    def _ranges(self, named: Int[Tensor, " examples"] | None) -> list[Ends]:
        """Per place; those over all classes are looked up once."""
        places = range(len(self.guard.ranges.low))
        if not self.clamp:
            return [None for _ in places]
        if named is not None:
            pairs = [(getattr(self, f"class_low_{p}"), getattr(self, f"class_high_{p}"))
                     for p in places]  # fmt: skip
            return [(low[named], high[named]) for low, high in pairs]
        if not self.ends:
            self.ends = [(getattr(self, f"low_{p}"), getattr(self, f"high_{p}")) for p in places]
        return self.ends
