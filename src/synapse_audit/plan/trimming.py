"""What a time budget leaves out, and in which order.

Whole groups of cells go, the most dispensable first, until the expected time fits; what is left
keeps its meaning. The order is the literal table ``TRIMMED_FIRST``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from synapse_audit.artifacts import ALL_LAYERS, Cell, Plan
from synapse_audit.interventions.operators import SINGLE

TRIMMED_FIRST: dict[str, Callable[[Cell], bool]] = {
    "norm-matched controls": lambda cell: cell.group == "matched",
    "random sets kept": lambda cell: cell.selection == "keep_random",
    "per-class sets in single layers": lambda cell: (
        cell.group == "class" and cell.layers != ALL_LAYERS
    ),
    "attacks on the input": lambda cell: cell.group == "attack",
    "neurons moved toward a class, resampled or clamped": lambda cell: (
        cell.space == "neuron" and cell.operator in SINGLE
    ),
    "directions": lambda cell: cell.group == "direction",
    "attention heads": lambda cell: cell.group in ("attention_head", "attention_set"),
    "sites inside blocks": lambda cell: (
        cell.group in ("site", "site_position", "site_layer") and cell.site != "head_input"
    ),
    "random faults": lambda cell: cell.group == "fault",
    "faults inside blocks": lambda cell: cell.site == "block_weight",
    "all token positions": lambda cell: cell.position == "all",
    "noise, scale and negate": lambda cell: (
        cell.space == "neuron" and cell.operator in ("noise", "scale", "negate")
    ),
    "random sets in single layers beyond five draws": lambda cell: (
        cell.group == "layer" and (cell.draw or 0) >= 5
    ),
    "exclusive sets": lambda cell: cell.group == "exclusive",
    "single layers": lambda cell: (
        cell.group in ("layer", "class", "site_layer") and cell.layers != ALL_LAYERS
    ),
}
"""Name → which cells go."""


class Trimmed(NamedTuple):
    """A plan that fits its budget, as far as trimming goes."""

    plan: Plan
    left_out: tuple[str, ...]
    """Names of the groups that went, in order."""


def trim(plan: Plan, cost: Callable[[Iterable[str]], float], budget: float) -> Trimmed:
    """Leaves groups out until ``cost`` of the remaining actions is at most ``budget`` seconds.

    Where even the last group does not suffice, the rest of the plan stands: removal curves,
    per-class curves, edits, margins and neurons that somebody named are never left out.
    """
    left_out: list[str] = []
    for name, goes in TRIMMED_FIRST.items():
        if cost(_actions(plan.cells)) <= budget:
            break
        smaller = _without(plan, goes)
        if len(smaller.cells) < len(plan.cells):
            left_out.append(name)
            plan = smaller
    return Trimmed(plan, tuple(left_out))


def leave_out(plan: Plan, names: Iterable[str]) -> Plan:
    """The plan without the named groups: what an interrupted run left out stays left out."""
    for name in names:
        plan = _without(plan, TRIMMED_FIRST[name])
    return plan


def _without(plan: Plan, goes: Callable[[Cell], bool]) -> Plan:
    kept = tuple(cell for cell in plan.cells if cell.group == "named" or not goes(cell))
    actions = set(_actions(kept))
    routes, tiers = (
        {a: value for a, value in known.items() if a in actions}
        for known in (plan.routes, plan.tiers)
    )
    return Plan(kept, routes, tiers, {a: n for a, n in plan.pools.items() if a in actions})


def _actions(cells: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(cell.action for cell in cells))
