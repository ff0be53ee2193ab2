"""On which devices a model's weights are: on one, or on several.

Batches go to the device of the first weight, and logits come back there. In between states are
wherever the model moves them (its own forward, or accelerate's hooks), and whatever meets them,
rewrites and indices, follows.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from synapse_audit.errors import ModelError, UsageError

OUTSIDE = "meta"
"""What PyTorch calls the device of a tensor without numbers: accelerate's weights on disk."""


def device_of(module: nn.Module) -> torch.device:
    """The device of a module's first weight; the CPU where it has none."""
    return next((weight.device for weight in module.parameters()), torch.device("cpu"))


def devices_of(model: nn.Module) -> tuple[str, ...]:
    """Names of the devices that hold weights, the one of the first weight first."""
    return tuple(dict.fromkeys(str(weight.device) for weight in model.parameters()))


def check_held(model: nn.Module, name: str) -> None:
    """Refuses a model with weights outside every device: they can be neither hashed nor edited.

    Raises:
        ModelError: accelerate keeps some of them on disk or in memory that it copies from.
    """
    if OUTSIDE in devices_of(model):
        raise ModelError(
            f"model '{name}' was left in part outside its devices (offloaded to disk or memory); "
            "expected that it fits them, since an audit hashes and edits weights: try dtype "
            "bfloat16, or quantization 8bit or 4bit"
        )


def check_movable(model: nn.Module, name: str, device: str) -> None:
    """Refuses to move a model from several devices, each of its parts being where it has to be.

    Raises:
        UsageError: the message names the devices.
    """
    devices = devices_of(model)
    if len(devices) > 1:
        raise UsageError(
            f"device '{device}' given; '{name}' is on {', '.join(devices)}, from where it is not "
            "moved; expected that it stays"
        )


def map_in_words(model: nn.Module) -> str | None:
    """Device → the parts that accelerate put there; None where the model is on one device."""
    placed: Mapping[str, object] = getattr(model, "hf_device_map", {})
    parts: dict[str, list[str]] = {}
    for part in placed:
        device = str(device_of(model.get_submodule(part)))
        parts.setdefault(device, []).append(part)
    if len(parts) < 2:
        return None
    return "; ".join(f"{device}: {', '.join(names)}" for device, names in parts.items())
