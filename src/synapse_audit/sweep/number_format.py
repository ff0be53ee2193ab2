"""The first phase in a coarser number format, where the processor multiplies it natively.

What the first phase says is a proxy that the second phase corrects, so a coarser number format
costs no truth: it changes a few predictions more, which a few more exact runs make up for. Whatever
is reported as exact stays in the model's own format.

*Limits.* int8 is for processors without bfloat16: where both were measured it took 14 to 28 % less
time than bfloat16, and on one of two MiniLMs 4 % of its answers differed from float32's (of
bfloat16's .07 % at most), which the second phase then has to run. Eight bits scale all rows of a
stack by its largest number, so what they say of an example depends a little on what it is run with.
torch calls its eight-bit modules deprecated: where a version has none, the first phase stays in
float32 and says so.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from synapse_audit.model import Batch
from synapse_audit.sweep.attention import tapped
from synapse_audit.sweep.engine import Engine
from synapse_audit.sweep.own_attention import own_attentions
from synapse_audit.sweep.verify import FAILURES

CoarseFormat = Literal["bfloat16", "int8"]

RELATIVE_TIME: dict[CoarseFormat, float] = {"bfloat16": 0.55, "int8": 0.44}
"""Of the stream, float32 being 1: measured on two MiniLMs."""

PROCESSOR = Path("/proc/cpuinfo")

NATIVE: dict[CoarseFormat, frozenset[str]] = {
    "bfloat16": frozenset({"avx512_bf16", "amx_bf16", "bf16"}),
    "int8": frozenset({"avx512_vnni", "avx_vnni", "amx_int8"}),
}
"""Flags of processors that multiply the format (x86, x86 with tiles, Arm)."""


FLAGS = {"flags", "Features"}
"""What the line of flags is called (x86, Arm)."""


def multiplies(number_format: CoarseFormat, processor: Path = PROCESSOR) -> bool:
    """Whether this machine's processor does, and this torch; False where that cannot be read."""
    if number_format == "int8" and not _rounds_to_int8():
        return False
    try:
        text = processor.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    lines = (line.partition(":") for line in text.splitlines())
    flags = {flag for key, _, rest in lines if key.strip() in FLAGS for flag in rest.split()}
    return bool(NATIVE[number_format] & flags)


def may_be_coarse(engine: Engine) -> bool:
    """Whether a copy of the engine's model can stand in for it in the first phase."""
    kinds = {p.dtype for p in engine.classifier.model.parameters()}
    # Attention that was replaced inside a module would be copied with its ties to the original.
    whole = not own_attentions(engine.classifier)
    return whole and set(engine.classifier.devices) == {"cpu"} and kinds == {torch.float32}


@contextmanager
def coarse(engine: Engine, number_format: CoarseFormat) -> Iterator[Engine]:
    """The engine with a copy of its model in another format, under a tap of its own."""
    classifier = copy.deepcopy(engine.classifier)
    if number_format == "bfloat16":
        classifier.model.to(torch.bfloat16)
    else:
        for block in classifier.blocks:
            _round_to_int8(block)
    with tapped(classifier) as tap:
        yield replace(engine, classifier=classifier, tap=tap, number_format=number_format)


def can_answer(engine: Engine, batch: Batch) -> bool:
    """Whether a coarse engine gives finite logits: not every model can do without its weights."""
    try:
        with torch.inference_mode():
            return bool(torch.isfinite(engine.classifier.answer(batch)).all())
    except FAILURES:
        return False


def _rounds_to_int8() -> bool:
    backend = "onednn" in torch.backends.quantized.supported_engines
    return backend and hasattr(getattr(torch.ao, "quantization", None), "quantize_dynamic")


def _round_to_int8(block: nn.Module) -> None:
    """Linear layers with weights of eight bits, and inputs that are rounded as they come.

    The modules stay, and with them the places where states are rewritten; what they do is changed.
    """
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = "onednn"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated: see the module
            for linear in [m for m in block.modules() if type(m) is nn.Linear]:
                vars(linear)["forward"] = _in_int8(linear)
    finally:
        torch.backends.quantized.engine = before


def _in_int8(linear: nn.Linear) -> Callable[[Tensor], Tensor]:
    quantize: Any = torch.ao.quantization.quantize_dynamic
    rounded = quantize(nn.Sequential(linear), {nn.Linear}, torch.qint8)[0]
    # Otherwise inputs are rounded to seven bits, which only older instructions need.
    rounded.version = None
    forward: Callable[[Tensor], Tensor] = rounded.forward
    return forward
