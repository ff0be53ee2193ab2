"""One traced batch of an unknown module: what ran, in which order, on what.

In: a module, and what makes batches for it. Out: :class:`Traced`, which every search of
:mod:`synapse_audit.model.discovery.discover` reads and tests its guesses on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from synapse_audit.errors import ModelError
from synapse_audit.model.discovery.head_alone import logits_of
from synapse_audit.model.hooks import forward_hooks, forward_pre_hooks
from synapse_audit.model.inputs.encoded import Batch, Collator, Encoder
from synapse_audit.model.placement import device_of

TEXTS = ("a", "a few words of plain text", "one longer text, so that tokens are padded: 1 2 3 4 5")
"""Traced where the caller gives no examples."""

EXACT = 1e-5
"""Largest difference from the module's own logits, relative to the largest of them."""

COARSE = 0.02
"""The same in number formats of fewer than 24 binary digits."""

MOVED = 1e-6
"""Smallest difference that counts as one, likewise."""

BROKEN = (RuntimeError, TypeError, ValueError, IndexError, KeyError, AttributeError)
"""What a module, encoder or collator may raise that was not made for what it is given."""

Sure = Literal["given", "tested", "likely"]


class Clue(NamedTuple):
    """One finding and what speaks for it."""

    part: str
    found: str
    why: str
    sure: Sure
    """``tested``: by runs of the module; ``likely``: by its shape; ``given``: by the caller."""

    def __str__(self) -> str:
        return f"{self.part} = {self.found} ({self.sure}: {self.why})"


@dataclass(frozen=True)
class Traced:
    """A module and the one batch that it is traced on."""

    model: nn.Module
    batch: Batch
    template: Batch
    """The shortest example alone."""
    logits: Tensor
    calls: tuple[Called, ...]
    """In the order in which modules began to run."""

    def matches(self, logits: Tensor) -> bool:
        """Whether logits are the module's own."""
        limit = EXACT if logits.dtype == torch.float32 else COARSE
        return logits.shape == self.logits.shape and bool(self.gaps(logits).max() <= limit)

    def gaps(self, logits: Tensor) -> Tensor:
        """Per example, the largest difference relative to the largest of all logits."""
        scale = max(1.0, self.logits.abs().max().item())
        return (logits.to(self.logits.device) - self.logits).abs().amax(-1) / scale

    def run(self) -> None:
        """One more pass."""
        self.model(**self.batch)


class Called(NamedTuple):
    """One call of one module."""

    path: str
    module: nn.Module
    shape: tuple[int, ...]
    """Of its first tensor."""
    number: int
    """Identity of that tensor."""


def unpacked(module: nn.Module) -> tuple[Clue, ...]:
    """PyTorch's encoder packs padded batches, so that hooks would see no tokens; here it does not.

    Its logits are the same within rounding.
    """
    packing = [
        (path, part)
        for path, part in module.named_modules()
        if isinstance(part, nn.TransformerEncoder) and part.use_nested_tensor
    ]
    for _, part in packing:
        part.use_nested_tensor = False
    return tuple(
        Clue("nested tensors", f"switched off in {path}", "blocks must see every token", "tested")
        for path, _ in packing
    )


def trace(
    module: nn.Module, n_classes: int, encoder: Encoder, collator: Collator, examples: Sequence[Any]
) -> Traced:
    """Runs a few examples once and notes every module that is called.

    Raises:
        ModelError: the module cannot be run on them, or gives no logits of these classes.
    """
    calls: list[Called] = []
    kept: list[Tensor] = []

    def noting(path: str, part: nn.Module) -> Callable[[tuple[Any, ...], Mapping[str, Any]], None]:
        def hook(arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
            given = [x for x in (*arguments, *keywords.values()) if isinstance(x, Tensor)]
            if given:
                calls.append(Called(path, part, tuple(given[0].shape), id(given[0])))
                kept.append(given[0])  # so that its identity is not given to another one

        return hook

    try:
        encoded = encoder(examples)
        shortest = int(encoded.lengths.argmin())
        batch = _placed(module, collator(list(encoded.features)))
        template = _placed(module, collator([encoded.features[shortest]]))
        with forward_pre_hooks([(m, noting(n, m)) for n, m in module.named_modules() if n]):
            logits = logits_of(module(**batch)).to(device_of(module))
    except BROKEN as error:
        raise ModelError(
            f"{type(module).__name__} cannot be traced: {str(error).partition(chr(10))[0]}; "
            "expected examples=(a few inputs that encoder and collator take) to Classifier.wrap"
        ) from error
    if logits.ndim != 2 or logits.shape[1] != n_classes:
        raise ModelError(
            f"{type(module).__name__} returns {tuple(logits.shape)}; expected logits (examples, "
            f"{n_classes}), one column per name in classes"
        )
    return Traced(module, batch, template, logits, tuple(calls))


def _placed(module: nn.Module, batch: Batch) -> Batch:
    return {name: values.to(device_of(module)) for name, values in batch.items()}


def output_of(traced: Traced, module: nn.Module) -> Tensor:
    """What a module that was run hands on."""
    seen: list[Tensor] = []
    with forward_hooks([(module, seen.append)]):
        traced.run()
    return seen[-1]


def ran(traced: Traced, module: nn.Module) -> bool:
    """Whether a module was called."""
    return any(call.module is module for call in traced.calls)


def noise(like: Tensor) -> Tensor:
    """Of the states' own size, the same every time."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(like.shape, generator=generator).to(like)
    return values * like.std().clamp_min(MOVED)


def submodule(model: nn.Module, path: str, option: str) -> nn.Module:
    """The module at a path that the caller named.

    Raises:
        ModelError: there is none.
    """
    try:
        return model.get_submodule(path)
    except AttributeError as error:
        raise ModelError(
            f"{option}={path!r} given; expected the dotted path of a module: {error}"
        ) from error


FLAGS = {"blocks": "--blocks", "position": "--position", "output_layer": "--head"}
"""Parts that the command line can name too."""


def wanted(part: str) -> str:
    """How a caller names a part."""
    return f"{part}=... to Classifier.wrap" + (f", or {FLAGS[part]}" if part in FLAGS else "")


def not_found(part: str, why: str) -> ModelError:
    """Names the option that would help."""
    return ModelError(f"{part} not found: {why}; expected {wanted(part)}")


def not_fitting(part: str, why: str) -> ModelError:
    """Names the option that would help."""
    return ModelError(f"{part} does not fit: {why}; expected another {wanted(part)}")
