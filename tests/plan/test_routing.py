"""The planner picks the cheapest route that is exact, and never an inexact one."""

from dataclasses import replace
from itertools import combinations
from typing import Literal

import pytest

from synapse_audit.artifacts import Cell
from synapse_audit.neurons import NeuronSet
from synapse_audit.plan import FULL, HEAD, STREAM, SUFFIX, build_cells, cheapest, make_plan
from synapse_audit.plan.tiers import pools, read_alone, tier

from .plan_inputs import LAYERS, sources

EVERY = frozenset({STREAM, SUFFIX})
L = 4
SETS = [layers for k in range(L + 2) for layers in combinations(range(L + 1), k)]


def _cell(layers: tuple[int, ...], position: Literal["pooled", "all"] = "pooled") -> Cell:
    neurons = NeuronSet.of({m: [0] for m in layers})
    return Cell("neuron", "zero", "block_output", position=position, neurons=neurons)


def _exact(layers: tuple[int, ...], position: str, route: str) -> bool:
    """From the definition of each route: what it leaves at its clean value must be clean."""
    first = min(layers, default=L)
    return {
        HEAD: first == L,
        STREAM: first == L or (position == "pooled" and first == L - 1),
        SUFFIX: True,
        FULL: True,
    }[route]


PRICE = [HEAD, STREAM, SUFFIX, FULL]


@pytest.mark.parametrize("position", ["pooled", "all"])
@pytest.mark.parametrize(
    "available", [EVERY, frozenset({SUFFIX}), frozenset({STREAM}), frozenset[str]()]
)
def test_the_cheapest_exact_route_is_chosen(
    position: Literal["pooled", "all"], available: frozenset[str]
) -> None:
    for layers in SETS:
        able = [r for r in PRICE if r in available | {HEAD, FULL} and _exact(layers, position, r)]
        assert cheapest(_cell(layers, position), L, available) == able[0], layers


def test_stream_is_never_chosen_for_all_layers() -> None:
    for position in ("pooled", "all"):
        assert cheapest(_cell((1, 2, 3, 4), position), L, EVERY) == SUFFIX  # type: ignore[arg-type]


def test_a_model_of_one_block_streams_from_its_embeddings() -> None:
    assert cheapest(_cell((0, 1)), 1, EVERY) == STREAM
    assert cheapest(_cell((1,)), 1, EVERY) == HEAD


def test_edits_and_shifts_run_on_the_head_alone() -> None:
    cells = build_cells(sources())
    plan = make_plan(cells, LAYERS, EVERY)
    assert {plan.routes[c.action] for c in cells if c.space != "neuron"} == {HEAD}


def test_every_distinct_action_has_a_route_and_stands_once() -> None:
    cells = build_cells(sources())
    plan = make_plan(iter(cells), LAYERS, EVERY)
    assert plan.cells == cells
    actions = [cell.action for cell in plan.actions]
    assert len(set(actions)) == len(actions)
    assert set(actions) == set(plan.routes) == {cell.action for cell in cells}
    first = {c.action: c for c in reversed(cells)}
    assert all(first[c.action] is c for c in plan.actions)


def test_tiers_say_what_is_spent_on_a_cell() -> None:
    """A named set is never sampled, and an action takes the highest tier of its cells."""
    plan = make_plan(build_cells(sources()), LAYERS, EVERY)
    for cell in plan.actions:
        costly = plan.routes[cell.action] in (SUFFIX, FULL)
        pooled = cell.neurons is not None and cell.position == "pooled"
        assert (plan.tiers[cell.action] == "exact-only") == (costly and not pooled)
    mean = Cell("neuron", "mean", "block_output", position="all", neurons=NeuronSet.of({1: [0]}))
    assert tier(mean, costly=True) == "exact-only"
    assert tier(replace(mean, group="named"), costly=True) == "headline"
    assert tier(replace(mean, position="pooled", layers="all", group="removal"), costly=True) == (
        "headline"
    )
    assert tier(replace(mean, position="pooled", layers="1", group="layer"), costly=True) == (
        "comparator"
    )
    assert tier(Cell("logit", "shift", "logits"), costly=False) == "headline"


def test_random_sets_outside_the_headline_are_pooled_and_those_that_tests_rest_on_are_not() -> None:
    plan = make_plan(build_cells(sources()), LAYERS, EVERY)
    found = pools(plan.cells, plan.tiers)
    by_action = {cell.action: cell for cell in plan.cells}
    assert found and {by_action[a].selection for a in found} <= {"random", "matched", "keep_random"}
    assert {plan.tiers[action] for action in found} == {"comparator", "exact-only"}
    assert all(by_action[action].neurons is not None for action in found)
    main = [c for c in plan.cells if c.group == "removal" and c.operator == "mean" and c.draw == 0]
    assert main and not found.keys() & {cell.action for cell in main}
    zero = [
        c.action
        for c in plan.cells
        if (c.group, c.operator, c.selection, c.fraction) == ("removal", "zero", "random", 0.5)
        and c.ranking is None
    ]
    everyone, tops = (read_alone(plan.cells, drawn=drawn) for drawn in (True, False))
    assert {*zero} <= everyone - tops
    headline = [c for c in plan.cells if (c.group, c.selection) == ("removal", "top")]
    assert {cell.action for cell in headline} == tops
    sizes = {found[a].size for a in zero}
    assert sizes == {len(zero)} and {found[a].place for a in zero} == set(range(len(zero)))
