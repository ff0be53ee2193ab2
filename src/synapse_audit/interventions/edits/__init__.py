"""Edits of weights: targeted pushes in ``EDITS``; their cells, and all others, in plan/weights.py.

A targeted edit of the head is an additive :class:`HeadEdit` of a given size; new values of any
named weight (faults, flipped bits) are a :class:`ParameterEdit`. :func:`applied` puts either into
the live model and takes it back, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable

from synapse_audit.artifacts import HeadEdit
from synapse_audit.interventions.edits.applied import applied
from synapse_audit.interventions.edits.bit_choice import (
    Attacked,
    choose_flips,
    counts_of,
    formats_of,
    kinds_of,
    placeholder_flips,
)
from synapse_audit.interventions.edits.bit_flips import (
    ChosenFlips,
    Flip,
    Steepest,
    flip_edit,
    random_flips,
    ranked_flips,
)
from synapse_audit.interventions.edits.bit_search import (
    Astray,
    Toward,
    Victim,
    search_flips,
    steepest,
)
from synapse_audit.interventions.edits.every_weight import KINDS, every_weight, weights_of
from synapse_audit.interventions.edits.faults import noisy_share, scaled_gains, weight_noise
from synapse_audit.interventions.edits.head import HeadView, Indices, bias, push
from synapse_audit.interventions.edits.number_formats import FORMATS, NumberFormat
from synapse_audit.interventions.edits.parts import ATTENTION, GAIN, HEAD, MLP, Part, find_parts
from synapse_audit.interventions.edits.pushes import (
    PAPER_PUSHES,
    PaperPush,
    balanced,
    linf,
    paper_push,
    rival,
    sparse,
    steepest_columns,
    switch,
)
from synapse_audit.interventions.edits.rows import column_noise, row_scale, row_swap
from synapse_audit.interventions.edits.universal import universal, universal_path

EDITS: dict[str, Callable[[HeadView, int, Indices, float], HeadEdit]] = {
    "push": push,
    "bias": bias,
    "balanced": balanced,
    "rival": rival,
    "linf": linf,
    "sparse": sparse,
    "universal": universal,
}
"""Name → targeted edit of the head: (view, target, columns, size)."""

__all__ = [
    "ATTENTION",
    "EDITS",
    "FORMATS",
    "GAIN",
    "HEAD",
    "KINDS",
    "MLP",
    "PAPER_PUSHES",
    "Astray",
    "Attacked",
    "ChosenFlips",
    "Flip",
    "HeadView",
    "Indices",
    "NumberFormat",
    "PaperPush",
    "Part",
    "Steepest",
    "Toward",
    "Victim",
    "applied",
    "balanced",
    "bias",
    "choose_flips",
    "column_noise",
    "counts_of",
    "every_weight",
    "find_parts",
    "flip_edit",
    "formats_of",
    "kinds_of",
    "linf",
    "noisy_share",
    "paper_push",
    "placeholder_flips",
    "push",
    "random_flips",
    "ranked_flips",
    "rival",
    "row_scale",
    "row_swap",
    "scaled_gains",
    "search_flips",
    "sparse",
    "steepest",
    "steepest_columns",
    "switch",
    "universal",
    "universal_path",
    "weight_noise",
    "weights_of",
]
