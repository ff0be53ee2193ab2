"""How a checkpoint is to be loaded: number format, revision, attention, placement, adapter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, get_args

from synapse_audit.classifier.reading import POSITIONS
from synapse_audit.config import AttentionName, DeviceMapName, DtypeName, QuantizationName
from synapse_audit.errors import UsageError, choices, first_line

ATTENTION: tuple[str, ...] = get_args(AttentionName)
QUANTIZATION: tuple[str, ...] = get_args(QuantizationName)
DTYPES: tuple[str, ...] = get_args(DtypeName)
DEVICE_MAPS: tuple[str, ...] = get_args(DeviceMapName)


@dataclass(frozen=True)
class Loading:
    """What :meth:`Classifier.load` may be told besides where the checkpoint is."""

    dtype: str = "float32"
    """Number format of the weights."""
    revision: str | None = None
    """Branch, tag or commit of a hub id."""
    attn_implementation: str | None = None
    """One of ``ATTENTION``; None: transformers' own choice."""
    device_map: str | None = None
    """One of ``DEVICE_MAPS``: accelerate places the model, on several devices where need be."""
    quantization: str | None = None
    """``8bit`` or ``4bit``, by bitsandbytes, inside the blocks; all else stays in float."""
    base_model: str | None = None
    """Where an adapter's base model is; None: where its configuration says."""
    merge_adapter: bool = True
    """Whether an adapter is added into the base model's weights."""
    device: str = "cpu"
    """Where the model is to be; a quantised one cannot be moved there afterwards."""
    blocks: str | None = None
    """Dotted path of the list of blocks, or the paths of all blocks with commas between them."""
    position: str | None = None
    """What the head reads: a name of ``POSITIONS``."""
    output_layer: str | None = None
    """Dotted path of the head's last linear layer."""

    @property
    def parts(self) -> dict[str, Any]:
        """Parts of the model that are named here, as :meth:`Classifier.wrap` takes them."""
        paths = [path.strip() for path in (self.blocks or "").split(",")]
        named = {
            "blocks": self.blocks and (paths if len(paths) > 1 else paths[0]),
            "position": self.position,
            "output_layer": self.output_layer,
        }
        return {name: value for name, value in named.items() if value is not None}

    @property
    def merges(self) -> bool:
        """Whether an adapter is merged: into quantised weights it would be rounded away."""
        return self.merge_adapter and self.quantization is None

    def check(self) -> None:
        """Refuses unknown names, what contradicts itself, and what lacks its package.

        Raises:
            UsageError: the message says what was expected.
        """
        for what, given, known in (
            ("dtype", self.dtype, DTYPES),
            ("attention implementation", self.attn_implementation, ATTENTION),
            ("device map", self.device_map, DEVICE_MAPS),
            ("quantization", self.quantization, QUANTIZATION),
            ("position", self.position, POSITIONS),
        ):
            if given is not None and given not in known:
                raise UsageError(f"{what} '{given}' given; {choices(given, known)}")
        if self.device_map is not None and self.device != "cpu":
            raise UsageError(
                f"device map '{self.device_map}' and device '{self.device}' given; expected one of "
                "the two"
            )
        _check_device(self.device)
        self._check_packages()

    def _check_packages(self) -> None:
        if self.device_map is not None:
            _need("accelerate", f"device map '{self.device_map}'", "accelerate")
        if self.quantization is not None:
            for package in ("bitsandbytes", "accelerate"):
                _need(
                    package, f"quantization '{self.quantization}'", "'synapse-audit[quantization]'"
                )
        name = self.attn_implementation
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
