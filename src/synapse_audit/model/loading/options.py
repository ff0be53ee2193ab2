"""How a checkpoint is to be loaded: number format, revision, attention, placement, adapter."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, get_args

from synapse_audit.config import (
    AttentionName,
    DeviceMapName,
    DtypeName,
    Loading,
    QuantizationName,
)
from synapse_audit.errors import UsageError, choices, first_line
from synapse_audit.model.pooling import POSITIONS

ATTENTION: tuple[str, ...] = get_args(AttentionName)
QUANTIZATION: tuple[str, ...] = get_args(QuantizationName)
DTYPES: tuple[str, ...] = get_args(DtypeName)
DEVICE_MAPS: tuple[str, ...] = get_args(DeviceMapName)


def check_loading(loading: Loading) -> None:
    """Refuses unknown names, what contradicts itself, and what lacks its package.

    Raises:
        UsageError: the message says what was expected.
    """
    for what, given, known in (
        ("dtype", loading.dtype, DTYPES),
        ("attention implementation", loading.attn_implementation, ATTENTION),
        ("device map", loading.device_map, DEVICE_MAPS),
        ("quantization", loading.quantization, QUANTIZATION),
        ("position", loading.position, POSITIONS),
    ):
        if given is not None and given not in known:
            raise UsageError(f"{what} '{given}' given; {choices(given, known)}")
    if loading.device_map is not None and loading.device != "cpu":
        raise UsageError(
            f"device map '{loading.device_map}' and device '{loading.device}' given; expected one "
            "of the two"
        )
    _check_device(loading.device)
    _check_packages(loading)


def _check_packages(loading: Loading) -> None:
    if loading.device_map is not None:
        _need("accelerate", f"device map '{loading.device_map}'", "accelerate")
    if loading.quantization is not None:
        for package in ("bitsandbytes", "accelerate"):
            _need(
                package, f"quantization '{loading.quantization}'", "'synapse-audit[quantization]'"
            )
    name = loading.attn_implementation
    if name is not None and not has_attention(name):
        # transformers would fetch and run a kernel from the hub instead.
        raise UsageError(
            f"attention implementation '{name}' given, whose package is not installed or finds "
            "no GPU; expected eager or sdpa, or that package"
        )


def has_attention(name: str) -> bool:
    """Whether an attention implementation is there without anything being fetched."""
    return name in ATTENTION and (name not in FLASH or FLASH[name]())


def _check_device(device: str) -> None:
    import torch

    try:
        there = torch.empty(0, device=device).device.type != "meta"
        reason = "" if there else "it holds no numbers"
    except (RuntimeError, AssertionError) as error:  # torch has no narrower class for this
        reason = first_line(error)
    if reason:
        raise UsageError(
            f"device '{device}' given; expected one this machine has (cpu, cuda, cuda:1, mps): "
            f"{reason}"
        )


def _need(package: str, option: str, install: str) -> None:
    if find_spec(package) is None:
        raise UsageError(
            f"{option} given, which needs the package {package}; expected pip install {install}"
        )


def _flash(version: int) -> Callable[[], bool]:
    def available() -> bool:
        import transformers.utils

        check: Any = getattr(transformers.utils, f"is_flash_attn_{version}_available", None)
        return check is not None and bool(check())

    return available


FLASH: dict[str, Callable[[], bool]] = {f"flash_attention_{n}": _flash(n) for n in (2, 3, 4)}
"""Attention implementation with a package of its own → whether that is there."""
