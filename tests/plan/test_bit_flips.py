"""Bit-flip cells: formats, kinds and counts per part, nested random draws, given choices."""

from dataclasses import replace

import numpy as np

from synapse_audit.artifacts import Cell, ParameterEdit
from synapse_audit.interventions.edits import FORMATS, GAIN, HEAD, MLP, ChosenFlips, Flip, Part
from synapse_audit.plan import HEAD as HEAD_ROUTE
from synapse_audit.plan import SUFFIX, PlanInputs, build_cells, make_plan
from synapse_audit.plan.bit_flips import BLOCK_DRAWS, HEAD_DRAWS, flip_cells

from .plan_inputs import GRID, sources

COUNTS = (1, 3, 8)
HEAD_WEIGHT = np.random.default_rng(0).normal(size=(3, 20)).astype(np.float32)
PARTS = (
    Part(HEAD, None, {"head": HEAD_WEIGHT}),
    Part(MLP, 2, {"up": np.ones((4, 4), dtype=np.float32)}),
    Part(GAIN, 2, {"gain": np.ones(4, dtype=np.float32)}),
)


def _sources(*chosen: ChosenFlips, formats: tuple[str, ...] = ("fp32", "int8")) -> PlanInputs:
    grid = GRID.model_copy(update={"bit_formats": formats, "bit_counts": COUNTS, "draws": 6})
    return replace(sources(grid), parts=PARTS, flips=chosen)


def _edit(cell: Cell) -> ParameterEdit:
    assert isinstance(cell.edit, ParameterEdit)
    return cell.edit


def _names(cell: Cell) -> str:
    return f"{cell.format} {cell.bit_kind} {cell.part}"


def test_heads_get_every_format_and_kind_blocks_the_top_bit_of_the_first() -> None:
    cells = list(flip_cells(_sources()))
    found = {(_names(c), c.layers, c.site) for c in cells}
    fp32 = {f"fp32 {kind} head" for kind in ("sign", "mantissa", "exponent", "exponent_msb")}
    int8 = {"int8 sign head", "int8 mantissa head"}
    assert found == {(p, None, "head_weight") for p in fp32 | int8} | {
        ("fp32 exponent_msb mlp", "2", "block_weight")
    }
    head = [c for c in cells if c.site == "head_weight"]
    assert len(head) == 6 * min(6, HEAD_DRAWS) * len(COUNTS)
    assert len(cells) - len(head) == BLOCK_DRAWS * 2  # every other count: 1 and 8


def test_random_draws_are_nested_and_differ() -> None:
    cells = [c for c in flip_cells(_sources()) if _names(c) == "fp32 sign head"]
    for draw in range(HEAD_DRAWS):
        mine = {c.strength: _edit(c) for c in cells if c.draw == draw}
        assert [mine[float(n)].bits for n in COUNTS] == list(COUNTS)
        few, many = (set(mine[float(n)].changes[0].index.tolist()) for n in (1, 8))
        assert few < many
    assert len({c.action for c in cells if c.strength == 8}) == HEAD_DRAWS


def test_a_flip_is_what_the_format_says() -> None:
    cell = next(c for c in flip_cells(_sources()) if _names(c) == "fp32 sign head")
    (change,) = _edit(cell).changes
    assert np.array_equal(change.after, -change.before)
    assert change.before == HEAD_WEIGHT.reshape(-1)[change.index]


def test_searched_flips_are_run_at_every_number_of_bits() -> None:
    flips = tuple(Flip("head", i, 31) for i in range(5))
    searched = ChosenFlips("searched", "fp32", "any", HEAD, None, "b", flips)
    ranked = ChosenFlips("top", "fp32", "sign", HEAD, None, None, flips)
    cells = [c for c in flip_cells(_sources(searched, ranked)) if c.selection != "random"]
    found = {(c.selection, c.strength, c.target, _names(c)) for c in cells}
    assert found == {
        *(("searched", float(n), "b", "fp32 any head") for n in range(1, 6)),
        *(("top", float(n), None, "fp32 sign head") for n in (1, 3)),
    }


def test_an_overflow_keeps_its_cell_and_its_infinite_budget() -> None:
    one = Part(MLP, 2, {"up": np.ones((4, 4), dtype=np.float32)})
    s = replace(_sources(), parts=(one,))
    cells = [c for c in build_cells(s) if c.operator == "bit_flip"]
    assert len(cells) == BLOCK_DRAWS * 2
    assert all(_edit(c).linf == np.inf for c in cells)  # 1.0 with exponent 255


def test_heads_need_no_block_and_blocks_resume_at_theirs() -> None:
    plan = make_plan(flip_cells(_sources()), 3, frozenset({SUFFIX}))
    for cell in plan.cells:
        assert plan.routes[cell.action] == (SUFFIX if cell.layers else HEAD_ROUTE)


def test_no_format_no_flip() -> None:
    assert not list(flip_cells(_sources(formats=())))
    assert set(FORMATS) == {"fp32", "bf16", "fp16", "int8"}
