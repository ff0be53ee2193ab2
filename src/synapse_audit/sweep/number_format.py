"""The first phase in a coarser number format, where the processor multiplies it natively.

What the first phase says is a proxy that the second phase corrects, so a coarser number format
costs no truth: it changes a few predictions more, which a few more exact runs make up for. Whatever
is reported as exact stays in the model's own format.

*Limits.* int8 is for processors without bfloat16: where both were measured it took 9 to 15 % less
time than bfloat16, and on one of two MiniLMs 5 to 6 % of its answers differed from float32's (of
bfloat16's .07 % at most), which the second phase then has to run. Eight bits scale all rows of a
stack by its largest number, so what they say of an example depends a little on what it is run with.
torch calls its eight-bit modules deprecated: where a version has none, the first phase stays in
float32 and says so.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from synapse_audit.model import Batch
from synapse_audit.sweep.attention import tapped
from synapse_audit.sweep.engine import Engine
from synapse_audit.sweep.own_attention import own_attentions
from synapse_audit.sweep.verify import FAILURES

CoarseFormat = Literal["bfloat16", "int8"]

RELATIVE_TIME: dict[CoarseFormat, float] = {"bfloat16": 0.55, "int8": 0.47}
"""Of the stream, float32 being 1: measured on two MiniLMs."""

PROCESSOR = Path("/proc/cpuinfo")

NATIVE: dict[CoarseFormat, frozenset[str]] = {
    "bfloat16": frozenset({"avx512_bf16", "amx_bf16", "bf16"}),
    "int8": frozenset({"avx512_vnni", "avx_vnni", "amx_int8"}),
}
"""Flags of processors that multiply the format (x86, x86 with tiles, Arm)."""


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


FLAGS = {"flags", "Features"}
"""What the line of flags is called (x86, Arm)."""


def may_be_coarse(engine: Engine) -> bool:
    """Whether a copy of the engine's model can stand in for it in the first phase."""
    model = engine.classifier.model
    kinds = {p.dtype for p in model.parameters()}
    # Attention that was replaced inside a module would be copied with its ties to the original.
    whole = not own_attentions(engine.classifier) and not getattr(model, "hf_device_map", None)
    return whole and engine.classifier.device == "cpu" and kinds == {torch.float32}


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
        yield replace(engine, classifier=classifier, tap=tap)


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
    """Linear layers with weights of eight bits, and inputs that are rounded as they come."""
    before = torch.backends.quantized.engine
    # The default rounds to seven bits, which only processors without these instructions need.
    torch.backends.quantized.engine = "onednn"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated: see the module
            quantize: Any = torch.ao.quantization.quantize_dynamic
            quantize(block, {nn.Linear}, torch.qint8, inplace=True)
    finally:
        torch.backends.quantized.engine = before
