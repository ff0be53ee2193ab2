"""Hooks see and replace hidden states, and none is left however the block ends."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from synapse_audit.model.hooks import (
    HookPoint,
    forward_hooks,
    forward_pre_hooks,
    hook_at_points,
    primary,
    with_primary,
)


class Block(nn.Module):
    """Adds one; returns a tensor, a tuple or something else."""

    def __init__(self, wrap: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.wrap = wrap

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Any:
        if mask is not None and mask.isnan().any():
            raise ValueError("nan mask")
        return self.wrap(states + 1)


class Keyboard(nn.Module):
    """Is interrupted by the user."""

    def forward(self, states: Tensor) -> Tensor:
        raise KeyboardInterrupt


class Closed(nn.Module):
    """Takes no hook."""

    def register_forward_hook(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("closed")


def _hooks(module: nn.Module) -> int:
    return len(module._forward_hooks) + len(module._forward_pre_hooks)


def _double(states: Tensor) -> Tensor:
    return states * 2


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: (x, "rest"), lambda x: [x, "rest"]])
def test_replaced_states_stand_where_the_block_had_its_own(wrap: Callable[[Tensor], Any]) -> None:
    block = Block(wrap)
    with forward_hooks([(block, _double)]):
        output = block(torch.ones(2))
    assert primary(output).tolist() == [4.0, 4.0]
    if not isinstance(output, Tensor):
        assert output[1] == "rest"
    assert primary(block(torch.ones(2))).tolist() == [2.0, 2.0]
    assert _hooks(block) == 0


def test_a_hook_that_returns_nothing_changes_nothing() -> None:
    block, seen = Block(lambda x: (x, 1)), []
    with forward_hooks([(block, lambda states: seen.append(states))]):
        output = block(torch.zeros(1))
    assert isinstance(output, tuple) and output[0] is seen[0]


def test_hooks_of_one_module_run_in_order() -> None:
    block = Block(lambda x: x)
    with forward_hooks([(block, _double), (block, lambda states: states + 3)]):
        assert block(torch.zeros(1)).item() == 5.0


def test_pre_hooks_see_arguments_and_keywords() -> None:
    block, seen = Block(lambda x: x), []
    with forward_pre_hooks([(block, lambda args, named: seen.append((args, dict(named))))]):
        block(torch.zeros(1), mask=torch.ones(1))
    ((arguments, keywords),) = seen
    assert len(arguments) == 1 and list(keywords) == ["mask"]
    assert _hooks(block) == 0


@pytest.mark.parametrize("register", [forward_hooks, forward_pre_hooks])
def test_no_hook_survives_an_exception_in_the_forward(register: Any) -> None:
    block = Block(lambda x: x)
    with pytest.raises(ValueError, match="nan mask"), register([(block, lambda *_: None)]):
        block(torch.zeros(1), torch.tensor([float("nan")]))
    assert _hooks(block) == 0


@pytest.mark.parametrize("register", [forward_hooks, forward_pre_hooks])
def test_no_hook_survives_an_interruption(register: Any) -> None:
    module = Keyboard()
    with pytest.raises(KeyboardInterrupt), register([(module, lambda *_: None)]):
        module(torch.zeros(1))
    assert _hooks(module) == 0


def test_no_hook_survives_a_hook_that_fails() -> None:
    block = Block(lambda x: x)
    with pytest.raises(ZeroDivisionError), forward_hooks([(block, lambda _: 1 // 0)]):  # type: ignore[list-item, return-value]
        block(torch.zeros(1))
    assert _hooks(block) == 0


def test_no_hook_survives_when_a_later_registration_fails() -> None:
    block = Block(lambda x: x)
    with (
        pytest.raises(RuntimeError, match="closed"),
        forward_hooks([(block, _double), (Closed(), _double)]),
    ):
        raise AssertionError("never entered")
    assert _hooks(block) == 0


@pytest.mark.parametrize("output", [{"a": 1}, "text", (1, torch.ones(1))])
def test_other_return_values_are_refused(output: Any) -> None:
    with pytest.raises(TypeError, match="expected a tensor or a tuple"):
        primary(output)


def test_with_primary_keeps_the_rest() -> None:
    states = torch.ones(1)
    assert with_primary(torch.zeros(1), states) is states
    assert with_primary((torch.zeros(1), "a", "b"), states) == (states, "a", "b")


def test_hooks_at_points_may_be_laid_again() -> None:
    """Of a block that serves two layers the second call is meant, in every pass."""
    block = Block(lambda x: x)
    hooks = hook_at_points([(HookPoint(block, "output", 2, (1, 2)), _double)])
    for _ in range(2):
        with hooks:
            first, second = block(torch.zeros(1)), block(torch.zeros(1))
        assert (first.tolist(), second.tolist()) == ([1.0], [2.0])
        assert _hooks(block) == 0
    with hooks:
        block(torch.zeros(1))  # a pass that ends too early
    with hooks:
        assert block(torch.zeros(1)).tolist() == [1.0]


def test_where_a_point_takes_no_hook_none_is_left() -> None:
    block = Block(lambda x: x)
    points = [(HookPoint(one, "output"), _double) for one in (block, Closed())]
    with pytest.raises(RuntimeError, match="closed"), hook_at_points(points):
        pass
    assert _hooks(block) == 0
