"""Edits of weights and logits: one function each, one line in ``EDITS``.

An edit is an additive :class:`HeadEdit`; its budget is its L2 norm relative to the norm of the
head's own weights. :func:`applied` puts it into the live model and takes it back, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable

from synapse_audit.artifacts import HeadEdit
from synapse_audit.edits.applied import applied
from synapse_audit.edits.head import HeadView, Indices, bias, push

EDITS: dict[str, Callable[[HeadView, int, Indices, float], HeadEdit]] = {"push": push, "bias": bias}

__all__ = ["EDITS", "HeadView", "applied", "bias", "push"]
