"""The only place that registers hooks; every hook lives inside a ``with``.

| name | what it does |
|---|---|
| ``forward_hooks`` | observe or replace the outputs of modules |
| ``forward_pre_hooks`` | observe the inputs of modules |
| ``primary`` | the hidden states in whatever a block returns |
| ``with_primary`` | the same return value with other hidden states |

transformers 5 blocks return a bare tensor, older ones a tuple: ``primary`` hides the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

OutputHook = Callable[[Tensor], Tensor | None]
"""Receives a module's hidden states; returns what shall stand in their place, or None."""

InputHook = Callable[[tuple[Any, ...], Mapping[str, Any]], None]
"""Receives a module's positional and keyword arguments."""


def primary(output: Any) -> Tensor:
    """The hidden states in a block's return value.

    Raises:
        TypeError: the module returned neither a tensor nor a tuple that starts with one.
    """
    first = output[0] if isinstance(output, tuple | list) else output
    if not isinstance(first, Tensor):
        raise TypeError(f"a module returned {type(first).__name__}; expected a tensor or a tuple")
    return first


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


def _on_output(hook: OutputHook) -> Callable[[nn.Module, Any, Any], Any]:
    def call(module: nn.Module, arguments: Any, output: Any) -> Any:
        replaced = hook(primary(output))
        return None if replaced is None else with_primary(output, replaced)

    return call


def _on_input(hook: InputHook) -> Callable[[nn.Module, Any, Any], None]:
    def call(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        hook(arguments, keywords)

    return call
