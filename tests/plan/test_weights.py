"""Edits of weights: every kind with its random control, the same size for both, the paper's where
asked."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from synapse_audit.artifacts import GLOBAL, Cell, HeadEdit, ParameterEdit
from synapse_audit.interventions.edits import ATTENTION, GAIN, HEAD, MLP, Part
from synapse_audit.plan import PlanInputs
from synapse_audit.plan.weights import (
    BLOCK_SIGMAS,
    FEW_CLASSES,
    RANDOM_CONTROLS,
    WEIGHT_CELLS,
    edited_cells,
    paper_cells,
    ranked_columns,
)

from .plan_inputs import CLASSES, FEATURES, GRID, LAYERS, WIDTH, sources

PUSHES = ("balanced", "rival", "linf")


def _sources(*edits: str, paper: bool = False, parts: bool = False) -> PlanInputs:
    s = sources(GRID.model_copy(update={"edits": edits, "paper": paper}))
    return replace(s, parts=_parts()) if parts else s


def _parts() -> tuple[Part, ...]:
    generator = np.random.default_rng(3)

    def weight(*shape: int) -> np.ndarray:
        return generator.normal(size=shape).astype(np.float32)

    found = [Part(HEAD, None, {"head": weight(3, FEATURES)})]
    for layer in (1, LAYERS):
        found.append(Part(ATTENTION, layer, {f"{layer}.attention": weight(WIDTH, WIDTH)}))
        found.append(Part(MLP, layer, {f"{layer}.up": weight(8, 4), f"{layer}.down": weight(4, 8)}))
        found.append(Part(GAIN, layer, {f"{layer}.gain": weight(WIDTH)}))
    return tuple(found)


def _cells(s: PlanInputs, *operators: str) -> list[Cell]:
    cells = [*edited_cells(s), *paper_cells(s)]
    return [cell for cell in cells if not operators or cell.operator in operators]


def _only(cells: Iterable[Cell], **wanted: object) -> list[Cell]:
    return [c for c in cells if all(getattr(c, k) == v for k, v in wanted.items())]


@pytest.mark.parametrize("name", [*PUSHES, "sparse"])
def test_every_push_has_controls_of_its_size(name: str) -> None:
    cells = _cells(_sources(name), name)
    tops = _only(cells, selection="top")
    assert tops and {c.target for c in tops} == set(CLASSES)
    for cell in tops:
        random_controls = _only(
            cells, selection="random", strength=cell.strength, target=cell.target
        )
        assert len(random_controls) == RANDOM_CONTROLS
        for random_control in random_controls:
            assert isinstance(cell.edit, HeadEdit) and isinstance(random_control.edit, HeadEdit)
            assert random_control.edit.n_changed == cell.edit.n_changed
            norm = np.inf if name in ("linf", "sparse") else 2
            sizes = [
                np.linalg.norm(c.edit.weight.reshape(-1), norm) for c in (cell, random_control)
            ]
            assert sizes[0] == pytest.approx(sizes[1], rel=1e-5)


def test_ranked_columns_are_the_best_ones_best_first() -> None:
    s = _sources()
    scores = s.column_scores["b"][0]
    assert ranked_columns(s, "b", 0.25).tolist() == np.argsort(-scores)[:5].tolist()


def test_every_pair_of_rows_is_swapped_and_each_edit_runs_once() -> None:
    cells = _cells(_sources("row_swap"), "row_swap")
    pairs = {(c.source, c.target) for c in cells}
    assert pairs == {(a, b) for a in CLASSES for b in CLASSES if a != b}
    assert len({c.action for c in cells}) == len(pairs) / 2


def test_many_classes_are_swapped_with_their_rivals_only() -> None:
    s = _sources("row_swap")
    names = tuple(f"c{i}" for i in range(FEW_CLASSES + 2))
    generator = np.random.default_rng(5)
    weight = generator.normal(size=(len(names), FEATURES)).astype(np.float32)
    scores = dict.fromkeys(names, s.column_scores["a"])
    many = replace(
        s, classes=names, head=replace(s.head, weight=weight, bias=None), column_scores=scores
    )
    pairs = {(c.source, c.target) for c in WEIGHT_CELLS["row_swap"](many)}
    assert {a for a, _ in pairs} == set(names) and len(pairs) <= 2 * len(names)


def test_noise_falls_on_ranked_and_random_columns_and_on_blocks() -> None:
    cells = _cells(_sources("gaussian_fault", parts=True), "gaussian_fault")
    head = _only(cells, site="head_weight")
    for top in _only(head, selection="top"):
        (random_control,) = _only(head, selection="random", strength=top.strength, draw=top.draw)
        assert top.edit is not None and random_control.edit is not None
        assert top.edit.n_changed == random_control.edit.n_changed == 3 * FEATURES // 5
    block = _only(cells, site="block_weight")
    assert len(block) == len(BLOCK_SIGMAS) * 2 * 2 * min(3, RANDOM_CONTROLS)
    assert {c.layers for c in block} == {"1", "2"}
    names = {c.edit.changes[0].name for c in block if isinstance(c.edit, ParameterEdit)}
    assert names == {"1.attention", "2.attention", "1.down", "2.down"}


def test_gains_are_scaled_in_the_top_neurons_of_their_own_layer() -> None:
    s = _sources("gain", parts=True)
    cells = _only(_cells(s, "gain"), selection="top", strength=0.0, fraction=0.5, layers="2")
    ((cell,), order) = cells, np.argsort(-s.headline.scores[GLOBAL][2])
    assert isinstance(cell.edit, ParameterEdit)
    assert set(cell.edit.changes[0].index) == set(order[: WIDTH // 2])
    assert not cell.edit.changes[0].after.any()


def test_the_papers_cells_come_only_when_asked_for() -> None:
    assert not _cells(_sources(), "paper_push")
    cells = _cells(_sources(paper=True), "paper_push", "gaussian_fault")
    assert len({(c.setting, c.unit) for c in cells}) == 7
    for cell in _only(cells, setting="paper malware a", selection="top"):
        assert cell.edit is not None and cell.edit.n_changed == 3 * FEATURES * 0.25
        random_controls = _only(cells, setting=cell.setting, target=cell.target, selection="random")
        assert len(random_controls) == RANDOM_CONTROLS
    assert not _only(cells, setting="paper malware c", selection="random")


def test_the_papers_cap_on_columns_holds() -> None:
    s = _sources(paper=True)
    generator = np.random.default_rng(0)
    head = replace(
        s.head,
        weight=generator.normal(size=(3, 768)).astype(np.float32),
        head_input=generator.normal(size=(30, 768)).astype(np.float32),
    )
    scores = {name: [generator.normal(size=768)] for name in CLASSES}
    wide = replace(s, head=head, column_scores=scores)
    for cell in _only(_cells(wide, "paper_push"), setting="paper malware a"):
        assert cell.edit is not None and cell.edit.n_changed == 120 * 3


def test_every_edit_is_named_and_budgeted() -> None:
    for cell in _cells(_sources(*WEIGHT_CELLS, paper=True, parts=True)):
        assert cell.edit is not None
        assert cell.edit.n_changed > 0 and cell.edit.l2 > 0 and cell.edit.linf > 0
