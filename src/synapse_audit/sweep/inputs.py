"""Attacks on the input, to set neuron, weight and logit edits beside: the cells of space ``input``.

In: a batch's clean states and one cell. Out: logits (examples, classes). Adding an attack = one
function and one line in ``ATTACKS``, and its cells in :mod:`synapse_audit.plan.inputs`.

| attack | what it changes | ``strength`` |
|---|---|---|
| fgsm | every number of the text's word embeddings by ±ε, along one gradient | ε |
| pgd | the same in steps, projected, until the answer flips; toward ``target`` where set | ε |
| noise | Gaussian noise on the same numbers | σ |
| deletion | the tokens that matter most (or random ones) are masked out | tokens |

Where the embeddings are and which tokens may be touched: :mod:`synapse_audit.sweep.text`. ε and σ
are in units of the root mean square of the text's own embeddings, so that ε is also the relative L2
change (exactly for fgsm, at most for pgd, on average for noise) and compares between models;
the unit ``absolute`` takes them as they are, as the SYNAPSE paper does.

The loss is the cross-entropy of the model's own clean prediction, never of the label (no label
leaking). Gradients are per example and free of the softmax's vanishing factor, so neither batch,
padding nor a confident model hides anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from synapse_audit.artifacts import Cell
from synapse_audit.errors import UsageError, choices
from synapse_audit.sweep.clean import CleanStates
from synapse_audit.sweep.engine import Engine
from synapse_audit.sweep.text import Logits, Text, read_text

STEPS = 10
"""Steps of pgd where the cell names no number."""

STEP_LENGTH = 2.5
"""Length of a pgd step in units of ε / steps."""

GRADIENT = 2.5
"""Cost of a gradient in forward passes: there and back, weights left out."""

ABSOLUTE = "absolute"
"""The unit in which ε and σ count as they are."""

NOISE, DELETION = 1, 2
"""What keys the random numbers besides seed and draw."""


def input_logits(engine: Engine, clean: CleanStates, cell: Cell) -> Logits:
    """The logits of a batch under one attack; the model is left as it was.

    Raises:
        UsageError: an unknown attack, a missing strength, or a target that is no class.
    """
    return attacked(engine, clean, [cell])[0]


def attacked(engine: Engine, clean: CleanStates, cells: Sequence[Cell]) -> list[Logits]:
    """The same of several attacks, which share the gradient that they begin with.

    Raises:
        UsageError: as :func:`input_logits`.
    """
    for cell in cells:
        if cell.operator not in ATTACKS:
            raise UsageError(f"attack '{cell.operator}' given; {choices(cell.operator, ATTACKS)}")
    if not cells:
        return []
    with torch.inference_mode(False), torch.enable_grad():
        text = read_text(engine, clean)
        return [ATTACKS[cell.operator](text, cell).detach() for cell in cells]


def passes(cell: Cell) -> float:
    """Forward passes that a cell of any space takes where no block is spared, at most.

    Attacks that begin with the same gradient share it, and pgd leaves examples that have flipped:
    how much that spares is not known before.
    """
    if cell.space != "input" or cell.operator == "noise" or cell.draw is not None:
        return 1.0
    return 1.0 + GRADIENT * (_steps(cell) if cell.operator == "pgd" else 1)


def fgsm(text: Text, cell: Cell) -> Logits:
    """One step of ε along the sign of the gradient.

    Source: Goodfellow et al. 2015 (arXiv 1412.6572).
    """
    step = _first_ascent(text, cell).sign()
    with torch.no_grad():
        return text.logits(text.states + _limits(text, cell) * step)


def pgd(text: Text, cell: Cell) -> Logits:
    """Steps of 2.5 ε / steps along the sign of the gradient, projected onto the box of ε.

    Starts at the clean point, so that it is deterministic. An example stops where its answer is
    another one (the target, where one is set) and keeps that answer: it is the attack's success
    that is measured, and how far beyond the boundary more steps would lead is not.
    Source: Madry et al. 2018 (arXiv 1706.06083), who start at a random point and take all steps.
    """
    steps, going = _steps(cell), torch.arange(len(text.states), device=text.states.device)
    moved = torch.zeros_like(text.states)
    found = torch.zeros(len(moved), len(text.classifier.classes)).to(moved)
    for step in range(steps + 1):
        some = text.take(going)
        if step == steps:
            with torch.no_grad():
                found[going] = some.logits(some.states + moved).to(found)
            break
        slope, logits = some.slope(some.states + moved, cell.target)
        found[going] = logits.to(found)
        on = (~_reached(some, logits, cell)).nonzero()[:, 0]
        if not len(on):
            break
        limits = _limits(some.take(on), cell)
        moved = moved[on] + (STEP_LENGTH / steps) * limits * slope[on].sign()
        moved, going = torch.minimum(torch.maximum(moved, -limits), limits), going[on]
    return found


def noise(text: Text, cell: Cell) -> Logits:
    """Gaussian noise of standard deviation σ; the same directions at every σ."""
    with torch.no_grad():
        epsilon = text.normal(NOISE, cell.draw or 0, text.states.shape[-1])
        return text.logits(text.states + _limits(text, cell) * epsilon.to(text.states))


def deletion(text: Text, cell: Cell) -> Logits:
    """Masks the tokens with the largest |gradient · embedding| out of the attention.

    With a draw, random tokens in their place, nested over their number. The pooled position stays;
    a text with fewer tokens loses all others. Without an attention mask in the batch the embeddings
    are set to 0.
    """
    if cell.draw is None:
        score = (text.clean_ascent * text.states).sum(-1).abs()
    else:
        score = text.normal(DELETION, cell.draw, 1)[..., 0]
    tokens = torch.arange(text.states.shape[1], device=text.states.device)
    may = text.editable & (tokens != text.pooled[:, None])
    score = score.masked_fill(~may, float("-inf"))
    rank = score.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    gone = may & (rank < _strength(cell))
    with torch.no_grad():
        mask = text.batch.get("attention_mask")
        if mask is None or "input_ids" not in text.batch:  # audio is masked in samples
            return text.logits(text.states.masked_fill(gone[..., None], 0.0))
        mask = mask.masked_fill(gone[:, : mask.shape[1]], 0)
        return text.logits(text.states, {**text.batch, "attention_mask": mask})


ATTACKS: Mapping[str, Callable[[Text, Cell], Logits]] = {
    "fgsm": fgsm,
    "pgd": pgd,
    "noise": noise,
    "deletion": deletion,
}
"""Name → what it makes the model say."""


def _first_ascent(text: Text, cell: Cell) -> Float[Tensor, "examples tokens width"]:
    return text.clean_ascent if cell.target is None else text.ascent(text.states, cell.target)


def _reached(text: Text, logits: Logits, cell: Cell) -> Bool[Tensor, " examples"]:
    """Which examples are answered as the attack wants."""
    said = logits.argmax(-1)
    return said != text.predicted if cell.target is None else said == text.index(cell.target)


def _limits(text: Text, cell: Cell) -> Float[Tensor, "examples tokens 1"]:
    """``strength`` in the cell's unit at every token that may be edited, 0 elsewhere."""
    unit = torch.ones_like(text.unit) if cell.unit == ABSOLUTE else text.unit
    return _strength(cell) * (unit[:, None] * text.editable)[..., None]


def _strength(cell: Cell) -> float:
    if cell.strength is None:
        raise UsageError(f"attack '{cell.operator}' given without a strength; expected a number")
    return cell.strength


def _steps(cell: Cell) -> int:
    return STEPS if cell.steps is None else cell.steps
