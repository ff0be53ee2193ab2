"""What a time budget leaves out or makes coarser, and in which order.

Whole groups of cells go, the most dispensable first (the literal table ``TRIMMED_FIRST``), and in
between estimates and samples become coarser (``REDUCTIONS``), until the expected time fits. What is
left keeps its meaning, and its intervals say how well it is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from synapse_audit.artifacts import ALL_LAYERS, Cell, Plan
from synapse_audit.interventions.operators import SINGLE

TRIMMED_FIRST: dict[str, Callable[[Cell], bool]] = {
    "norm-matched controls": lambda cell: cell.group == "matched",
    "zero of sets kept": lambda cell: cell.group == "keep" and cell.operator == "zero",
    "exclusive sets": lambda cell: cell.group == "exclusive",
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
    "single layers": lambda cell: (
        cell.group in ("layer", "class", "site_layer") and cell.layers != ALL_LAYERS
    ),
}
"""Name → which cells go."""


REDUCTIONS: tuple[str | float, ...] = (
    *("norm-matched controls", "zero of sets kept", "exclusive sets", "random sets kept"),
    "per-class sets in single layers",
    2.0,
    *("attacks on the input", "neurons moved toward a class, resampled or clamped"),
    *("directions", "attention heads"),
    *("sites inside blocks", "random faults", "faults inside blocks", "all token positions"),
    4.0,
    "noise, scale and negate",
    *("random sets in single layers beyond five draws", "single layers"),
    10.0,
)
"""What a time budget does, in this order, until the expected time fits: leaves out a group of
``TRIMMED_FIRST``, or allows that many times the half width that was asked for (so samples shrink
with its square, and second phases are sized for it)."""

WIDEST = 0.1
"""Half width beyond which no budget goes."""


class Trimmed(NamedTuple):
    """A plan that fits its budget, as far as that goes."""

    plan: Plan
    left_out: tuple[str, ...]
    """Names of the groups that went, in order."""
    precision: float
    """Half width that estimates and samples are sized for."""
    fits: bool = True
    """Whether the expected time is within the budget."""


def trim(
    plan: Plan, cost: Callable[[Plan, float], float], budget: float, precision: float
) -> Trimmed:
    """Reduces a plan until its cost is at most ``budget`` seconds; see ``REDUCTIONS``.

    Where even the last step does not suffice, the rest of the plan stands: removal curves,
    per-class curves, edits, margins and neurons that somebody named are never left out.

    Args:
        cost: expected seconds of a plan whose estimates are sized for a half width. Nothing else
            decides, so the same costs give the same plan.
        precision: half width that was asked for.
    """
    left_out: list[str] = []
    now, expected = precision, cost(plan, precision)
    for step in REDUCTIONS:
        if expected <= budget:
            break
        if isinstance(step, str):
            smaller, wider = _without(plan, TRIMMED_FIRST[step]), now
        else:
            smaller, wider = plan, max(now, min(step * precision, WIDEST))
        if len(smaller.cells) == len(plan.cells) and wider == now:
            continue
        left_out += [step] if isinstance(step, str) else []
        plan, now = smaller, wider
        expected = cost(plan, now)
    return Trimmed(plan, tuple(left_out), now, expected <= budget)


def leave_out(plan: Plan, names: Iterable[str]) -> Plan:
    """The plan without the named groups: what an interrupted run left out stays left out."""
    for name in names:
        plan = _without(plan, TRIMMED_FIRST[name])
    return plan


def dispensable(cell: Cell) -> bool:
    """Whether a cell may be left out at all: neurons that somebody named always run."""
    return cell.group != "named"


def _without(plan: Plan, goes: Callable[[Cell], bool]) -> Plan:
    kept = tuple(cell for cell in plan.cells if not (goes(cell) and dispensable(cell)))
    actions = set(_actions(kept))
    routes, tiers = (
        {a: value for a, value in known.items() if a in actions}
        for known in (plan.routes, plan.tiers)
    )
    pools = {a: n for a, n in plan.pools.items() if a in actions}
    return Plan(kept, routes, tiers, pools)


def _actions(cells: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(cell.action for cell in cells))
