"""Stand-ins for accelerators, on CPU: what a model on ``lazy:0`` computes, and what it may not mix.

PyTorch knows the device type ``lazy``, of which its own builds can make no tensor. Inside
:func:`pretended` they can: a tensor there is a :class:`Pretend`, numbers on the CPU under another
device's name. Operations run on those numbers, and are refused where a GPU would refuse them:
tensors of two devices, an accelerator's tensor as a NumPy array. What PyTorch lets through is let
through: copies, indices on the CPU, single numbers of the CPU.

Limits: no kernel of a GPU runs and nothing is asynchronous, so that rounding, memory and speed of a
GPU are not seen here.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

KIND = "lazy"

FIRST, SECOND = f"{KIND}:0", f"{KIND}:1"

aten: Any = torch.ops.aten

MOVES = {aten._to_copy.default, aten.copy_.default, aten.copy.default}
"""Operations that take tensors of two devices."""

INDEXING = {
    aten.index.Tensor,
    aten.index_put.default,
    aten.index_put_.default,
    aten._index_put_impl_.default,
    aten._unsafe_index.Tensor,
    aten._unsafe_index_put.default,
}
"""Operations whose second argument, the indices, may be on the CPU."""


class Pretend(Tensor):
    """Numbers on the CPU that claim to be elsewhere."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor, device: torch.device) -> "Pretend":
        """Claims that the numbers of ``held`` are on ``device``."""
        make: Any = Tensor._make_wrapper_subclass  # type: ignore[attr-defined]
        made: Pretend = make(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=device,
        )
        made.held = held
        return made

    def __repr__(self, **_: Any) -> str:
        return f"{self.held.detach()} on {self.device}"

    def tolist(self) -> Any:
        """As a list; PyTorch copies those of any device."""
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """One operation with such a tensor outside :func:`pretended`, where a GPU still works."""
        with Pretending():
            return function(*args, **(kwargs or {}))


class Pretending(TorchDispatchMode):
    """Sees every operation, also those that make a tensor of nothing."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Takes a compound operation apart, and runs one that is not."""
        kwargs = kwargs or {}
        with self:
            whole = function.decompose(*args, **kwargs)
        return _run(function, args, kwargs) if whole is NotImplemented else whole


def _run(function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    asked = _asked(function, args, kwargs)
    here = _common(function, args, kwargs) if asked is None else asked
    if function in (aten.copy_.default, aten.copy.default):
        here = args[0].device
    held_args, held_kwargs = tree_map(_held, tuple(args)), tree_map(_held, kwargs)
    result = function(*held_args, **held_kwargs)
    if here.type != KIND:
        return _same(result, args, held_args)
    wrapped = {id(h): a for a, h in _pairs((args, kwargs), (held_args, held_kwargs))}

    def claimed(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return wrapped[id(value)] if id(value) in wrapped else Pretend(value, here)

    return tree_map(claimed, result)
