"""The first phase in bfloat16: half the time where the processor multiplies it natively.

What the first phase says is a proxy that the second phase corrects, so a coarser number format
costs no truth: it changes a few predictions more, which a few more exact runs make up for. Whatever
is reported as exact stays in the model's own format.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from synapse_audit.sweep.attention import tapped
from synapse_audit.sweep.engine import Engine
from synapse_audit.sweep.own_attention import own_attentions

RELATIVE_TIME = 0.55
"""Of the stream in bfloat16, float32 being 1: measured on a MiniLM (190 and 360 µs per pair)."""

PROCESSOR = Path("/proc/cpuinfo")

NATIVE = {"avx512_bf16", "amx_bf16", "bf16"}
"""Flags of processors that multiply bfloat16 (x86, x86 with tiles, Arm)."""


def multiplies_bfloat16(processor: Path = PROCESSOR) -> bool:
    """Whether this machine's processor does; False where that cannot be read."""
    try:
        text = processor.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    lines = (line.partition(":") for line in text.splitlines())
    flags = {flag for key, _, rest in lines if key.strip() in FLAGS for flag in rest.split()}
    return bool(NATIVE & flags)


FLAGS = {"flags", "Features"}
"""What the line of flags is called (x86, Arm)."""


def may_be_bfloat16(engine: Engine) -> bool:
    """Whether a copy of the engine's model can stand in for it in the first phase."""
    model = engine.classifier.model
    kinds = {p.dtype for p in model.parameters()}
    # Attention that was replaced inside a module would be copied with its ties to the original.
    whole = not own_attentions(engine.classifier) and not getattr(model, "hf_device_map", None)
    return whole and engine.classifier.device == "cpu" and kinds == {torch.float32}


@contextmanager
def in_bfloat16(engine: Engine) -> Iterator[Engine]:
    """The engine with a copy of its model in bfloat16, under a tap of its own."""
    classifier = copy.deepcopy(engine.classifier)
    classifier.model.to(torch.bfloat16)
    with tapped(classifier) as tap:
        yield replace(engine, classifier=classifier, tap=tap)
