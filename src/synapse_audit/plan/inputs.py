"""Cells that attack the input: comparators for edits of neurons, weights and logits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from synapse_audit.artifacts import Cell
from synapse_audit.errors import UsageError, choices
from synapse_audit.plan.plan_inputs import PlanInputs

DELETION_DRAWS = 5
"""Random controls per number of deleted tokens, at most."""

MANY_CLASSES = 8
"""Classes beyond which targeted attacks aim at the commonest few alone."""

COMMONEST = 3

STEPS = 10
"""Steps of pgd."""

RELATIVE, ABSOLUTE, TOKENS = "relative", "absolute", "tokens"
"""What ``strength`` counts: shares of a text's own embeddings, their own numbers, or tokens."""

PAPER_EPSILONS = (0.02, 0.05, 0.1, 0.15)
"""The SYNAPSE paper's fgsm, in the embeddings' own numbers."""

PAPER_NOISE = (0.02, 0.1, 0.5, 1.5)


def input_cells(s: PlanInputs) -> Iterator[Cell]:
    """Every attack that the grid names.

    Raises:
        UsageError: an attack that there is none of.
    """
    for name in s.grid.attacks:
        if name not in BUILDERS:
            raise UsageError(f"attack '{name}' given; {choices(name, BUILDERS)}")
        yield from BUILDERS[name](s, Cell(space="input", operator=name, site="embeddings"))


def fgsm_cells(s: PlanInputs, base: Cell) -> Iterator[Cell]:
    """Each ε, and the paper's own where its settings are asked for."""
    yield from _sized(s, base, s.grid.epsilons, PAPER_EPSILONS)


def pgd_cells(s: PlanInputs, base: Cell) -> Iterator[Cell]:
    """Untargeted at two ε, the middle one and the largest; toward classes at the middle one."""
    stepped = replace(base, unit=RELATIVE, steps=STEPS)
    middle = sorted(s.grid.epsilons)[len(s.grid.epsilons) // 2 :]
    for epsilon in dict.fromkeys((*middle[:1], *middle[-1:])):
        yield replace(stepped, strength=epsilon)
    for epsilon in middle[:1]:
        for name in aims(s):
            yield replace(stepped, strength=epsilon, target=name)


def noise_cells(s: PlanInputs, base: Cell) -> Iterator[Cell]:
    """Each σ, and the paper's own where its settings are asked for."""
    yield from _sized(s, base, s.grid.embedding_noise, PAPER_NOISE)


def deletion_cells(s: PlanInputs, base: Cell) -> Iterator[Cell]:
    """The tokens that matter most, beside as many random ones."""
    for tokens in s.grid.deletions:
        counted = replace(base, strength=float(tokens), unit=TOKENS)
        yield replace(counted, selection="top")
        for draw in s.draws[:DELETION_DRAWS]:
            yield replace(counted, selection="random", draw=draw)


BUILDERS: Mapping[str, Callable[[PlanInputs, Cell], Iterator[Cell]]] = {
    "fgsm": fgsm_cells,
    "pgd": pgd_cells,
    "noise": noise_cells,
    "deletion": deletion_cells,
}
"""Attack → its cells; the names of ``sweep.inputs.ATTACKS``."""


def aims(s: PlanInputs) -> tuple[str, ...]:
    """Classes that targeted attacks aim at: all, or those most often predicted on ``fit``."""
    if len(s.classes) <= MANY_CLASSES:
        return s.classes
    often = np.bincount(s.head.predicted, minlength=len(s.classes))
    return tuple(s.classes[i] for i in np.argsort(-often, kind="stable")[:COMMONEST])


def _sized(
    s: PlanInputs, base: Cell, sizes: Iterable[float], paper: Iterable[float]
) -> Iterator[Cell]:
    for size in sizes:
        yield replace(base, strength=size, unit=RELATIVE)
    for size in paper if s.grid.paper else ():
        yield replace(base, strength=size, unit=ABSOLUTE)
