"""A checkpoint's weights in a model of its class, on the device and in the format asked for.

Safetensors only. A weight that is missing or has another shape stops the load; so does a model of
which a part would stay outside its devices, or whose head would be quantised.
"""

from __future__ import annotations

import hashlib
import logging
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from synapse_audit.config import Loading
from synapse_audit.errors import ModelError, first_line
from synapse_audit.model.evaluation_mode import evaluating
from synapse_audit.model.hooks import count_hooks
from synapse_audit.model.loading.checked_config import check_total, skeleton
from synapse_audit.model.loading.options import has_attention
from synapse_audit.model.placement import OUTSIDE, check_held, device_of

REPACKS = "support_avx512bf16_for_cpu"
"""What a layer of bitsandbytes calls its leave to repack."""


def load_weights(
    source: str,
    kind: Any,
    config: Any,
    loading: Loading,
    *,
    elsewhere: frozenset[str] = frozenset(),
) -> nn.Module:
    """The model with all its weights, none of which gets a gradient.

    Args:
        kind: transformers' class of the model, or one of its Auto classes.
        elsewhere: weights that an adapter brings, so that the checkpoint may lack them.

    Raises:
        ModelError: it cannot be loaded, or weights are missing or misshapen.
    """
    from safetensors import SafetensorError

    _check_attention(source, config, loading)
    if getattr(config, "quantization_config", None) is None:
        check_total(source, skeleton(kind, config), Path(source))
    try:
        model, report = kind.from_pretrained(
            source,
            config=config,
            dtype=getattr(torch, loading.dtype),
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **_placement(kind, config, loading),
        )
    except (OSError, ValueError, ImportError, SafetensorError) as error:
        raise ModelError(f"model '{source}' cannot be loaded: {first_line(error)}") from error
    _check_report(source, report, elsewhere)
    _check_placed(source, model)
    check_numbers(model, source)
    _hold_still(model)
    return model.requires_grad_(False)


def check_numbers(model: nn.Module, name: str) -> None:
    """Refuses weights that are no numbers, or all zero.

    Raises:
        ModelError: a weight is NaN or infinite, and the message names the first tensor that holds
            one; or no matrix holds anything but zeros.
    """
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    if matrices and not any(_holds_something(weight) for weight in matrices):
        raise ModelError(f"model '{name}' holds nothing but zeros; expected a trained classifier")
    for path, weight in model.named_parameters():
        if not weight.is_floating_point() or weight.device.type == OUTSIDE:
            continue
        if bool(torch.isfinite(weight.sum())) or bool(torch.isfinite(weight).all()):
            continue
        n_nan, n = int(torch.isnan(weight).sum()), weight.numel()
        what = f"{n_nan:,} of {n:,} weights are NaN" if n_nan else "some weights are infinite"
        raise ModelError(
            f"model '{name}': in {path} {what}; expected finite weights: a training that diverged "
            "or a broken conversion leaves such"
        )


@contextmanager
def unharmed(model: nn.Module, name: str) -> Iterator[None]:
    """Evaluation mode; proves, however the block ends, that it left weights and hooks as they were.

    Raises:
        ModelError: the weights differ, or a hook was left.
    """
    before, hooks = digest(model), count_hooks(model)
    try:
        with evaluating(model):
            yield
    finally:
        if digest(model) != before or count_hooks(model) != hooks:
            raise ModelError(f"'{name}' was altered: expected equal weights and no new hook")


def _holds_something(weight: nn.Parameter) -> bool:
    """Whether a weight is not all zero; one that is elsewhere, or packed, is taken to be."""
    if not weight.is_floating_point() or weight.device.type == OUTSIDE:
        return True
    return bool(weight.any())


def placed_on(model: nn.Module, loading: Loading) -> str | None:
    """The (first) device of a model that must not be moved; None where it may be."""
    fixed = loading.device_map or loading.quantization or getattr(model, "is_quantized", False)
    if not fixed:
        return None
    return str(device_of(model))


def count_weights(parameter: nn.Parameter) -> int:
    """How many weights a parameter stands for: a quantised one may hold several to a number."""
    state: Any = getattr(parameter, "quant_state", None)
    return parameter.numel() if state is None else math.prod(state.shape)


def digest(model: nn.Module) -> str:
    """sha256 over every weight and buffer, by name."""
    found = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        found.update(name.encode())
        for part in stored_bytes(tensor):
            found.update(part)
    return found.hexdigest()


def stored_bytes(state: Any) -> Iterator[bytes | memoryview]:
    """What an entry of a state dict holds; modules of torch.ao pack several values into one."""
    if isinstance(state, torch.Tensor):
        if state.is_quantized:
            yield from _scales(state)
            state = state.int_repr()
        yield state.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
    elif isinstance(state, (tuple, list)):
        for part in state:
            yield from stored_bytes(part)
    else:
        yield repr(state).encode()


def _scales(quantized: torch.Tensor) -> Iterator[bytes | memoryview]:
    """The scale and zero point of the whole tensor, or of each channel."""
    if quantized.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        yield repr((quantized.q_scale(), quantized.q_zero_point())).encode()
    else:
        yield from stored_bytes(quantized.q_per_channel_scales())
        yield from stored_bytes(quantized.q_per_channel_zero_points())


def _check_attention(source: str, config: Any, loading: Loading) -> None:
    """A checkpoint may name its attention; transformers would fetch one that it does not have."""
    name = loading.attn_implementation or getattr(config, "_attn_implementation", None)
    config._attn_implementation = name
    if name is not None and not has_attention(name):
        raise ModelError(
            f"model '{source}' asks for the attention implementation '{name}', which is not there; "
            "expected attn_implementation eager or sdpa"
        )


def _placement(kind: Any, config: Any, loading: Loading) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if loading.device_map is not None:
        options["device_map"] = loading.device_map
    if loading.quantization is not None:
        from transformers import BitsAndBytesConfig as Unchecked

        quantised: Any = Unchecked
        _import_bitsandbytes()
        options.setdefault("device_map", {"": loading.device})
        options["quantization_config"] = quantised(
            load_in_8bit=loading.quantization == "8bit",
            load_in_4bit=loading.quantization == "4bit",
            llm_int8_skip_modules=_outside_blocks(kind, config),
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=getattr(torch, loading.dtype),
        )
    return options


def _import_bitsandbytes() -> None:
    """Imports it without the code that it would fetch from the hub, and quiet on every cast."""
    known = sys.modules.get("kernels")
    sys.modules["kernels"] = None  # type: ignore[assignment]  # "not to be imported"
    try:
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
        import_module("bitsandbytes")
    finally:
        del sys.modules["kernels"]
        if known is not None:
            sys.modules["kernels"] = known


def _hold_still(model: nn.Module) -> None:
    """Keeps 4-bit layers from repacking their weights on some CPUs: that rounds them every time."""
    for module in model.modules():
        if hasattr(module, REPACKS):
            setattr(module, REPACKS, False)


def _outside_blocks(kind: Any, config: Any) -> list[str]:
    """Names of the linear layers that are in no list of blocks: the head, a pooler."""
    with torch.device("meta"):
        skeleton = kind.from_config(config) if hasattr(kind, "from_config") else kind(config)
    return _outside(skeleton)


def _outside(model: nn.Module) -> list[str]:
    lists = [name for name, one in model.named_modules() if isinstance(one, nn.ModuleList)]
    return [
        name
        for name, one in model.named_modules()
        if isinstance(one, nn.Linear) and not any(name.startswith(f"{path}.") for path in lists)
    ]


def _check_report(source: str, report: dict[str, Any], elsewhere: frozenset[str]) -> None:
    misfits = sorted(
        # transformers 4 names the weights, 5 gives (name, shape, shape)
        entry if isinstance(entry, str) else str(entry[0])
        for entry in report["mismatched_keys"]
    )
    if misfits:
        raise ModelError(
            f"model '{source}' saved {misfits[0]} in another shape than its config.json describes; "
            "expected a config.json that fits the weights"
        )
    missing = sorted({*report["missing_keys"]} - elsewhere)
    if missing:
        raise ModelError(
            f"model '{source}' lacks {len(missing)} weights ({', '.join(missing[:3])}), so its "
            "head would be untrained; expected a fine-tuned classifier"
        )


def _check_placed(source: str, model: nn.Module) -> None:
    check_held(model, source)
    weights = dict(model.named_parameters())
    coarse = [n for n in _outside(model) if not weights[f"{n}.weight"].is_floating_point()]
    if coarse:
        raise ModelError(
            f"model '{source}': {coarse[0]} was quantised; expected that all outside its blocks "
            "stays in floating point, which edits of the head need"
        )
