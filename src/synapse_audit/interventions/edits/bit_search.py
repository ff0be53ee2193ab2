"""Progressive bit search: each step flips the bit that raises an objective most.

In the manner of BFA (Rakin et al. 2019, 1903.12269) and its targeted form (2007.12336): gradients
on a batch propose, one best bit per weight; exact evaluation of the few best proposals decides, by
the share of examples moved and then by the loss. Unlike there, the search also stops where the
batch falls to chance or where no proposal helps, and rounding to the format is no part of the
effect (:mod:`synapse_audit.interventions.edits.number_formats`).

In: the live model, which is left bit for bit as it was. Out: flips in the order of the search.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from synapse_audit.interventions.edits.applied import applied
from synapse_audit.interventions.edits.bit_flips import (
    Flip,
    Steepest,
    Weights,
    flip_edit,
    ranked_flips,
)
from synapse_audit.interventions.edits.number_formats import NumberFormat

KEPT = 2000
"""Entries per weight, those with the largest gradients, whose bits are looked at."""

SATURATED = 50.0
"""Loss (nats) at which one example counts no more: an overflow must not outvote the rest."""

HUGE = 1e4
"""Logits are cut here before the loss; one that is no number counts as this."""

Logits = Float[Tensor, "examples classes"]


@runtime_checkable
class Objective(Protocol):
    """What a search raises: first the share of examples, then the loss."""

    def loss(self, logits: Logits) -> Tensor:
        """Differentiable; its gradient proposes."""

    def share(self, logits: Logits) -> float:
        """Share of the examples that are where the search wants them."""

    def enough(self) -> float:
        """Share at which nothing is left to gain."""


@dataclass(frozen=True)
class Astray:
    """Away from the classes that were predicted, until no more are right than by chance."""

    labels: Int[Tensor, " examples"]

    def loss(self, logits: Logits) -> Tensor:
        """Mean cross-entropy, each example's cut at ``SATURATED``."""
        return _nats(logits, self.labels).mean()

    def share(self, logits: Logits) -> float:
        """Share predicted as another class than before."""
        return float((logits.argmax(-1) != self.labels).double().mean())

    def enough(self) -> float:
        """What the best constant prediction gets wrong."""
        return 1.0 - float(torch.bincount(self.labels).max()) / max(1, len(self.labels))


@dataclass(frozen=True)
class Toward:
    """To one class, until every example is predicted so."""

    target: int

    def loss(self, logits: Logits) -> Tensor:
        """Minus mean cross-entropy to the target."""
        labels = torch.full(logits.shape[:1], self.target, device=logits.device)
        return -_nats(logits, labels).mean()

    def share(self, logits: Logits) -> float:
        """Share predicted as the target."""
        return float((logits.argmax(-1) == self.target).double().mean())

    def enough(self) -> float:
        """All of them."""
        return 1.0


@dataclass(frozen=True)
class Victim:
    """What a search works on: the model and a fixed batch behind a closure."""

    model: nn.Module
    output_layer: nn.Linear
    logits: Callable[[], Logits]
    """The batch's logits under the weights as they are now, with a graph."""


def steepest(victim: Victim, objective: Objective, names: Sequence[str]) -> dict[str, Steepest]:
    """Per weight the entries with the largest |gradient| of the objective."""
    known = dict(victim.model.named_parameters())
    parameters = [known[name] for name in names]
    with torch.enable_grad(), _tracked(parameters):
        value = objective.loss(victim.logits())
        gradients = torch.autograd.grad(value, parameters, allow_unused=True)
    found = {}
    for name, parameter, gradient in zip(names, parameters, gradients, strict=True):
        flat = torch.zeros_like(parameter) if gradient is None else gradient
        flat = flat.detach().reshape(-1).nan_to_num()
        index = flat.abs().topk(min(KEPT, len(flat))).indices.sort().values
        found[name] = Steepest(index.cpu().numpy(), flat[index].double().cpu().numpy())
    return found


def search_flips(
    victim: Victim,
    objective: Objective,
    weights: Weights,
    format: NumberFormat,
    *,
    steps: int,
    tried: int,
) -> tuple[Flip, ...]:
    """Greedy: per step ``tried`` proposals of each weight are evaluated, the best one stays.

    Args:
        weights: copies of the named weights that may be changed.
        steps: bits flipped at most.
        tried: proposals per weight and step.

    Returns:
        The flips in order; the first n are the search's answer for n bits.
    """
    flips: list[Flip] = []
    best = _evaluate(victim, objective, weights, format, flips)
    while len(flips) < steps and best.share < objective.enough():
        with _flipped(victim, weights, format, flips):
            slopes = steepest(victim, objective, list(weights))
        proposals = [
            flip
            for name, slope in slopes.items()
            for flip in ranked_flips(
                weights, {name: slope}, format, format.bits("any"), tried, taken=flips
            )
        ]
        scored = [
            (_evaluate(victim, objective, weights, format, [*flips, p]), p) for p in proposals
        ]
        if not scored:
            break
        found, flip = max(scored, key=lambda pair: pair[0])
        if found <= best:
            break
        best = found
        flips.append(flip)
    return tuple(flips)


class _Score(NamedTuple):
    """Compared in this order."""

    share: float
    loss: float


def _evaluate(
    victim: Victim,
    objective: Objective,
    weights: Weights,
    format: NumberFormat,
    flips: Sequence[Flip],
) -> _Score:
    with torch.no_grad(), _flipped(victim, weights, format, flips):
        logits = victim.logits()
    return _Score(objective.share(logits), float(objective.loss(logits)))


@contextmanager
def _flipped(
    victim: Victim, weights: Weights, format: NumberFormat, flips: Sequence[Flip]
) -> Iterator[None]:
    if not flips:
        yield
        return
    with applied(victim.model, victim.output_layer, flip_edit(weights, flips, format, None)):
        yield


@contextmanager
def _tracked(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Lets gradients reach these parameters; afterwards they stand as before."""
    before = [parameter.requires_grad for parameter in parameters]
    try:
        for parameter in parameters:
            parameter.requires_grad_(True)
        yield
    finally:
        for parameter, old in zip(parameters, before, strict=True):
            parameter.requires_grad_(old)


def _nats(logits: Logits, labels: Int[Tensor, " examples"]) -> Float[Tensor, " examples"]:
    tamed = logits.nan_to_num(nan=HUGE, posinf=HUGE, neginf=-HUGE).clamp(-HUGE, HUGE)
    return nn.functional.cross_entropy(tamed, labels, reduction="none").clamp_max(SATURATED)
