"""Single pairs of cell and example, many cells in one stack, give what the cells alone give."""

from typing import Any

import numpy as np
import pytest
import torch

from synapse_audit.interventions.operators import OPERATORS
from synapse_audit.model import HEAD_INPUT, INNER
from synapse_audit.plan import FULL
from synapse_audit.sweep import pairs
from synapse_audit.sweep.clean import BlockCall, CleanStates, _per_example
from synapse_audit.sweep.pairs import run_pairs
from synapse_audit.sweep.runners import RUNNERS

from .rigs import Rig, silence

TOLERANCE = 1e-4
CPU = torch.device("cpu")
IDS = [0, 3, 4, 17, 31]
SETS: list[dict[int, list[int]]] = [{0: IDS}, {1: IDS}, {2: IDS, 3: [1]}, {1: [2], 2: IDS, 3: IDS}]


def _drawn(n_cells: int, n_examples: int) -> np.ndarray:
    wanted = np.random.default_rng(0).random((n_cells, n_examples)) < 0.4
    wanted[1] = False
    wanted[2] = True
    return wanted


def _gap(rig: Rig, cells: list[Any]) -> float:
    """Largest logit difference to plain hooks, one cell at a time."""
    wanted = _drawn(len(cells), 7)
    with rig.engine() as engine, rig.classifier.unharmed():
        clean = rig.clean(engine, rig.rows[:7].tolist())
        if not clean.rows_alone:
            pytest.skip("no row runs alone in this family, so no cell is estimated")
        reference = RUNNERS[FULL](engine, clean, cells)[torch.from_numpy(wanted)]
        return (run_pairs(engine, clean, cells, wanted) - reference).abs().max().item()


@pytest.mark.parametrize("operator", ["noise", "resample", "clamp", "mean"])
def test_pairs_agree_with_plain_hooks_in_every_family(family_rig: Rig, operator: str) -> None:
    assert _gap(family_rig, [silence(operator, chosen) for chosen in SETS]) <= TOLERANCE


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_every_operator(rig: Rig, operator: str) -> None:
    assert _gap(rig, [silence(operator, chosen) for chosen in SETS]) <= TOLERANCE


@pytest.mark.parametrize("site", [site for site in INNER if site != HEAD_INPUT])
def test_every_site(rig: Rig, site: str) -> None:
    sets = [{m: ids for m, ids in chosen.items() if m} for chosen in SETS[1:]]
    cells = [silence("zero", chosen, site=site) for chosen in (*sets, {1: [5]})]
    assert _gap(rig, cells) <= TOLERANCE


def test_small_stacks_give_the_same(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "TOKENS_PER_BATCH", 40)
    assert _gap(rig, [silence("mean", chosen) for chosen in SETS]) <= TOLERANCE


def test_what_belongs_to_an_example_is_separated_from_what_all_share() -> None:
    def shared(*shape: int) -> bool:
        return not _per_example(torch.zeros(shape), 4, 6)

    assert not shared(4, 1, 6, 6) and not shared(4, 6) and not shared(4, 6, 8)
    assert shared(1, 1, 6, 6) and shared(6, 8) and shared(4) and shared(1, 6, 8)
    assert not _per_example(torch.zeros(4, 8), 4, 6)  # a table of four tokens
    call = BlockCall((torch.zeros(4, 6), None), {"mask": (torch.ones(4, 1, 6, 6), 3)}, CPU)
    doubled = call.map(lambda value: value * 2)
    assert doubled.keywords["mask"][0].max() == 2 and doubled.keywords["mask"][1] == 3
    assert doubled.arguments[1] is None


def test_taking_rows_leaves_the_other_layers_behind(rig: Rig) -> None:
    with rig.engine() as engine:
        clean: CleanStates = rig.clean(engine, rig.rows[:5].tolist())
    rows = torch.tensor([3, 3, 0])
    taken = clean.take(rows, 1)
    assert torch.equal(taken.layers[1], clean.layers[1][rows]) and taken.layers[2].numel() == 0
    assert torch.equal(taken.pooled(1), clean.pooled(1)[rows])
    assert taken.examples.tolist() == clean.examples[rows].tolist()
    assert taken.rows_alone
