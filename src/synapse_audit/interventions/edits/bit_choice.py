"""Which bits of a part are flipped: what is tried where, and the choices that need the model.

The head is cheap: all formats, kinds and counts, a long search, one search per class. Inside blocks
every cell runs the model, so only the top bit of the first format, every other count, and a short
search.

In: the classifier and two batches of ``fit``. Out: :class:`ChosenFlips`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from synapse_audit.interventions.edits.bit_flips import ChosenFlips, random_flips, ranked_flips
from synapse_audit.interventions.edits.bit_search import (
    Astray,
    Objective,
    Toward,
    Victim,
    search_flips,
    steepest,
)
from synapse_audit.interventions.edits.number_formats import FORMATS
from synapse_audit.interventions.edits.parts import ATTENTION, HEAD, MLP, Part
from synapse_audit.model import Batch, Classifier

KINDS = ("mantissa", "sign", "exponent", "exponent_msb")
"""Kinds of bits flipped at random or by rank; int8 has no exponent. A search takes any bit."""

HEAD_TRIED, BLOCK_TRIED = 40, 3
"""Proposals per weight and step of a search that are evaluated exactly."""

BLOCK_STEPS = 10
"""Bits that a search in a block flips at most."""


def formats_of(formats: Sequence[str], part: str) -> tuple[str, ...]:
    """All formats in the head, the first one in blocks."""
    return tuple(formats) if part == HEAD else tuple(formats[:1])


def kinds_of(format: str, part: str) -> tuple[str, ...]:
    """All kinds in the head, the top bit (of the exponent, or of an integer) in blocks."""
    known = FORMATS[format].kinds
    if part == HEAD:
        return tuple(kind for kind in KINDS if kind in known)
    return ("exponent_msb",) if "exponent_msb" in known else ("sign",)


def counts_of(counts: Sequence[int], part: str) -> tuple[int, ...]:
    """All counts in the head, every other one in blocks."""
    return tuple(sorted(counts))[:: 1 if part == HEAD else 2]


@dataclass(frozen=True)
class Attacked:
    """What an attacker has: the model, inputs and what it says of them, but no labels."""

    classifier: Classifier
    batch: Batch
    """For blocks: it is run on at every step."""
    said: Int[np.ndarray, " batch"]
    """Clean predictions of the batch."""
    head_input: Float[np.ndarray, "examples features"]
    """For the head, which needs no more than this."""
    head_said: Int[np.ndarray, " examples"]
    """Clean predictions of the same examples."""
    answer_from: Callable[[int | None], Tensor] | None = None
    """Block whose weights are changed → logits of the batch; None = the whole model runs."""
    targets: Sequence[tuple[int, str]] | None = None
    """Output and name of the classes that a search aims at; None = all."""


def choose_flips(
    attacked: Attacked, part: Part, formats: Sequence[str], counts: Sequence[int]
) -> Iterator[ChosenFlips]:
    """Ranked and searched flips of one part; none for a part that holds no matrices."""
    if part.name not in (HEAD, ATTENTION, MLP):
        return
    victim, objective = _victim(attacked, part), _astray(attacked, part)
    slopes = steepest(victim, objective, list(part.weights))
    most = max(counts_of(counts, part.name))
    for format in formats_of(formats, part.name):
        for kind in kinds_of(format, part.name):
            bits = FORMATS[format].bits(kind)
            flips = ranked_flips(part.weights, slopes, FORMATS[format], bits, most)
            yield ChosenFlips("top", format, kind, part.name, part.layer, None, flips)
        yield _searched(victim, objective, part, format, max(counts))
    if part.name == HEAD:
        every = tuple(enumerate(attacked.classifier.classes))
        for index, name in every if attacked.targets is None else attacked.targets:
            aimed = _victim(attacked, part, away_from=index)
            yield _searched(aimed, Toward(index), part, formats[0], max(counts), name)


def placeholder_flips(
    part: Part, formats: Sequence[str], counts: Sequence[int], classes: Sequence[str]
) -> Iterator[ChosenFlips]:
    """As many flips as :func:`choose_flips` takes at most, of arbitrary bits: for a plan's size.

    A search that has nothing left to gain takes fewer.
    """
    if part.name not in (HEAD, ATTENTION, MLP):
        return
    most, steps = max(counts_of(counts, part.name)), max(counts)
    steps = steps if part.name == HEAD else min(steps, BLOCK_STEPS)
    generator = np.random.default_rng(0)
    for format in formats_of(formats, part.name):
        kinds = kinds_of(format, part.name)
        bits = FORMATS[format].bits(kinds[0])
        flips = random_flips(part.weights, bits, max(most, steps), generator)
        for kind in kinds:
            yield ChosenFlips("top", format, kind, part.name, part.layer, None, flips[:most])
        aims = classes if part.name == HEAD and format == formats[0] else ()
        for target in (None, *aims):
            found = flips[:steps]
            yield ChosenFlips("searched", format, "any", part.name, part.layer, target, found)


def _searched(
    victim: Victim,
    objective: Objective,
    part: Part,
    format: str,
    most: int,
    target: str | None = None,
) -> ChosenFlips:
    head = part.name == HEAD
    flips = search_flips(
        victim,
        objective,
        part.weights,
        FORMATS[format],
        steps=most if head else min(most, BLOCK_STEPS),
        tried=HEAD_TRIED if head else BLOCK_TRIED,
    )
    return ChosenFlips("searched", format, "any", part.name, part.layer, target, flips)


def _astray(attacked: Attacked, part: Part) -> Astray:
    said = attacked.head_said if part.name == HEAD else attacked.said
    return Astray(torch.from_numpy(said).to(attacked.classifier.device))


def _victim(attacked: Attacked, part: Part, *, away_from: int | None = None) -> Victim:
    """The head on stored inputs (those not said to be ``away_from``), or the model on its batch."""
    classifier = attacked.classifier
    inputs = attacked.head_input
    if away_from is not None:
        inputs = inputs[attacked.head_said != away_from]
    read = torch.from_numpy(np.array(inputs)).to(classifier.output_layer.weight.device)

    def head() -> Tensor:
        outputs: Tensor = classifier.output_layer(read)
        return classifier.decision.logits(outputs.to(classifier.device))

    def whole() -> Tensor:
        if attacked.answer_from is None:
            return classifier.answer(attacked.batch)
        return attacked.answer_from(part.layer)

    return Victim(classifier.model, classifier.output_layer, head if part.name == HEAD else whole)
