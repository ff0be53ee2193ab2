"""Which stored outcomes a run that goes on may read back, and in what format a first phase runs."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from synapse_audit.artifacts import Cell, Plan
from synapse_audit.neurons import NeuronSet
from synapse_audit.pipeline.stages import sweep as stage
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


@pytest.mark.parametrize(
    ("asked", "able", "exact", "runs_in", "says"),
    [
        ("int8", True, False, "int8", False),
        ("int8", False, False, None, True),
        ("int8", True, True, None, False),
        ("bfloat16", True, False, "bfloat16", False),
        ("bfloat16", False, False, None, True),
        ("float32", True, False, None, False),
    ],
)
def test_the_manifest_names_the_format_that_a_first_phase_ran_in(
    monkeypatch: pytest.MonkeyPatch,
    asked: Any,
    able: bool,
    exact: bool,
    runs_in: str | None,
    says: bool,
) -> None:
    """Who does not get the format that was asked for is told."""
    notes: list[str] = []
    manifest: dict[str, str] = {}
    grid = SimpleNamespace(first_phase=asked)
    run: Any = SimpleNamespace(
        folder=SimpleNamespace(update_manifest=lambda **new: manifest.update(new)),
        config=SimpleNamespace(grid=grid),
        progress=SimpleNamespace(note=notes.append),
    )
    prepared: Any = SimpleNamespace(chosen=SimpleNamespace(all_exact=exact))
    classifier = SimpleNamespace(collate=lambda encoded, rows: {})
    engine: Any = SimpleNamespace()
    subject: Any = SimpleNamespace(classifier=classifier, encoded=None, evaluated=[0, 1])
    wanted = asked if asked != "float32" else None
    monkeypatch.setattr(stage, "first_phase_format", lambda config, engine: wanted)
    monkeypatch.setattr(stage, "coarse", lambda engine, name: nullcontext(name))
    monkeypatch.setattr(stage, "can_answer", lambda engine, batch: able)
    with stage._first_phase(run, subject, engine, prepared) as cheap:
        assert cheap == (runs_in or engine)
    assert manifest.get("first_phase") == runs_in
    assert bool(notes) == says
