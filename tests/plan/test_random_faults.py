"""Random faults: strata, their shares of the faults, and what each cell flips."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from synapse_audit.artifacts import Cell, ParameterEdit
from synapse_audit.interventions.edits import HEAD, MLP, Part
from synapse_audit.plan import FULL, SUFFIX, PlanInputs, make_plan
from synapse_audit.plan import HEAD as HEAD_ROUTE
from synapse_audit.plan.random_faults import bits_of, fault_cells, fault_format, fault_strata

from .plan_inputs import GRID, sources

EVERY = (
    Part("embeddings", 0, {"table": np.ones((5, 2), np.float32)}),
    Part(MLP, 1, {"one": np.ones((2, 3), np.float32)}),
    Part(MLP, 2, {"two": np.ones((4, 3), np.float32)}),
    Part(HEAD, None, {"head": np.ones(3, np.float32)}),
)
SIZES = {"embeddings": 10, MLP: 18, HEAD: 3}


def _grid(faults: int, *formats: str):  # type: ignore[no-untyped-def]
    return GRID.model_copy(update={"faults": faults, "bit_formats": formats})


def _sources(faults: int, *formats: str, seed: int = 0) -> PlanInputs:
    return replace(sources(_grid(faults, *formats), seed=seed), every=EVERY)


def _edit(cell: Cell) -> ParameterEdit:
    assert isinstance(cell.edit, ParameterEdit)
    return cell.edit


@pytest.mark.parametrize(("name", "width"), [("fp32", 32), ("bf16", 16), ("int8", 8)])
def test_kinds_of_bits_hold_every_bit_once(name: str, width: int) -> None:
    places = [bit for some in bits_of(fault_format(_grid(1, name))).values() for bit in some]
    assert sorted(places) == list(range(width))


def test_strata_share_the_faults_and_take_no_more_than_there_are() -> None:
    strata = fault_strata(SIZES, _grid(62))
    # By hand: 31 / 12 + bits / 32 each, summed up, rounded, taken apart.
    assert [s.faults for s in strata] == [3, 3, 5, 9, 3, 4, 6, 16, 2, 3, 3, 5]
    assert [s.faults for s in fault_strata(SIZES, _grid(1))] == [1] * 12
    assert fault_strata(SIZES, _grid(2000))[-1].faults == 3 * 23
    assert sum(s.population for s in strata) == 31 * 32
    assert fault_strata(SIZES, _grid(0)) == ()


def test_every_fault_is_one_bit_of_its_stratum_drawn_once() -> None:
    cells = list(fault_cells(_sources(120)))
    counts = Counter((cell.part, cell.bit_kind) for cell in cells)
    assert counts == {(s.part, s.bit_kind): s.faults for s in fault_strata(SIZES, _grid(120))}
    assert len({(cell.weight, cell.bit) for cell in cells}) == len(cells)
    assert len({cell.key for cell in cells}) == len(cells)
    for cell in cells:
        (change,) = _edit(cell).changes
        before = change.before.view(np.uint32)[0]
        after = change.after.view(np.uint32)[0]
        if np.isfinite(change.after[0]):  # of a number that is none the bits are made one kind
            assert int(before) ^ int(after) == 1 << int(cell.bit or 0)
        assert cell.weight == f"{change.name}[{change.index[0]}]"
        assert _edit(cell).bits == 1


def test_faults_resume_where_they_fall() -> None:
    plan = make_plan(fault_cells(_sources(60)), 2, frozenset({SUFFIX}))
    routes = {"embeddings": FULL, MLP: SUFFIX, HEAD: HEAD_ROUTE}
    assert {cell.part for cell in plan.cells} == set(routes)
    for cell in plan.cells:
        assert plan.routes[cell.action] == routes[str(cell.part)]
        assert cell.layers == {"one": "1", "two": "2"}.get(str(cell.weight).partition("[")[0])


def test_a_seed_gives_the_same_faults_again_and_another_seed_others() -> None:
    def places(seed: int) -> list[tuple[str | None, int | None]]:
        return [(c.weight, c.bit) for c in fault_cells(_sources(40, seed=seed))]

    assert places(3) == places(3) != places(4)


def test_nothing_is_drawn_where_nobody_asks() -> None:
    assert list(fault_cells(_sources(0))) == []
