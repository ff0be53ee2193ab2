"""From the last block's states to logits, for any module: itself, run without its blocks.

In: the states that the last block would hand on. Out: logits. The blocks are swapped for stand-ins
that hand these states on; all else runs as the module's own ``forward`` says, on one traced example
repeated as often as needed. What comes before the blocks is run and not used, so that this is
more expensive than the head of a record; it needs to know nothing of the module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from synapse_audit.model.inputs.encoded import Batch
from synapse_audit.model.placement import device_of
from synapse_audit.model.pooling import Pooling

TOKENS_AT_ONCE = 16384
"""Tokens of one run: rows are repeated at every token of the template."""


def logits_of(output: Any) -> Float[Tensor, "examples classes"]:
    """The logits in whatever a classifier returns: itself, an attribute, the first of a tuple."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, tuple | list) and output and not hasattr(output, "_fields"):
        return logits_of(output[0])
    if isinstance(output, Mapping) and "logits" in output:
        return logits_of(output["logits"])
    found: Tensor = output.logits if hasattr(output, "logits") else output.prediction_logits
    return found


class StandIn(nn.Module):
    """Hands ``states`` on in place of a block; whatever else is asked of it the block answers."""

    def __init__(self, block: nn.Module, states: Tensor, length: int) -> None:
        """``length``: of the tuple that the block returns; 0 where it returns a bare tensor."""
        super().__init__()
        self.__dict__["block"] = block  # no submodule: the block keeps its name in the model
        self.states, self.length, self.training = states, length, block.training

    def forward(self, *arguments: Any, **keywords: Any) -> Any:
        """The states, as the block would return them."""
        return (self.states, *[None] * (self.length - 1)) if self.length else self.states

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["block"], name)


class Spy(StandIn):
    """Runs the block and keeps how long a tuple it returned."""

    def forward(self, *arguments: Any, **keywords: Any) -> Any:
        """What the block returns."""
        output = self.__dict__["block"](*arguments, **keywords)
        self.length = len(output) if isinstance(output, tuple | list) else 0
        return output


@contextmanager
def swapped(model: nn.Module, modules: Mapping[str, nn.Module]) -> Iterator[None]:
    """Puts modules in the place of others, by dotted path, until the block ends, however it ends.

    Swapping, and no hook: hooks on the blocks must not run when only the head is asked.
    """
    places = [(model.get_submodule(p.rpartition(".")[0]), p.rpartition(".")[2]) for p in modules]
    before = [parent._modules[name] for parent, name in places]
    try:
        for (parent, name), module in zip(places, modules.values(), strict=True):
            parent._modules[name] = module
        yield
    finally:
        for (parent, name), block in zip(places, before, strict=True):
            parent._modules[name] = block


@dataclass(frozen=True)
class Tail:
    """What a module does after its blocks."""

    paths: tuple[str, ...]
    """Of the blocks, in order."""
    lengths: tuple[int, ...]
    """Of the tuple that each returns; 0 where it returns a bare tensor."""
    template: Batch
    """One example."""
    tokens: int
    """Of the template, as the blocks see them."""

    def run(self, model: nn.Module, batch: Batch, states: Tensor) -> Float[Tensor, "rows classes"]:
        """Logits of a batch with ``states`` as the last block's."""
        blocks = {
            path: StandIn(model.get_submodule(path), states, length)
            for path, length in zip(self.paths, self.lengths, strict=True)
        }
        with swapped(model, blocks):
            return logits_of(model(**batch))

    def row(self, model: nn.Module, pooled: Tensor) -> Float[Tensor, "rows classes"]:
        """Logits from one row per example, which stands at every token of the template."""
        parts = torch.split(pooled, max(1, TOKENS_AT_ONCE // self.tokens))
        return torch.cat([self._of_rows(model, part) for part in parts])

    def whole(
        self, model: nn.Module, states: Tensor, pooling: Pooling
    ) -> Float[Tensor, "rows classes"]:
        """Logits from the states of all tokens."""
        batch = self._repeated(len(states), states.shape[1], device_of(model))
        if "attention_mask" in batch and pooling.kept is not None:
            mask = pooling.present(states.shape[1])
            batch = {**batch, "attention_mask": mask.to(batch["attention_mask"].dtype)}
        return self.run(model, batch, states)

    def _of_rows(self, model: nn.Module, rows: Tensor) -> Tensor:
        batch = self._repeated(len(rows), self.tokens, device_of(model))
        return self.run(model, batch, rows[:, None].repeat(1, self.tokens, 1))

    def _repeated(self, rows: int, tokens: int, device: torch.device) -> dict[str, Tensor]:
        """The template as often as needed, and as long: its first token where it is too short."""
        batch = {}
        for name, given in self.template.items():
            values = given.to(device)
            if values.ndim > 1 and values.shape[1] == self.tokens != tokens:
                values = values[:, :1].expand(-1, tokens, *values.shape[2:])
            batch[name] = values.expand(rows, *values.shape[1:])
        return batch


def tuple_lengths(model: nn.Module, paths: Sequence[str], batch: Batch) -> tuple[int, ...]:
    """How long a tuple each block returns; 0 where it returns a bare tensor."""
    spies = {path: Spy(model.get_submodule(path), torch.empty(0), 0) for path in paths}
    with swapped(model, spies), torch.inference_mode():
        model(**batch)
    return tuple(spy.length for spy in spies.values())
