"""What a time budget does, step by step, with costs that no clock decides."""

import pytest

from synapse_audit.artifacts import Plan
from synapse_audit.plan import TRIMMED_FIRST, build_cells, make_plan, trim
from synapse_audit.plan.trimming import REDUCTIONS, WIDEST

from .plan_inputs import LAYERS, sources

EVERY = frozenset({"stream", "suffix"})
ASKED = 0.01


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(build_cells(sources()), LAYERS, EVERY)


def cost(plan: Plan, precision: float) -> float:
    """A second per cell, and as many again as samples of 100 seconds at .01 would take."""
    return len(plan.cells) + 100 * (ASKED / precision) ** 2


def test_every_group_is_left_out_once_at_the_most() -> None:
    names = [step for step in REDUCTIONS if isinstance(step, str)]
    assert sorted(names) == sorted(TRIMMED_FIRST)
    factors = [step for step in REDUCTIONS if isinstance(step, float)]
    assert factors == sorted(factors) and len(factors) == 3


def test_a_budget_that_suffices_changes_nothing(plan: Plan) -> None:
    found = trim(plan, cost, cost(plan, ASKED), ASKED)
    assert (found.plan, found.left_out, found.precision, found.fits) == (plan, (), ASKED, True)


def test_steps_are_taken_in_order_and_no_further_than_needed(plan: Plan) -> None:
    """Norm-matched controls first; estimates become coarser before single layers go."""
    matched = sum(cell.group == "matched" for cell in plan.cells)
    first = trim(plan, cost, cost(plan, ASKED) - 1, ASKED)
    assert first.left_out == ("norm-matched controls",) and first.precision == ASKED
    assert len(first.plan.cells) == len(plan.cells) - matched
    before = REDUCTIONS[: REDUCTIONS.index(2.0)]
    smaller = trim(plan, lambda p, w: float(w == ASKED), 0.5, ASKED)
    assert smaller.precision == 2 * ASKED and smaller.fits
    assert set(smaller.left_out) <= set(before)
    last = trim(plan, lambda p, w: 1.0, 0.5, ASKED)
    assert not last.fits and last.precision == pytest.approx(0.1)
    groups = {cell.group for cell in last.plan.cells}
    assert {"removal", "class", "push", "shift"} <= groups
    assert not groups & {"matched", "exclusive", "position", "layer"}


def test_a_smaller_budget_never_gives_more(plan: Plan) -> None:
    sizes = [
        (len(found.plan.cells), -found.precision)
        for budget in range(0, int(cost(plan, ASKED)) + 20, 20)
        for found in [trim(plan, cost, float(budget), ASKED)]
    ]
    assert sizes == sorted(sizes)


def test_no_budget_widens_beyond_what_tells_anything(plan: Plan) -> None:
    assert trim(plan, lambda p, w: 1.0, 0.5, 0.03).precision == WIDEST
    assert trim(plan, lambda p, w: 1.0, 0.5, 0.2).precision == 0.2, "asked for: left alone"
