"""Where the parts of an unknown module are: read off its module tree and one traced batch.

In: a module whose forward takes a collated batch and returns logits. Out: :class:`Discovered`, the
parts with a :class:`Clue` for each. What the caller names is taken as it is; everything, named or
found, is held against the module's own logits before it is handed out.

| part | how it is found |
|---|---|
| blocks | the largest group of modules that run once each, in order, and keep their shape |
| embeddings | the outermost module that hands the first block its input, or that input itself |
| output_layer | the last ``nn.Linear`` run that gives as many outputs as there are classes |
| position | the tokens of the last block whose change moves the logits |
| head | the module itself, run without its blocks
(:class:`synapse_audit.model.discovery.head_alone.Tail`) |
| sites | in a block, the first map to its width that mixes tokens, and the last linear one |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from synapse_audit.errors import ModelError, choices, first_line
from synapse_audit.model.discovery.head_alone import Tail, tuple_lengths
from synapse_audit.model.discovery.stacks import Stack, find_blocks, find_sites
from synapse_audit.model.discovery.tracing import (
    BROKEN,
    MOVED,
    TEXTS,
    Clue,
    Sure,
    Traced,
    noise,
    not_fitting,
    not_found,
    output_of,
    ran,
    submodule,
    trace,
    unpacked,
)
from synapse_audit.model.families.record import Family
from synapse_audit.model.hooks import HookPoint, forward_hooks, hook_at_points
from synapse_audit.model.inputs.encoded import Collator, Encoder
from synapse_audit.model.pooling import POSITIONS, Pooling, Position, pool_batch

MOST_COLUMNS = 48
"""Tokens that are changed in turn; beyond it, some of them."""


class NamedParts(NamedTuple):
    """What the caller names."""

    blocks: str | Sequence[str] | None = None
    embeddings: str | None = None
    output_layer: str | None = None
    position: Position | None = None
    head: Callable[[Any, Tensor], Tensor] | None = None


@dataclass(frozen=True)
class Discovered:
    """The parts of a module, with what speaks for each."""

    family: Family
    blocks: tuple[nn.Module, ...]
    embeddings: nn.Module
    output_layer: nn.Linear
    clues: tuple[Clue, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """One line per part."""
        return tuple(str(clue) for clue in self.clues)


@torch.inference_mode()
def discover(
    module: nn.Module,
    *,
    n_classes: int,
    encoder: Encoder,
    collator: Collator,
    examples: Sequence[Any] | None,
    given: NamedParts,
) -> Discovered:
    """Finds the parts of a module that ``given`` does not name.

    Args:
        examples: a few inputs for the encoder, better of several lengths; ``TEXTS`` where None.

    Raises:
        ModelError: a part cannot be found or does not fit; the message names the option to give.
    """
    notes = unpacked(module)
    traced = trace(module, n_classes, encoder, collator, TEXTS if examples is None else examples)
    try:
        found = _discovered(traced, n_classes, given)
    except BROKEN as error:  # what a module raises where it is run on less than it is made for
        raise ModelError(
            f"{type(module).__name__} cannot be run piece by piece: {first_line(error)}; expected "
            "blocks that keep the shape of their states, on texts of every length"
        ) from error
    return replace(found, clues=(*found.clues, *notes))


def _discovered(traced: Traced, n_classes: int, given: NamedParts) -> Discovered:
    module = traced.model
    stack = find_blocks(traced, given.blocks)
    states = output_of(traced, stack.modules[-1])
    tail = _tail(traced, stack, states)
    position, place = _find_position(traced, tail, states, given.position)
    pooling = pool_batch(module, position, traced.batch)
    head, whole, tested = _find_head(traced, tail, states, position, given.head)
    layer, output = _find_output_layer(traced, n_classes, pooling, given.output_layer)
    embeddings, side, start = _find_embeddings(traced, stack, given.embeddings)
    attention, mlp, sites = find_sites(traced, stack)
    clues = (stack.clue, start, place, tested, output, *sites)
    family = Family(
        name=f"{type(module).__name__} (discovered)",
        model_types=(),
        embeddings=start.found,
        blocks=stack.paths,
        output_layer=output.found,
        head=head,
        whole_head=whole,
        position=position,
        embeddings_side="input" if side == "input" else "output",
        attention_output=attention,
        mlp_output=mlp,
    )
    return Discovered(family, stack.modules, embeddings, layer, clues)


def _tail(traced: Traced, stack: Stack, states: Tensor) -> Tail:
    seen: list[Tensor] = []
    lengths = tuple_lengths(traced.model, stack.paths, traced.batch)
    with torch.inference_mode(False):  # gradients may be asked for later
        template = {name: values.clone() for name, values in traced.template.items()}
    with forward_hooks([(stack.modules[-1], seen.append)]):
        traced.model(**template)
    tail = Tail(stack.paths, lengths, template, seen[-1].shape[1])
    if not traced.matches(tail.run(traced.model, traced.batch, states)):
        raise ModelError(
            f"the last of blocks={stack.clue.found!r} does not decide the logits alone; expected "
            "blocks=(paths of all blocks, the last one being what the head reads) to "
            "Classifier.wrap"
        )
    return tail


def _find_position(
    traced: Traced, tail: Tail, states: Tensor, given: Position | None
) -> tuple[Position, Clue]:
    if given is not None:
        _check_reading(traced, given)
    columns = _columns(states.shape[1])
    moved = _moved(traced, tail, states, columns)
    if given is not None:
        if not _covers(traced, given, moved, columns):
            raise not_fitting("position", f"{_moving(columns, moved)}: not those of '{given}'")
        return given, Clue("position", given, POSITIONS[given], "given")
    fitting = [name for name in POSITIONS if _reads(traced, name, moved, columns)]
    if not fitting:
        raise not_found("position", f"{_moving(columns, moved)}, which is no known reading")
    why = f"changed in turn, {len(columns)} tokens: these alone move the logits"
    if len(fitting) > 1:
        why += f"; {', '.join(fitting[1:])} would fit as well"
    sure: Sure = "tested" if len(fitting) == 1 else "likely"
    return fitting[0], Clue("position", fitting[0], why, sure)


def _check_reading(traced: Traced, given: Position) -> None:
    if given not in POSITIONS:
        raise ModelError(f"position={given!r} given; {choices(given, POSITIONS)}")
    try:
        pool_batch(traced.model, given, traced.batch)
    except KeyError as error:
        raise not_fitting("position", f"{LAST_TOLD} (missing: {error})") from error


LAST_TOLD = "where the last token is, the batch must say in attention_mask"


def _moving(columns: Int[Tensor, " columns"], moved: Bool[Tensor, "examples columns"]) -> str:
    """What speaks against a reading."""
    found = columns[moved.any(0).cpu()].tolist()
    if found == [int(columns[-1])]:
        return f"the logits move with the last token alone; {LAST_TOLD}"
    named = ", ".join(map(str, found[:8])) or "none"
    return f"the logits move with tokens {named}"


def _columns(tokens: int) -> Int[Tensor, " columns"]:
    """All tokens, or the first three, the last ones and some between."""
    if tokens <= MOST_COLUMNS:
        return torch.arange(tokens)
    spread = torch.linspace(3, tokens - 1, MOST_COLUMNS - 3).long()
    return torch.unique(torch.cat([torch.arange(3), spread]))


def _moved(
    traced: Traced, tail: Tail, states: Tensor, columns: Int[Tensor, " columns"]
) -> Bool[Tensor, "examples columns"]:
    """Whether the logits of an example move when its state at a token is changed."""
    shift = noise(states[:, 0])
    found = []
    for column in columns.tolist():
        changed = states.clone()
        changed[:, column] += shift
        gaps = traced.gaps(tail.run(traced.model, traced.batch, changed))
        found.append(gaps > MOVED)
    return torch.stack(found, dim=1)


def _reads(traced: Traced, name: Position, moved: Tensor, columns: Int[Tensor, " columns"]) -> bool:
    try:
        pooling = pool_batch(traced.model, name, traced.batch)
        expected = pooling.read(int(columns[-1]) + 1)[:, columns]
    except BROKEN:  # nothing in the batch tells where that token is
        return False
    return bool((expected == moved).all())


def _covers(
    traced: Traced, given: Position, moved: Tensor, columns: Int[Tensor, " columns"]
) -> bool:
    """Whether no other token moves the logits, and most of those that are read do.

    Not all of them have to: a maximum over tokens may pass some by.
    """
    pooling = pool_batch(traced.model, given, traced.batch)
    read = pooling.read(int(columns[-1]) + 1)[:, columns]
    return not bool((moved & ~read).any()) and 2 * int((moved & read).sum()) > int(read.sum())


def _find_head(
    traced: Traced,
    tail: Tail,
    states: Tensor,
    position: Position,
    given: Callable[[Any, Tensor], Tensor] | None,
) -> tuple[Callable[..., Tensor] | None, Callable[..., Tensor] | None, Clue]:
    """The head of one row per example, or of the states of all tokens."""
    pooling = pool_batch(traced.model, position, traced.batch)
    pooled = pooling.gather(states)
    if given is not None:
        if not _gives(traced, lambda: given(traced.model, pooled)):
            raise not_fitting("head", "gives other logits than the module")
        return given, None, Clue("head", "a function", "gives the module's logits", "given")
    if _gives(traced, lambda: tail.row(traced.model, pooled)):
        why = "run without its blocks, on one row per example, it gives its own logits"
        return tail.row, None, Clue("head", "the module's own tail", why, "tested")
    if pooling.single or not _gives(traced, lambda: tail.whole(traced.model, states, pooling)):
        raise not_fitting(
            "position",
            f"the module run without its blocks on what '{position}' reads gives other logits; "
            "where tokens are padded, the batch must say so in attention_mask; or name the head",
        )
    why = "run without its blocks, on all tokens, it gives its own logits"
    return None, tail.whole, Clue("head", "the module's own tail, of all tokens", why, "tested")


def _gives(traced: Traced, run: Callable[[], Tensor]) -> bool:
    try:
        return traced.matches(run())
    except BROKEN:
        return False


def _find_output_layer(
    traced: Traced, n_classes: int, pooling: Pooling, given: str | None
) -> tuple[nn.Linear, Clue]:
    if given is not None:
        path, layer = given, submodule(traced.model, given, "output_layer")
    else:
        fitting = [
            call
            for call in traced.calls
            if isinstance(call.module, nn.Linear) and call.module.out_features == n_classes
        ]
        if not fitting:
            raise not_found("output_layer", f"no nn.Linear with {n_classes} outputs was run")
        path, layer = fitting[-1].path, fitting[-1].module
    if not isinstance(layer, nn.Linear):
        raise ModelError(
            f"output_layer={path!r} given, a {type(layer).__name__}; expected nn.Linear"
        )
    output = output_of(traced, layer) if ran(traced, layer) else traced.logits[:0]
    logits = output if output.ndim == 2 else pooling.gather(output)
    if not traced.matches(logits):
        raise not_found("output_layer", f"the output of '{path}' is not the logits")
    why = "its output is the logits"
    return layer, Clue("output_layer", path, why, "tested" if given is None else "given")


def _find_embeddings(
    traced: Traced, stack: Stack, given: str | None
) -> tuple[nn.Module, str, Clue]:
    first = HookPoint(stack.modules[0], "input")
    if given is not None:
        module = submodule(traced.model, given, "embeddings")
        if not ran(traced, module) or not _feeds(traced, module, first):
            raise not_fitting("embeddings", f"'{given}' does not hand the first block its input")
        return module, "output", Clue("embeddings", given, "the first block's input", "given")
    start = next(i for i, call in enumerate(traced.calls) if call.module is first.module)
    before = {call.path: call.module for call in traced.calls[:start]}
    for path in sorted(before, key=lambda name: name.count(".")):
        above = any(block.startswith(f"{path}.") for block in stack.paths)
        if not above and _feeds(traced, before[path], first):
            why = "what it hands on is the first block's input"
            return before[path], "output", Clue("embeddings", path, why, "tested")
    why = "no module hands it on as it is"
    clue = Clue("embeddings", f"input of {stack.paths[0]}", why, "tested")
    return first.module, "input", clue


def _feeds(traced: Traced, module: nn.Module, block: HookPoint) -> bool:
    """Whether noise in place of a module's output is what the block then receives."""
    sent: list[Tensor] = []
    received: list[Tensor] = []

    def send(output: Tensor) -> Tensor:
        sent.append(noise(output))
        return sent[-1]

    if sum(call.module is module for call in traced.calls) != 1:
        return False
    try:
        with forward_hooks([(module, send)]), hook_at_points([(block, received.append)]):
            traced.run()
    except BROKEN:
        return False
    return torch.equal(sent[-1], received[-1].to(sent[-1].device))
