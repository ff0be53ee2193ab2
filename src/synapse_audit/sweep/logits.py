"""What is done to the logits themselves: one function per operator of logit space.

In: clean logits (examples, classes). Out: new ones; the host model is not asked again. Adding an
operator = one function and one line in ``LOGIT_OPERATORS``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from synapse_audit.artifacts import Cell
from synapse_audit.errors import UsageError, choices
from synapse_audit.interventions.operators import keyed_normal
from synapse_audit.model.decision import Decision

Logits = Float[Tensor, "examples classes"]


class Setting(NamedTuple):
    """What an operator may read besides the cell and the logits."""

    classes: Sequence[str]
    examples: Int[Tensor, " examples"]
    """Example numbers in the data: they key the noise."""
    seed: int
    decision: Decision


def logit_cell(
    cell: Cell,
    logits: Logits,
    *,
    classes: Sequence[str],
    examples: Int[Tensor, " examples"],
    seed: int,
    decision: Decision = Decision(),  # noqa: B008 (frozen)
) -> Logits:
    """The logits under a cell of logit space; a new tensor.

    Raises:
        UsageError: an unknown operator, a missing strength, or a target that is no class.
    """
    if cell.operator not in LOGIT_OPERATORS:
        raise UsageError(
            f"logit operator '{cell.operator}' given; {choices(cell.operator, LOGIT_OPERATORS)}"
        )
    return LOGIT_OPERATORS[cell.operator](cell, logits, Setting(classes, examples, seed, decision))


def shift(cell: Cell, logits: Logits, setting: Setting) -> Logits:
    """Adds ``strength`` to the logit of ``target``: (examples, classes) in and out.

    Raises:
        UsageError: the target is no class of the model.
    """
    if cell.target not in setting.classes:
        raise UsageError(
            f"target '{cell.target}' given; {choices(str(cell.target), setting.classes)}"
        )
    shifted = logits.clone()
    shifted[:, setting.classes.index(cell.target)] += _strength(cell)
    return shifted


def temperature(cell: Cell, logits: Logits, setting: Setting) -> Logits:
    """Divides all logits of the model by ``strength`` (Guo et al. 2017).

    Monotone, so that without a threshold no prediction changes, only probabilities. A threshold
    stays where it is, and probabilities move across it.

    Raises:
        UsageError: the temperature is not above 0.
    """
    divisor = _strength(cell)
    if divisor <= 0:
        raise UsageError(f"temperature {divisor:g} given; expected a number above 0")
    return setting.decision.shifted(setting.decision.model_logits(logits) / divisor)


def noise(cell: Cell, logits: Logits, setting: Setting) -> Logits:
    """Adds Gaussian noise of standard deviation ``strength`` to every logit independently.

    A model with one output has one logit: the 0 beside it stays 0.
    ε is a pure function of (seed, action, example, class), never of execution order.
    """
    words = np.random.SeedSequence([setting.seed, int(cell.action, 16)])
    key = words.generate_state(1, np.uint64).view(np.int64)
    keys = torch.from_numpy(key).to(logits.device)
    nowhere = torch.zeros_like(setting.examples)
    epsilon = keyed_normal(keys, setting.examples, nowhere, logits.shape[-1])[0]
    if setting.decision.one_output:
        epsilon[:, 0] = 0.0
    return logits + _strength(cell) * epsilon.to(logits.dtype)


LOGIT_OPERATORS: dict[str, Callable[[Cell, Logits, Setting], Logits]] = {
    "shift": shift,
    "temperature": temperature,
    "noise": noise,
}
"""Name → what it does to the logits."""


def _strength(cell: Cell) -> float:
    if cell.strength is None:
        raise UsageError(
            f"logit operator '{cell.operator}' given without a strength; expected a number"
        )
    return cell.strength
