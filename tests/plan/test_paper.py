"""Sets across layers with random controls of their own, and the settings that the paper names."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from synapse_audit.artifacts import GLOBAL, Cell
from synapse_audit.config import PRESETS
from synapse_audit.neurons import NeuronSet, exclusive, mass_across, random_draw, top_across
from synapse_audit.plan import PlanInputs, build_cells
from synapse_audit.plan.paper import RANDOM_CONTROLS, SETTINGS, UNMATCHED_DRAWS

from .plan_inputs import CLASSES, GRID, LAYERS, WIDTH, sources

PAPER = GRID.model_copy(
    update={"rankings": ("paper", "probeless"), "paper": True, "operators": ("mean", "zero")}
)
TOTAL = LAYERS * WIDTH


def across(grid=PAPER) -> PlanInputs:
    """The same with a ranking across layers in which block 2 leads."""
    s = sources(grid)
    generator = np.random.default_rng(7)
    scores = {
        name: [np.zeros(WIDTH), generator.random(WIDTH), 1.5 * generator.random(WIDTH)]
        for name in (GLOBAL, *CLASSES)
    }
    ranking = replace(s.rankings["probe"], method="paper", scores=scores, across=True)
    return replace(s, rankings=s.rankings | {"paper": ranking})


@pytest.fixture(scope="module")
def s() -> PlanInputs:
    return across()


@pytest.fixture(scope="module")
def cells(s: PlanInputs) -> tuple[Cell, ...]:
    return build_cells(s)


def _select(cells: tuple[Cell, ...], **wanted: object) -> list[Cell]:
    return [c for c in cells if all(getattr(c, k) == v for k, v in wanted.items())]


def _neurons(cell: Cell) -> NeuronSet:
    assert cell.neurons is not None
    return cell.neurons


HEADLINE = {"operator": "zero", "layers": "all", "position": "pooled", "setting": None}


def test_the_authors_control_is_drawn_over_all_blocks(
    s: PlanInputs, cells: tuple[Cell, ...]
) -> None:
    drawn = _select(cells, group="paper_control")
    assert len(drawn) == 2 * len(PAPER.fractions) * min(PAPER.draws, UNMATCHED_DRAWS)
    assert {cell.selection for cell in drawn} == {"random"}
    counts = [_neurons(cell).counts for cell in drawn]
    assert all(sum(c.values()) == round(cell.fraction * TOTAL)
               for c, cell in zip(counts, drawn, strict=True))  # fmt: skip
    # Nested over fractions, and not the same number in each layer every time.
    first = [c for c in drawn if c.draw == 0 and c.operator == "zero"]
    sets = [_neurons(c) for c in sorted(first, key=lambda c: c.fraction)]
    assert all(len(a - b) == 0 for a, b in pairwise(sets))
    assert any(len(set(c.values())) > 1 for c in counts)


def test_sets_are_taken_over_all_layers_at_once(s: PlanInputs, cells: tuple[Cell, ...]) -> None:
    for fraction in PAPER.fractions:
        (cell,) = _select(
            cells,
            **HEADLINE,
            ranking="paper",
            ranked_for=GLOBAL,
            selection="top",
            fraction=fraction,
        )
        assert len(_neurons(cell)) == round(fraction * TOTAL)
        assert _neurons(cell) == top_across(s.rankings["paper"].scores[GLOBAL], fraction, (1, 2))
        assert _neurons(cell).counts[2] > _neurons(cell).counts.get(1, 0)


def test_each_ranking_has_controls_of_its_own_counts(
    s: PlanInputs, cells: tuple[Cell, ...]
) -> None:
    for fraction in PAPER.fractions:
        drawn = _select(cells, **HEADLINE, selection="random", fraction=fraction)
        own = [c for c in drawn if c.ranking == "paper"]
        shared = [c for c in drawn if c.ranking is None]
        (chosen,) = _select(
            cells,
            **HEADLINE,
            ranking="paper",
            ranked_for=GLOBAL,
            selection="top",
            fraction=fraction,
        )
        assert [c.draw for c in own] == [c.draw for c in shared] == list(range(PAPER.draws))
        for cell in own:
            counts = _neurons(chosen).counts
            assert _neurons(cell) == random_draw(s.widths, counts, cell.draw or 0, s.seed)
        assert all(_neurons(c).counts == s.counts(fraction, (1, 2)) for c in shared)


def test_without_a_ranking_within_layers_there_are_no_shared_controls() -> None:
    alone = across(PAPER.model_copy(update={"rankings": ("paper",), "position_fractions": ()}))
    cells = build_cells(alone)
    for selection in ("random", "keep_random"):
        found = _select(cells, **HEADLINE, selection=selection)
        assert {c.ranking for c in found} == {"paper"}


def test_kept_sets_are_complements_with_controls(cells: tuple[Cell, ...]) -> None:
    for kept, chosen in (("keep_top", "top"), ("keep_random", "random")):
        found = _select(cells, **HEADLINE, ranking="paper", ranked_for=GLOBAL, selection=kept)
        assert found
        for cell in found:
            named = {"fraction": cell.fraction, "draw": cell.draw, "ranking": "paper"}
            (random_control,) = _select(
                cells, **HEADLINE, **named, selection=chosen, ranked_for=GLOBAL
            )
            assert len(_neurons(cell)) + len(_neurons(random_control)) == TOTAL
            assert not len(_neurons(cell) & _neurons(random_control))


def test_embeddings_are_not_ranked(cells: tuple[Cell, ...]) -> None:
    embedded = _select(cells, layers="0", selection="top")
    assert {c.ranking for c in embedded} == {"probeless"}
    assert _select(cells, layers="1", selection="top", ranking="paper")


def test_class_sets_go_over_all_layers_too(s: PlanInputs, cells: tuple[Cell, ...]) -> None:
    scores = s.rankings["paper"].scores
    for name in CLASSES:
        for cell in _select(cells, **HEADLINE, ranking="paper", ranked_for=name, selection="top"):
            assert _neurons(cell) == top_across(scores[name], cell.fraction or 0, (1, 2))
    by_class = {name: scores[name] for name in CLASSES}
    counted = _select(cells, **HEADLINE, selection="exclusive")
    assert counted
    for cell in counted:
        wanted = exclusive(
            by_class, cell.ranked_for or "", cell.fraction or 0, (1, 2), choose=top_across
        )
        assert _neurons(cell) == wanted


def test_settings_are_those_of_the_paper(s: PlanInputs, cells: tuple[Cell, ...]) -> None:
    found = _select(cells, group="paper_setting", selection="top")
    assert len(found) == len(SETTINGS) == 1 + 1 + 5 + 3
    noise = {(c.strength, c.fraction, c.position) for c in found if c.operator == "gaussian"}
    assert noise == {(0.9, 0.6, "pooled"), (0.1, 0.1, "all")} | {
        (sigma, 1.0, "pooled") for sigma in (0.02, 0.05, 0.1, 0.2, 0.4)
    }
    scaled = {round(c.strength or 0, 9) for c in found if c.operator == "scale"}
    assert scaled == {0.9, 0.8, 0.6}, "1 − α"
    for cell in found:
        assert len(_neurons(cell)) == round((cell.fraction or 0) * TOTAL)
        random_controls = _select(
            cells,
            operator=cell.operator,
            strength=cell.strength,
            setting=cell.setting,
            selection="random",
        )
        assert len(random_controls) == (
            0 if cell.fraction == 1 else min(RANDOM_CONTROLS, PAPER.draws)
        )
        assert all(_neurons(t).counts == _neurons(cell).counts for t in random_controls)


def test_sets_by_mass_are_named_apart(s: PlanInputs, cells: tuple[Cell, ...]) -> None:
    found = _select(cells, selection="exclusive_mass")
    assert {(c.operator, c.ranked_for) for c in found} == {
        (o, n) for o in ("zero", "mean") for n in CLASSES
    }
    by_class = {name: s.rankings["paper"].scores[name] for name in CLASSES}
    for cell in found:
        wanted = exclusive(by_class, cell.ranked_for or "", 0.1, (1, 2), choose=mass_across)
        assert _neurons(cell) == wanted
        assert (cell.group, cell.setting) == ("paper_mass", "0.1 of the weight mass")
        assert cell.fraction == pytest.approx(len(wanted) / TOTAL)


def test_nothing_of_the_paper_unless_asked_for() -> None:
    plain = build_cells(across(PAPER.model_copy(update={"paper": False})))
    assert not [c for c in plain if c.setting]
    assert not _select(plain, selection="exclusive_mass")


def test_the_preset_is_the_paper_s_grid() -> None:
    grid = PRESETS["paper"]
    percent = [2.5, 5, 7.5, 10, 12.5, 15, 17.5, 20, 25, 30, 35, 40, 45, 50, 65, 75, 80, 95]
    assert [100 * f for f in grid.fractions] == pytest.approx(percent)
    assert grid.rankings == ("paper", "probeless")
    assert grid.constants == (8, 9, 10, 11, 12)
    assert {"fgsm", "noise"} <= set(grid.attacks)
    cells = build_cells(across(grid))
    epsilons = {c.strength for c in _select(cells, operator="fgsm")}
    assert {0.02, 0.15} <= epsilons
    assert {0.02, 1.5} <= {c.strength for c in _select(cells, space="input", operator="noise")}
    assert _select(cells, operator="paper_push")
