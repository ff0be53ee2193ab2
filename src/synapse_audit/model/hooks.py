"""The only place that registers hooks; every hook lives inside a ``with``.

| name | what it does |
|---|---|
| ``forward_hooks`` | observe or replace the outputs of modules |
| ``forward_pre_hooks`` | observe the inputs of modules |
| ``hook_at_points`` | observe or replace what passes one side of modules |
| ``primary`` | the hidden states in whatever a block returns |
| ``with_primary`` | the same return value with other hidden states |
| ``count_hooks`` | how many hooks a model bears |

transformers 5 blocks return a bare tensor, older ones a tuple: ``primary`` hides the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

OutputHook = Callable[[Tensor], Tensor | None]
"""Receives a module's hidden states; returns what shall stand in their place, or None."""

InputHook = Callable[[tuple[Any, ...], Mapping[str, Any]], None]
"""Receives a module's positional and keyword arguments."""


Side = Literal["input", "output"]

_CAPTURING = "transformers.utils.output_capturing"
"""Where the hooks come from that transformers lays when a model first asks for its own states."""


class HookPoint(NamedTuple):
    """One side of one module: where states pass by.

    Where several layers share one module, a point is one of its calls.
    """

    module: nn.Module
    side: Side
    layer: int = 0
    """The layer meant, where the module is called for several."""
    calls: tuple[int, ...] = ()
    """The layers it is called for, in order; fewer than two where it is called once."""


def primary(output: Any) -> Tensor:
    """The hidden states in a block's return value.

    Raises:
        TypeError: the module returned neither a tensor nor a tuple that starts with one.
    """
    first = output[0] if isinstance(output, tuple | list) else output
    if not isinstance(first, Tensor):
        raise TypeError(f"a module returned {type(first).__name__}; expected a tensor or a tuple")
    return first


def count_hooks(model: nn.Module) -> int:
    """All but those that transformers lays itself, and leaves (wav2vec2 does at its first run)."""
    hooks = (
        hook
        for module in model.modules()
        for table in (module._forward_hooks, module._forward_pre_hooks)
        for hook in table.values()
    )
    return sum(getattr(hook, "__module__", None) != _CAPTURING for hook in hooks)


def with_primary(output: Any, states: Tensor) -> Any:
    """The same return value with ``states`` in place of its hidden states."""
    return (states, *output[1:]) if isinstance(output, tuple | list) else states


@contextmanager
def forward_hooks(hooks: Sequence[tuple[nn.Module, OutputHook]]) -> Iterator[None]:
    """Runs each hook on its module's hidden states until the block ends, however it ends."""
    with ExitStack() as stack:
        for module, hook in hooks:
            handle = module.register_forward_hook(_on_output(hook))
            stack.callback(handle.remove)
        yield


@contextmanager
def forward_pre_hooks(hooks: Sequence[tuple[nn.Module, InputHook]]) -> Iterator[None]:
    """Runs each hook on its module's arguments until the block ends, however it ends."""
    with ExitStack() as stack:
        for module, hook in hooks:
            handle = module.register_forward_pre_hook(_on_input(hook), with_kwargs=True)
            stack.callback(handle.remove)
        yield


def hook_at_points(
    hooks: Sequence[tuple[HookPoint, OutputHook]], *, after: int = 0, root: nn.Module | None = None
) -> PointHooks:
    """Runs each hook on the states that pass its point until the block ends, however it ends.

    Args:
        hooks: points and what happens there.
        after: the layers up to this one are not called first (a pass that resumes above it).
        root: every call of it begins a new pass; without it, one pass is expected.
    """
    return PointHooks(hooks, after, root)


class PointHooks:
    """Hooks at points, there while a ``with`` lasts; may be entered again when it is over.

    Serving enters the same ones for every input, so what they consist of is made once.
    """

    def __init__(
        self, hooks: Sequence[tuple[HookPoint, OutputHook]], after: int, root: nn.Module | None
    ) -> None:
        self.counts: list[_OneCall] = []
        self.registered: list[Callable[[], RemovableHandle]] = []
        self.handles: list[RemovableHandle] = []
        for point, plain in hooks:
            hook = plain
            if len(point.calls) > 1:
                self.counts.append(_OneCall(point, plain, after))
                hook = self.counts[-1]
            self.registered.append(_registering(point, hook))
        if root is not None and self.counts:
            self.registered.append(partial(root.register_forward_pre_hook, self._begin))

    def __enter__(self) -> None:
        for one in self.counts:
            one.resume()
        try:
            for register in self.registered:
                self.handles.append(register())
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        while self.handles:
            self.handles.pop().remove()

    def _begin(self, module: nn.Module, arguments: Any) -> None:
        for one in self.counts:
            one.begin()


def _registering(point: HookPoint, hook: OutputHook) -> Callable[[], RemovableHandle]:
    if point.side == "output":
        return partial(point.module.register_forward_hook, _on_output(hook))
    register = point.module.register_forward_pre_hook
    return partial(register, _on_first_input(hook), with_kwargs=True)


class _OneCall:
    """A hook that heeds one of the calls that a shared module gets in a pass."""

    def __init__(self, point: HookPoint, hook: OutputHook, after: int) -> None:
        self.point, self.hook = point, hook
        self.before = sum(layer <= after for layer in point.calls)
        self.seen = self.before

    def resume(self) -> None:
        """Counts from the first call above ``after``."""
        self.seen = self.before

    def begin(self) -> None:
        """Counts the calls of the next forward pass from 0."""
        self.seen = 0

    def __call__(self, states: Tensor) -> Tensor | None:
        calls = self.point.calls
        layer = calls[self.seen % len(calls)]
        self.seen += 1
        return self.hook(states) if layer == self.point.layer else None


def _on_output(hook: OutputHook) -> Callable[[nn.Module, Any, Any], Any]:
    def call(module: nn.Module, arguments: Any, output: Any) -> Any:
        replaced = hook(primary(output))
        return None if replaced is None else with_primary(output, replaced)

    return call


def _on_input(hook: InputHook) -> Callable[[nn.Module, Any, Any], None]:
    def call(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        hook(arguments, keywords)

    return call


def _on_first_input(hook: OutputHook) -> Callable[[nn.Module, Any, Any], Any]:
    def call(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if arguments:
            replaced = hook(primary(arguments))
            return None if replaced is None else ((replaced, *arguments[1:]), keywords)
        name, states = next(iter(keywords.items()))
        replaced = hook(primary(states))
        return None if replaced is None else ((), {**keywords, name: replaced})

    return call
