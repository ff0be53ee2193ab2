"""Input cells: as many as the grid says, each with an action of its own."""

from dataclasses import replace

import numpy as np
import pytest

from synapse_audit.artifacts import Cell
from synapse_audit.errors import UsageError
from synapse_audit.plan import TRIMMED_FIRST, build_cells
from synapse_audit.plan.inputs import (
    ABSOLUTE,
    COMMONEST,
    DELETION_DRAWS,
    MANY_CLASSES,
    PAPER_EPSILONS,
    PAPER_NOISE,
    aims,
    input_cells,
)

from .plan_inputs import CLASSES, GRID, QUICK, STANDARD, sources

EVERY = GRID.model_copy(
    update={
        "attacks": ("fgsm", "pgd", "noise", "deletion"),
        "epsilons": (0.1, 0.2, 0.3, 0.6),
        "embedding_noise": (0.1, 0.5),
        "deletions": (1, 3),
    }
)


def _cells(**changes: object) -> list[Cell]:
    return list(input_cells(sources(EVERY.model_copy(update=changes))))


def _of(cells: list[Cell], operator: str) -> list[Cell]:
    return [cell for cell in cells if cell.operator == operator]


def test_cells_per_attack() -> None:
    cells = _cells(draws=20)
    assert [c.strength for c in _of(cells, "fgsm")] == [0.1, 0.2, 0.3, 0.6]
    assert [c.strength for c in _of(cells, "noise")] == [0.1, 0.5]
    pgd = [(c.strength, c.target) for c in _of(cells, "pgd")]
    assert pgd == [(0.3, None), (0.6, None), *((0.3, name) for name in CLASSES)]
    gone = [(c.strength, c.selection, c.draw) for c in _of(cells, "deletion")]
    random_controls = [("random", draw) for draw in range(DELETION_DRAWS)]
    assert gone == [(n, *kind) for n in (1.0, 3.0) for kind in [("top", None), *random_controls]]
    assert {(c.space, c.site, c.position, c.layers, c.k) for c in cells} == {
        ("input", "embeddings", None, None, None)
    }


def test_every_cell_does_something_of_its_own() -> None:
    cells = _cells(paper=True)
    assert len({cell.action for cell in cells}) == len(cells)


def test_one_epsilon_is_enough() -> None:
    pgd = [(c.strength, c.target) for c in _of(_cells(epsilons=(0.2,)), "pgd")]
    assert pgd == [(0.2, None), *((0.2, name) for name in CLASSES)]


def test_the_paper_s_sizes_are_absolute() -> None:
    plain, paper = _cells(), _cells(paper=True)
    more = [c for c in paper if c.unit == ABSOLUTE]
    assert tuple(c.strength for c in _of(more, "fgsm")) == PAPER_EPSILONS
    assert tuple(c.strength for c in _of(more, "noise")) == PAPER_NOISE
    assert [c for c in paper if c not in more] == plain


def test_with_many_classes_only_the_commonest_are_aimed_at() -> None:
    s = sources(EVERY)
    assert aims(s) == CLASSES
    names = tuple(f"c{i}" for i in range(MANY_CLASSES + 1))
    head = replace(s.head, predicted=np.repeat([7, 2, 5, 1], [14, 9, 5, 2]))
    crowd = replace(s, classes=names, head=head)
    assert aims(crowd) == ("c7", "c2", "c5")[:COMMONEST]


def test_presets_and_trimming() -> None:
    assert not [c for c in build_cells(sources(QUICK)) if c.space == "input"]
    cells = [c for c in build_cells(sources(STANDARD)) if c.space == "input"]
    assert {c.operator for c in cells} == {"fgsm", "pgd", "noise", "deletion"}
    assert len(cells) == 4 + 4 + (2 + len(CLASSES)) + 3 * (1 + DELETION_DRAWS)
    assert all(TRIMMED_FIRST["attacks on the input"](c) for c in cells)
    assert not any(TRIMMED_FIRST["attacks on the input"](c) for c in build_cells(sources()))


def test_an_unknown_attack_is_named() -> None:
    with pytest.raises(UsageError, match=r"attack 'pdg' given; .*pgd"):
        _cells(attacks=("pdg",))
