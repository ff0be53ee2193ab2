"""Which stored outcomes a run that goes on may read back."""

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from synapse_audit.artifacts import Cell, Plan
from synapse_audit.neurons import NeuronSet
from synapse_audit.pipeline.stages.sweep import _finished


def _cell(neuron: int) -> Cell:
    return Cell("neuron", "mean", "block_output", neurons=NeuronSet.of({1: [neuron]}))


@pytest.mark.parametrize(("planned", "finished"), [((0, 1), True), ((1,), True), ((0, 2), False)])
def test_outcomes_of_other_experiments_are_not_taken_for_those_of_the_plan(
    planned: tuple[int, ...], finished: bool
) -> None:
    """Rounding on another machine makes other experiments: those were a KeyError."""
    cells = tuple(map(_cell, planned))
    plan = Plan(cells, {cell.action: "suffix" for cell in cells})
    table = pd.DataFrame({"action": [_cell(0).action, _cell(1).action]})
    notes: list[str] = []
    folder = SimpleNamespace(written=lambda name: [], read_table=lambda name: table)
    run: Any = SimpleNamespace(
        has=lambda *names: True, folder=folder, progress=SimpleNamespace(note=notes.append)
    )
    assert _finished(run, plan) is finished
    assert ["were not run in this folder: 1;" in note for note in notes] == [True] * (not finished)
