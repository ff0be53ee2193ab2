"""A grid means exactly the cells it should, with nested and shared random controls."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from synapse_audit.artifacts import GLOBAL, Cell, LayerStatistics
from synapse_audit.config import Grid
from synapse_audit.neurons import NeuronSet, count, top
from synapse_audit.plan import PlanInputs, build_cells
from synapse_audit.plan.head import COLUMN_DRAWS
from synapse_audit.plan.logits import NOISE_DRAWS
from synapse_audit.plan.neurons import class_cells, constant_cells
from synapse_audit.plan.plan_inputs import support
from synapse_audit.plan.weights import (
    LINF_SIZES,
    ROW_FACTORS,
    SIGMAS,
    SPARSITIES,
    WEIGHT_CELLS,
)

from .plan_inputs import (
    CLASSES,
    FEATURES,
    GRID,
    LAYERS,
    QUICK,
    STANDARD,
    WIDTH,
    sources,
    statistics,
)


def _neurons(cell: Cell) -> NeuronSet:
    assert cell.neurons is not None
    return cell.neurons


def _select(cells: Iterable[Cell], **wanted: object) -> list[Cell]:
    return [c for c in cells if all(getattr(c, k) == v for k, v in wanted.items())]


def _expected(grid: Grid) -> dict[str, int]:
    """Number of cells per kind, by counting on one's fingers."""
    F, B, C, n = len(grid.fractions), grid.draws, len(CLASSES), LAYERS + 1
    O, R = len(grid.operators), len(grid.rankings)  # noqa: E741
    layers, places = len(grid.layer_fractions), len(grid.position_fractions)
    # No test rests on the D draws of other operators, of sets kept and of zero in one layer.
    D = grid.other_draws or B
    curves = [F if operator == "mean" and grid.tests else 1 for operator in ("mean", "zero")]
    per_class = C * (sum(curves) + n * len(grid.class_layer_fractions))
    alone = R if grid.tests else 1
    matched = 0 if "norm-matched controls" in grid.without else 2
    kept = 1 if "zero of sets kept" in grid.without else 2
    columns, partial = len(grid.columns), sum(share < 1 for share in grid.columns)
    edits = 1 + columns + partial * min(B, COLUMN_DRAWS)
    return {
        "random": (2 * B + (O - 2) * D) * F + n * layers * (B + D) + places * B,
        "top": O * F * R + 2 * n * layers * alone + places + per_class,
        "bottom": O * F * R + places,
        "matched": matched * F * D,
        "keep_top": kept * F * R,
        "keep_random": kept * F * D,
        "weight": C * len(grid.budgets) * edits + _edited(grid),
        "logit": C * len(grid.constants)
        + len(grid.temperatures)
        + len(grid.logit_noise) * min(B, NOISE_DRAWS),
    }


def _edited(grid: Grid) -> int:
    """Cells of the other edits: each push with three random controls, at every other budget; no
    part of any model is known here, so noise falls on the head and no bit is flipped."""
    C, pushes = len(CLASSES), len(grid.budgets[::2])
    few = sum(n <= FEATURES for n in SPARSITIES)
    kinds = {
        "universal": C * len(grid.budgets),
        "balanced": C * pushes * 4,
        "rival": C * pushes * 4,
        "linf": C * len(LINF_SIZES) * 4,
        "sparse": C * few * 4,
        "row_swap": C * (C - 1),
        "row_scale": C * len(ROW_FACTORS),
        "gaussian_fault": len(SIGMAS) * 3 * 2,
        "gain": 0,
    }
    return sum(kinds[name] for name in grid.edits)


def _has_its_own_test(cell: Cell, grid: Grid) -> bool:
    other = cell.operator in grid.other_operators or cell.ranking in grid.compared
    return cell.space == "neuron" and (other or "un" in (cell.selection or ""))


@pytest.mark.parametrize("grid", [GRID, QUICK, STANDARD], ids=["small", "quick", "standard"])
def test_counts_of_cells(grid: Grid) -> None:
    built = build_cells(sources(grid))
    cells = [cell for cell in built if not _has_its_own_test(cell, grid)]
    found = {
        name: len(_select(cells, space="neuron", selection=name))
        for name in ("random", "top", "bottom", "matched", "keep_top", "keep_random")
    }
    found |= {space: len(_select(cells, space=space)) for space in ("weight", "logit")}
    assert found == _expected(grid)
    exclusive = len(_select(cells, selection="exclusive"))
    most = 0 if "exclusive sets" in grid.without else 2 * len(CLASSES) * len(grid.fractions)
    assert min(1, most) <= exclusive <= most
    attacks = len(_select(cells, space="input"))
    assert sum(found.values()) + exclusive + attacks == len(cells)


def test_cells_are_without_repeats_and_the_same_every_time() -> None:
    cells, other = build_cells(sources()), build_cells(sources(seed=1))
    keys = [cell.key for cell in cells]
    assert len(set(keys)) == len(keys)
    assert keys == [cell.key for cell in build_cells(sources())]
    # Another seed means the same experiments, and draws other neurons.
    assert keys == [cell.key for cell in other]
    assert [cell.action for cell in cells] != [cell.action for cell in other]


def test_every_set_takes_its_fraction_of_every_layer() -> None:
    for cell in build_cells(sources()):
        if cell.space != "neuron" or cell.selection == "exclusive" or cell.fraction is None:
            continue
        keeps = (cell.selection or "").startswith("keep")
        k = count(cell.fraction, WIDTH)
        layers = (1, 2) if cell.layers == "all" else (int(cell.layers or -1),)
        assert _neurons(cell).counts == dict.fromkeys(layers, WIDTH - k if keeps else k)


def test_fewer_controls_are_drawn_where_no_test_rests_on_them() -> None:
    cells = build_cells(sources(GRID.model_copy(update={"other_draws": 2})))
    for operator, layers, selection, draws in (
        ("mean", "all", "matched", 2),
        ("mean", "all", "keep_random", 2),
        ("mean", "all", "random", 3),
        ("zero", "all", "random", 3),
        ("noise", "all", "random", 2),
        ("mean", "1", "random", 3),
        ("zero", "1", "random", 2),
    ):
        wanted = {"operator": operator, "fraction": 0.5, "layers": layers, "position": "pooled"}
        assert len(_select(cells, selection=selection, **wanted)) == draws


def test_what_nobody_reads_is_not_planned() -> None:
    """Without tests a class's sets are read at one fraction, other rankings in no single layer."""
    untested = GRID.model_copy(update={"tests": False})
    for cell in build_cells(sources(untested)):
        if cell.group == "class" and cell.layers == "all":
            assert cell.fraction == 0.5
        if cell.group == "layer" and cell.selection == "top":
            assert cell.ranking == "probe"
    paper = class_cells(sources(untested.model_copy(update={"paper": True})))
    curves = [c for c in paper if c.layers == "all"]
    assert {c.fraction for c in curves} == {0.1, 0.25, 0.5}
    named = {"norm-matched controls", "zero of sets kept", "exclusive sets"}
    fewer = build_cells(sources(GRID.model_copy(update={"without": tuple(named)})))
    groups = {(c.group, c.operator) for c in fewer}
    assert ("keep", "mean") in groups and ("keep", "zero") not in groups
    assert not {group for group, _ in groups} & {"matched", "exclusive"}


@pytest.mark.parametrize("draw", range(GRID.draws))
def test_controls_are_nested_over_fractions(draw: int) -> None:
    cells = _select(build_cells(sources()), selection="random", draw=draw, operator="mean")
    for layers, position in (("all", "pooled"), ("0", "pooled"), ("2", "pooled")):
        chain = sorted(_select(cells, layers=layers, position=position), key=lambda c: c.k or 0)
        assert len(chain) > 1
        for small, large in pairwise(chain):
            assert not len(_neurons(small) - _neurons(large))


def test_controls_are_shared_by_all_that_take_the_same_counts() -> None:
    cells = build_cells(sources(GRID.model_copy(update={"fractions": (0.25, 0.251)})))
    random_controls = _select(cells, selection="random", draw=0, layers="all", position="pooled")
    assert len(random_controls) == 2 * 3
    assert len({_neurons(c) for c in random_controls}) == 1
    assert len({c.action for c in _select(random_controls, operator="mean")}) == 1, "run once"
    assert len({c.key for c in random_controls}) == len(random_controls), "but distinguished"


def test_controls_differ_between_draws() -> None:
    random_controls = _select(
        build_cells(sources()), selection="random", operator="mean", layers="all"
    )
    half = [_neurons(c) for c in _select(random_controls, fraction=0.5)]
    assert len(set(half)) == GRID.draws


def test_exclusive_sets_avoid_every_other_class() -> None:
    s = sources()
    scores = s.headline.scores
    for cell in _select(build_cells(s), selection="exclusive"):
        assert cell.fraction is not None and cell.ranked_for is not None
        own = top(scores[cell.ranked_for], cell.fraction, s.blocks)
        assert not len(_neurons(cell) - own)
        for other in set(CLASSES) - {cell.ranked_for}:
            assert not len(_neurons(cell) & top(scores[other], cell.fraction, s.blocks))


def test_matched_controls_hold_as_many_of_every_tenth_of_norm() -> None:
    s = sources()
    for cell in _select(build_cells(s), selection="matched", operator="mean"):
        chosen = top(s.headline.scores[GLOBAL], cell.fraction or 0, s.blocks)
        for layer in s.blocks:
            tenths = s.statistics[layer].norm.argsort(kind="stable").reshape(10, -1)
            for tenth in tenths:
                held = [np.isin(tenth, x.by_layer[layer]).sum() for x in (chosen, _neurons(cell))]
                assert held[0] == held[1]


def test_keep_sets_are_complements() -> None:
    s = sources()
    cells = _select(build_cells(s), operator="mean", position="pooled", layers="all")
    for kept, chosen in (("keep_top", "top"), ("keep_random", "random")):
        for cell in _select(cells, selection=kept):
            wanted = {"ranking": cell.ranking, "ranked_for": cell.ranked_for, "draw": cell.draw}
            (random_control,) = _select(cells, selection=chosen, fraction=cell.fraction, **wanted)
            assert not len(_neurons(cell) & _neurons(random_control))
            assert (_neurons(cell) | _neurons(random_control)).counts == dict.fromkeys(
                (1, 2), WIDTH
            )


def test_budgets_are_norms_of_the_edits() -> None:
    s = sources()
    norm = float(np.linalg.norm(s.head.weight))
    for cell in _select(build_cells(s), space="weight"):
        assert cell.edit is not None and cell.strength is not None
        assert cell.edit.l2 == pytest.approx(cell.strength * norm, rel=1e-5)
        if cell.fraction is not None:
            assert cell.edit.n_changed == count(cell.fraction, FEATURES)


def test_random_columns_are_shared_between_budgets_and_differ_from_ranked() -> None:
    cells = _select(build_cells(sources()), operator="push", target="a", draw=0)
    columns = {np.flatnonzero(c.edit.weight[0]).tobytes() for c in cells if c.edit is not None}
    assert len(cells) == 2 and len(columns) == 1


def test_strengths_are_named_where_the_operator_needs_one() -> None:
    for cell in _select(build_cells(sources()), space="neuron"):
        assert (cell.strength is None) is (cell.operator != "noise")


def test_classes_without_fit_examples_are_not_ranked_for() -> None:
    s = sources()
    known = {k: v for k, v in s.headline.scores.items() if k != "b"}
    without = replace(s, rankings=s.rankings | {"probe": replace(s.headline, scores=known)})
    neuron = _select(build_cells(without), space="neuron")
    assert {c.ranked_for for c in neuron} == {None, GLOBAL, "a", "c"}
    assert {c.target for c in _select(build_cells(without), operator="shift")} == set(CLASSES)


def _with_layer(s: PlanInputs, layer: int, found: LayerStatistics) -> PlanInputs:
    rows = [found if m == layer else old for m, old in enumerate(s.statistics)]
    return replace(s, statistics=tuple(rows))


def test_constants_are_the_large_and_steady_neurons() -> None:
    ordinary = statistics(9)
    mean, spread = ordinary.mean.copy(), ordinary.spread.copy()
    mean[[3, 7, 11]], spread[[3, 7, 11]] = [30.0, -20.0, 25.0], [0.1, 0.1, 24.0]  # 11 unsteady
    odd = LayerStatistics(mean, spread, np.sqrt(mean**2 + spread**2))
    cells = list(constant_cells(_with_layer(sources(), 2, odd)))
    assert [(c.addresses, c.operator) for c in cells] == [
        ("2:block_output:3", "mean"),
        ("2:block_output:3", "zero"),
        ("2:block_output:7", "mean"),
        ("2:block_output:7", "zero"),
    ]
    assert {(c.k, c.layers, c.selection) for c in cells} == {(1, "2", "constant")}


def test_ordinary_neurons_are_no_constants() -> None:
    assert list(constant_cells(sources())) == []


def test_of_many_classes_those_with_most_examples_have_cells_of_their_own() -> None:
    """Two of three, the benign one among them whatever its support; the third has none."""
    grid = GRID.model_copy(update={"most_classes": 2, "edits": tuple(WEIGHT_CELLS)})
    s = replace(sources(grid), support=(5, 30, 9), benign="a")
    assert s.own == ((0, "a"), (1, "b")) and s.others == ("c",)
    cells = build_cells(s)
    assert {c.ranked_for for c in cells} == {None, GLOBAL, "a", "b"}
    assert {c.target for c in cells if c.operator != "row_swap"} == {None, "a", "b"}
    assert replace(s, benign=None).own == ((1, "b"), (2, "c"))
    assert replace(s, support=(), benign=None).own == ((0, "a"), (1, "b")), "none counted"
    assert len(replace(s, grid=GRID).own) == 3


def test_labels_are_counted_by_the_examples_that_have_them() -> None:
    """Strata say nothing of how many examples have a label."""
    sets, strata = np.array([0b101, 0b100, 0b011, 0b100]), np.array([0, 2, 1, 2])
    assert support(strata, sets, np.array([0, 1, 3]), 3) == (1, 0, 3)
    assert support(strata, None, np.array([0, 1, 3]), 3) == (1, 0, 2)
