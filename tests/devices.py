"""Stand-ins for accelerators, on CPU: what a model on ``lazy:0`` computes, and what it may not mix.

PyTorch knows the device type ``lazy``, of which its own builds can make no tensor. Inside
:func:`pretended` they can: a tensor there is a :class:`Pretend`, numbers on the CPU under another
device's name. Operations run on those numbers, and are refused where a GPU would refuse them:
tensors of two devices, an accelerator's tensor as a NumPy array. What PyTorch lets through is let
through: copies, indices on the CPU, single numbers of the CPU.

Limits: no kernel of a GPU runs and nothing is asynchronous, so that rounding, memory and speed of a
GPU are not seen here. Moving a module ends the sharing of tied weights.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

KIND = "lazy"

FIRST, SECOND = f"{KIND}:0", f"{KIND}:1"

aten: Any = torch.ops.aten

COPIES = {aten.copy_.default, aten.copy.default}
"""Operations that fill their first argument from any device."""

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
        """As a list; PyTorch copies the numbers of any device for it."""
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """One operation outside :func:`pretended`."""
        with Pretending():
            return function(*args, **(kwargs or {}))


class Pretending(TorchDispatchMode):
    """Sees every operation, also those that make a tensor of nothing."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Runs it, part by part where it is made of others."""
        kwargs = kwargs or {}
        values = [*_leaves(args), *_leaves(kwargs.values())]
        if not any(_pretended(value) for value in values):
            return function(*args, **kwargs)
        if _compound(function):
            with self:
                return function.decompose(*args, **kwargs)
        device = _device(function, args, kwargs)
        same: dict[int, Any] = {}

        def held(value: Any) -> Any:
            if isinstance(value, Pretend):
                same[id(value.held)] = value
                return value.held
            return torch.device("cpu") if _pretended(value) else value

        def claimed(value: Any) -> Any:
            # What an operation wrote into is what it was given; all else is new.
            if not isinstance(value, Tensor) or device.type != KIND:
                return value
            return same[id(value)] if id(value) in same else Pretend(value, device)

        with _as_its_base(function, values):
            named = {name: _each(value, held) for name, value in kwargs.items()}
            return _each(function(*_each(args, held), **named), claimed)


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, list | tuple):
        return type(value)([_each(part, change) for part in value])
    return change(value)


def _leaves(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _leaves(value)
        else:
            yield value


@cache
def _compound(function: Any) -> bool:
    """Whether an operation has no kernel, but a recipe of others."""
    recipe = torch._C.DispatchKey.CompositeImplicitAutograd  # type: ignore[attr-defined]
    has: Any = torch._C._dispatch_has_kernel_for_dispatch_key  # type: ignore[attr-defined]
    return bool(has(function.name(), recipe))


@cache
def _views(function: Any) -> bool:
    return any(returned.alias_info is not None for returned in function._schema.returns)


@contextmanager
def _as_its_base(function: Any, values: Sequence[Any]) -> Iterator[None]:
    """A view of a tensor that was not made in inference mode is not made in it either."""
    if _views(function) and not any(isinstance(t, Tensor) and t.is_inference() for t in values):
        with torch.inference_mode(False), torch.no_grad():
            yield
    else:
        yield


def _pretended(value: object) -> bool:
    if isinstance(value, Tensor):
        return isinstance(value, Pretend)
    return isinstance(value, torch.device) and value.type == KIND


@cache
def _device_argument(function: Any) -> int | None:
    names = [argument.name for argument in function._schema.arguments]
    return names.index("device") if "device" in names else None


def _device(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.device:
    """Where the result is.

    Raises:
        RuntimeError: PyTorch would not mix the operation's tensors.
    """
    place = _device_argument(function)
    given = place is not None and len(args) > place
    asked = args[place] if given and place is not None else kwargs.get("device")
    if function is aten._to_copy.default and asked is not None:
        return torch.device(asked)
    if function in COPIES:
        target: torch.device = args[0].device
        return target
    found = _common(function, args, kwargs)
    return torch.device(asked or found)


def _common(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.device:
    loose = args[1] if function in INDEXING else ()
    indices = [t for t in loose if t is not None and t.device.type != "cpu"]
    others = [args[0], *args[2:]] if function in INDEXING else args
    values = [*indices, *_leaves(others), *_leaves(kwargs.values())]
    tensors = [value for value in values if isinstance(value, Tensor)]
    bound = [t for t in tensors if t.ndim or isinstance(t, Pretend)] or tensors
    devices = {str(t.device): t.device for t in bound}
    if len(devices) > 1:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but {function} was given tensors on "
            + " and ".join(sorted(devices))
        )
    return next(iter(devices.values()), torch.device("cpu"))


@contextmanager
def pretended() -> Iterator[None]:
    """Lets tensors be made on ``lazy:0`` and ``lazy:1`` until the block ends."""
    switch: Any = torch._C._set_only_lift_cpu_tensors  # type: ignore[attr-defined]
    switch(True)  # torch.tensor(..., device=...) then moves where this mode sees it
    try:
        with Pretending():
            yield
    finally:
        switch(False)


def spread(model: nn.Module, places: Mapping[str, str]) -> nn.Module:
    """Puts parts of a module on devices, each of which fetches its arguments, as accelerate does.

    Args:
        places: dotted path of a part → its device; together they hold every weight.
    """
    for path, device in places.items():
        part = model.get_submodule(path).to(device)
        for module in part.modules():
            if module is part or next(module.parameters(recurse=False), None) is not None:
                module.register_forward_pre_hook(_fetching(device), with_kwargs=True)
    return model


def _fetching(device: str) -> Any:
    def there(value: Any) -> Any:
        return value.to(device) if isinstance(value, Tensor) else value

    def hook(module: nn.Module, arguments: Any, keywords: Mapping[str, Any]) -> Any:
        named = {name: _each(value, there) for name, value in keywords.items()}
        return _each(arguments, there), named

    return hook
