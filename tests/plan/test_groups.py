"""Every cell has one purpose, and every purpose is read by some finding."""

from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from findings.evidence import make_evidence, silence
from groups import group_of

from synapse_audit.artifacts import GLOBAL, REMOVAL_GROUPS, Erasure, Evidence, Group, Ranking
from synapse_audit.config import PRESETS, Grid
from synapse_audit.effects.controls import TESTED
from synapse_audit.findings import FINDINGS
from synapse_audit.interventions.edits import ChosenFlips, Flip, Part
from synapse_audit.neurons.addresses import parse_addresses
from synapse_audit.plan import (
    AttentionHeads,
    Direction,
    NamedNeurons,
    PlanInputs,
    SiteInputs,
    build_cells,
)
from synapse_audit.plan.cells import GROUPS

from .plan_inputs import CLASSES, GRID, LAYERS, WIDTH, sources, statistics
from .test_cells import _with_layer

pytestmark = pytest.mark.unchecked

EVERYTHING = PRESETS["standard"].model_copy(
    update={
        "fractions": (0.25, 0.5),
        "rankings": ("probe", "paper"),
        "layer_fractions": (0.5,),
        "draws": 2,
        "sites": ("mlp_output",),
        "paper": True,
        "faults": 8,
        "without": (),
    }
)
"""A grid that asks for every group."""


def everything(grid: Grid = EVERYTHING) -> PlanInputs:
    """Sources that lack nothing a group needs."""
    s = sources(grid)
    generator = np.random.default_rng(3)
    weights = {"w": generator.normal(size=(4, 5)).astype(np.float32)}
    part = Part("head", None, weights)
    chosen = ChosenFlips("searched", "fp32", "any", "head", None, None, (Flip("w", 0, 31),))
    steady = statistics(9)
    mean, spread = steady.mean.copy(), steady.spread.copy()
    mean[3], spread[3] = 30.0, 0.1
    odd = replace(steady, mean=mean, spread=spread)
    names = (GLOBAL, *CLASSES)
    extra = {
        name: Ranking(
            name,
            {n: [generator.random(WIDTH) for _ in range(LAYERS + 1)] for n in names},
            across=name == "paper",
        )
        for name in ("paper", "conductance")
    }
    given = parse_addresses(["1:0-3"])["block_output"]
    one = np.eye(1, WIDTH, dtype=np.float32)
    erasure = Erasure(one, one.T, steady.mean)
    return replace(
        _with_layer(s, 2, odd),
        rankings={**s.rankings, **extra},
        parts=(part,),
        every=(part,),
        flips=(chosen,),
        sites={"mlp_output": SiteInputs(s.statistics, s.headline)},
        attention=AttentionHeads.of(SiteInputs(s.statistics, s.headline), 4),
        directions=(Direction(1, "leace", None, "direction", None, erasure),),
        given={"block_output": NamedNeurons(given, s.widths)},
    )


def test_every_group_has_its_cells_and_every_cell_its_group() -> None:
    found = {cell.group for cell in build_cells(everything())}
    assert found == set(GROUPS) == set(get_args(Group))


def test_the_group_says_what_the_columns_say() -> None:
    cells = build_cells(everything())
    for cell in cells:
        implied = group_of(cell)
        assert cell.group == implied or {cell.group, implied} <= set(REMOVAL_GROUPS)


def test_a_group_is_part_of_no_identity() -> None:
    cell = build_cells(sources())[0]
    other = replace(cell, group="keep")
    assert (cell.key, cell.action) == (other.key, other.action)


def test_a_key_says_what_is_meant_not_in_which_bits() -> None:
    """As between one thread and two: the head's weights differ in their last bit."""
    s = everything()
    nudged = replace(s.head, weight=np.nextafter(s.head.weight, np.float32(np.inf)))
    cells, others = build_cells(s), build_cells(replace(s, head=nudged))
    assert [cell.key for cell in cells] == [cell.key for cell in others]
    moved = [a for a, b in zip(cells, others, strict=True) if a.action != b.action]
    assert moved and all(cell.space == "weight" for cell in moved)


@pytest.mark.parametrize("headline", ["probe", "paper"])
def test_a_key_means_one_action(headline: str) -> None:
    """Also where an operator is swept and run besides, by a ranking across layers."""
    changes = {"operators": ("mean", "scale"), "other_operators": ("scale",)}
    s = everything(EVERYTHING.model_copy(update=changes))
    s = replace(s, grid=s.grid.model_copy(update={"rankings": (headline, "probeless")}))
    actions: dict[str, set[str]] = {}
    for cells in GROUPS.values():
        for cell in cells(s):
            actions.setdefault(cell.key, set()).add(cell.action)
    assert all(len(found) == 1 for found in actions.values())


@pytest.mark.parametrize(
    ("operators", "compared"),
    [
        (("mean",), ("probe", "conductance")),
        (("mean", "scale"), ("probeless",)),
        (("scale", "zero"), ()),
    ],
)
def test_only_groups_that_are_read_together_share_cells(
    operators: tuple[str, ...], compared: tuple[str, ...]
) -> None:
    changes = {"operators": operators, "compared": compared, "other_operators": ("mean", "scale")}
    s = everything(EVERYTHING.model_copy(update=changes))
    owners: dict[str, set[Group]] = {}
    for group, cells in GROUPS.items():
        for cell in cells(s):
            owners.setdefault(cell.key, set()).add(group)
    shared = [groups for groups in owners.values() if len(groups) > 1]
    assert shared, "nothing was checked"
    assert all(groups <= set(REMOVAL_GROUPS) for groups in shared)
    assert len(build_cells(s)) == len(owners)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Group, ...]]]:
    """What findings ask for while the test runs."""
    seen: list[tuple[Group, ...]] = []
    cells = Evidence.cells

    def spy(evidence: Evidence, *groups: Group) -> pd.DataFrame:
        seen.append(groups)
        return cells(evidence, *groups)

    monkeypatch.setattr(Evidence, "cells", spy)
    yield seen


def test_every_group_is_read_by_some_finding(asked: list[tuple[Group, ...]]) -> None:
    labels = np.repeat([0, 1, 2], 15)
    evidence = make_evidence(
        labels,
        [(silence("top", 0.5), labels), (silence("random", 0.5, draw=0), labels)],
        grid=GRID.model_copy(update={"paper": True, "rankings": ("paper",)}),
    )
    alarms = replace(evidence.outcomes, benign=np.full((2, len(labels)), 0.5, dtype=np.float32))
    for finding in FINDINGS.values():
        finding(replace(evidence, benign="a", outcomes=alarms))
    read = {group for groups in asked for group in groups} | set(TESTED)
    assert read == set(get_args(Group))


def test_whoever_reads_one_group_of_removal_reads_them_all(asked: list[tuple[Group, ...]]) -> None:
    labels = np.repeat([0, 1], 15)
    evidence = make_evidence(labels, [(silence("top", 0.5), labels)])
    for finding in FINDINGS.values():
        finding(evidence)
    some = [set(groups) for groups in asked if set(groups) & set(REMOVAL_GROUPS)]
    assert some and all(set(REMOVAL_GROUPS) <= groups for groups in some)
