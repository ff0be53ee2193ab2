"""The blocks of an unknown module, and what is inside them.

In: a :class:`~synapse_audit.model.discovery.tracing.Traced` module. Out: a :class:`Stack`, and the
paths below a block of what attention and the MLP add to the residual stream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from synapse_audit.errors import ModelError
from synapse_audit.model.discovery.tracing import (
    BROKEN,
    MOVED,
    Clue,
    Traced,
    noise,
    not_found,
    output_of,
    submodule,
)
from synapse_audit.model.hooks import HookPoint, forward_hooks, hook_at_points


@dataclass(frozen=True)
class Stack:
    """The blocks, as one pass saw them."""

    paths: tuple[str, ...]
    modules: tuple[nn.Module, ...]
    clue: Clue


def find_blocks(traced: Traced, given: str | Sequence[str] | None) -> Stack:
    """The blocks that the caller names, or the largest group that can be blocks.

    Raises:
        ModelError: there are none, or those named are none.
    """
    if given is not None:
        return _named_blocks(traced, given)
    groups = sorted(_groups(traced), key=lambda paths: _weight(traced, paths), reverse=True)
    for paths in groups:
        modules = _modules(traced, paths)
        if _keeps_shape(traced, modules):
            parent = paths[0].rpartition(".")[0]
            others = [other[0].rpartition(".")[0] for other in groups if _apart(paths, other)]
            why = f"{len(paths)} modules that run once each, in order, and keep their shape"
            if others:
                why += f"; the largest of such groups, beside {', '.join(others[:3])}"
            return Stack(paths, modules, Clue("blocks", parent or ", ".join(paths), why, "likely"))
    raise not_found("blocks", "no list of modules runs in order and keeps its shape")


def _named_blocks(traced: Traced, given: str | Sequence[str]) -> Stack:
    if isinstance(given, str):
        parent = submodule(traced.model, given, "blocks")
        paths = tuple(f"{given}.{name}".lstrip(".") for name, _ in parent.named_children())
    else:
        paths = tuple(given)
    modules = tuple(submodule(traced.model, path, "blocks") for path in paths)
    calls = [call.path for call in traced.calls if call.path in paths]
    if not paths or tuple(calls) != paths or not _keeps_shape(traced, modules):
        raise ModelError(
            f"blocks={given!r} given; expected modules that run once each, in order, and keep "
            "(examples, tokens, width)"
        )
    named = given if isinstance(given, str) else ", ".join(given)
    clue = Clue("blocks", named, f"{len(paths)} modules", "given")
    return Stack(paths, modules, clue)


def _groups(traced: Traced) -> list[tuple[str, ...]]:
    """Children of one module and one class that run once each, in order, each on another input."""
    shape = {call.path: call for call in traced.calls}
    counts = [call.path for call in traced.calls]
    found = []
    for parent_path, parent in traced.model.named_modules():
        by_class: dict[type[nn.Module], list[str]] = {}
        for name, child in parent.named_children():
            path = f"{parent_path}.{name}" if parent_path else name
            by_class.setdefault(type(child), []).append(path)
        listed = isinstance(parent, nn.ModuleList)
        for paths in by_class.values():
            calls = [shape[path] for path in paths if path in shape]
            ran = [path for path in counts if path in set(paths)]
            if ran != paths or len(paths) < (1 if listed else 2):
                continue
            shapes = {call.shape for call in calls}
            several = len({call.number for call in calls}) == len(calls)
            if len(shapes) == 1 and len(calls[0].shape) == 3 and several:
                found.append(tuple(paths))
    return found


def _weight(traced: Traced, paths: Sequence[str]) -> int:
    modules = _modules(traced, paths)
    return sum(p.numel() for module in modules for p in module.parameters())


def _apart(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether a group is neither the same nor inside one of the modules of the other."""
    inside = [any(f"{path}.".startswith(f"{block}.") for block in one) for path in other]
    return not any(inside) and any(path.rpartition(".")[2].isdigit() for path in other)


def _modules(traced: Traced, paths: Sequence[str]) -> tuple[nn.Module, ...]:
    return tuple(traced.model.get_submodule(path) for path in paths)


def _keeps_shape(traced: Traced, modules: Sequence[nn.Module]) -> bool:
    """Whether all of them take and return (examples, tokens, width), the same each time."""
    outputs: list[Tensor] = []
    try:
        with forward_hooks([(module, outputs.append) for module in modules]):
            traced.run()
    except BROKEN:  # a module that returns no states
        return False
    inputs = {call.shape for call in traced.calls if call.module in modules}
    shapes = inputs | {tuple(output.shape) for output in outputs}
    first = next(iter(shapes))
    return len(shapes) == 1 and len(first) == 3 and first[0] == len(traced.logits)


def find_sites(traced: Traced, stack: Stack) -> tuple[str | None, str | None, tuple[Clue, ...]]:
    """Paths below a block of what attention and the MLP add to the residual stream."""
    block, shape = stack.paths[0], output_of(traced, stack.modules[0]).shape
    outputs = _maps(traced, block, shape)
    mixing = _mixing(traced, stack, outputs) if shape[1] > 1 else []
    attention = next((p for p in mixing if not _narrows_last(p, outputs)), None)
    after = list(outputs)[list(outputs).index(attention) + 1 :] if attention else list(outputs)
    linear = [p for p in after if not isinstance(outputs[p], nn.MultiheadAttention)]
    mlp = linear[-1] if linear else None
    clues = []
    for name, path, why in (
        ("attention_output", attention, "first map to the block's width that mixes tokens"),
        ("mlp_output", mlp, "last linear map to the block's width"),
    ):
        missing = Clue(name, "not found", "no such map in the block", "likely")
        clues.append(missing if path is None else Clue(name, path, why, "likely"))
    return attention, mlp, tuple(clues)


def _narrows_last(path: str, outputs: Mapping[str, nn.Module]) -> bool:
    """Whether it is the last map and reads more than it gives: the MLP's, if there is one."""
    module = outputs[path]
    wide = isinstance(module, nn.Linear) and module.in_features > module.out_features
    return wide and path == list(outputs)[-1]


def _maps(traced: Traced, block: str, shape: Sequence[int]) -> dict[str, nn.Module]:
    """Below a block, in the order they run: what maps to states of the block's own shape, once."""
    inside = [c for c in traced.calls if c.path.startswith(f"{block}.") and _is_map(c.module)]
    once = [c for c in inside if sum(o.module is c.module for o in inside) == 1]
    return {
        call.path.removeprefix(f"{block}."): call.module
        for call in once
        if output_of(traced, call.module).shape == shape
    }


def _is_map(module: nn.Module) -> bool:
    """Linear layers (GPT-2 calls its own Conv1D), and attention that runs its own inside."""
    return isinstance(module, nn.Linear | nn.MultiheadAttention) or (
        type(module).__name__ == "Conv1D"
    )


def _mixing(traced: Traced, stack: Stack, outputs: Mapping[str, nn.Module]) -> list[str]:
    """The maps whose output at other tokens moves when the first token is changed."""

    def changed(states: Tensor) -> Tensor:
        moved = states.clone()
        moved[:, 0] += noise(states[:, 0])
        return moved

    def outcome() -> list[Tensor]:
        seen: dict[str, Tensor] = {}
        hooks = [(module, _keep(seen, path)) for path, module in outputs.items()]
        with forward_hooks(hooks):
            traced.run()
        return [seen[path] for path in outputs]

    clean = outcome()
    with hook_at_points([(HookPoint(stack.modules[0], "input"), changed)]):
        other = outcome()
    gaps = [
        ((a - b)[:, 1:].abs().max() / a.abs().max()).item()
        for a, b in zip(clean, other, strict=True)
    ]
    return [path for path, gap in zip(outputs, gaps, strict=True) if gap > MOVED]


def _keep(seen: dict[str, Tensor], path: str) -> Callable[[Tensor], None]:
    def hook(output: Tensor) -> None:
        seen[path] = output

    return hook
