"""How much is spent on an experiment: on what its figures are used for, and on what it costs.

| tier | what |
|---|---|
| headline | mean over all layers, with the random sets that tests rest on; whatever runs no block |
| comparator | other operators, single layers, sites, sets kept: what the headline stands beside |
| exact-only | every token position, weights of blocks, attacks: no cheap route stands in |

Where the grid asks for it (``pooled_controls``), random sets of neurons outside the headline are
known as a mean only; and where it names sizes (``exact_only_examples``, ``iterated_examples``), the
last tier runs on a sample of the examples. All else runs on all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from synapse_audit.artifacts import ALL_LAYERS, Cell, Pooled

HEADLINE, COMPARATOR, EXACT_ONLY = "headline", "comparator", "exact-only"

TIERS = (HEADLINE, COMPARATOR, EXACT_ONLY)

HEADLINE_OPERATOR = "mean"
"""The operator whose curves are tested."""

HEADLINE_GROUPS = ("removal", "compared", "class", "exclusive")


ALWAYS_WHOLE = ("named", "fault")
"""Groups that are never sampled: neurons that somebody named, and random faults, of which each
counts by the exact share of predictions that it changes."""


def tier(cell: Cell, *, costly: bool) -> str:
    """The tier of a cell; ``costly``: its route runs many tokens through blocks."""
    if cell.group in ALWAYS_WHOLE:
        return HEADLINE
    pooled = cell.neurons is not None and cell.position == "pooled"
    if not pooled:
        return EXACT_ONLY if costly else HEADLINE
    main = cell.operator == HEADLINE_OPERATOR and cell.layers == ALL_LAYERS
    return HEADLINE if main and cell.group in HEADLINE_GROUPS else COMPARATOR


POOLED = ("random", "matched", "keep_random", "equal_variance")
"""Selections of which several are drawn, to be read as one control."""


def pools(cells: Iterable[Cell], tiers: Mapping[str, str]) -> dict[str, Pooled]:
    """The random sets of neurons outside the headline, each with its place among its own.

    What is reported of them is their mean, so each may be known less precisely.
    """
    found: dict[tuple[object, ...], dict[str, None]] = {}
    for cell in cells:
        beside = cell.neurons is not None and tiers.get(cell.action) in (COMPARATOR, EXACT_ONLY)
        if beside and cell.selection in POOLED:
            found.setdefault(_pool(cell), {})[cell.action] = None
    pooled: dict[str, Pooled] = {}
    for actions in found.values():
        for place, action in enumerate(actions):
            # A set that stands in several pools is as precise as the smallest of them wants it.
            known = pooled.get(action)
            if known is None or len(actions) < known.size:
                pooled[action] = Pooled(len(actions), place)
    return pooled


def read_alone(cells: Iterable[Cell], *, drawn: bool) -> frozenset[str]:
    """Actions whose probabilities are reported: the removal curves of calibration and detection.

    Probabilities are read where they are exact, so these need exact examples of their own however
    well their accuracy is known. ``drawn``: their random sets too, of which a band is shown.
    """
    selections = ("top", "random") if drawn else ("top",)
    return frozenset(
        cell.action
        for cell in cells
        if cell.group in ("removal", "other_operator") and cell.selection in selections
    )


def _pool(cell: Cell) -> tuple[object, ...]:
    """What the draws of one control share."""
    shared = (cell.operator, cell.strength, cell.site, cell.position, cell.layers, cell.fraction)
    return (*shared, cell.selection, cell.ranking, cell.ranked_for, cell.target, cell.group)


def tiers(cells: Iterable[Cell], costly: Mapping[str, bool]) -> dict[str, str]:
    """Action → the highest tier of the cells that share it."""
    found: dict[str, str] = {}
    for cell in cells:
        here = tier(cell, costly=costly[cell.action])
        found[cell.action] = min(here, found.get(cell.action, here), key=TIERS.index)
    return found
