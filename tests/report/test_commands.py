"""Commands that the report offers are ones that the command line takes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from synapse_audit.advice import Recommendation, as_table
from synapse_audit.advice.gains import MEASURE_IT
from synapse_audit.advice.recommendation import Gain
from synapse_audit.cli.main import app
from synapse_audit.config import PRESETS, AuditConfig
from synapse_audit.report import SECTIONS
from synapse_audit.report.cover.steps import steps
from synapse_audit.report.kit.commands import run_command, run_path, with_path
from synapse_audit.summary import Figure

from .fakes import FakeResult


def command(config: dict[str, Any], **changes: Any) -> str:
    return run_command(FakeResult(manifest={"config": config}), **changes)


def test_options_at_their_defaults_are_left_out() -> None:
    config = {"model": "m", "data": "d.csv", "preset": "standard", "seed": 0, "seeds": 1}
    assert command(config) == "synapse-audit run m --data d.csv"


def test_what_differs_stands_in_the_command_and_is_quoted() -> None:
    config = {
        "model": "my model",
        "data": "d.csv",
        "preset": "quick",
        "exact": True,
        "merge_adapter": False,
        "lower_case": True,
        "neurons": ["4:5", "6:7"],
        "columns": ["a", "b"],
        "output_layer": "classifier",
    }
    parts = shlex.split(command(config))
    assert parts[:5] == ["synapse-audit", "run", "my model", "--data", "d.csv"]
    assert parts.count("--neurons") == 2
    assert {"--exact", "--no-merge", "--lower-case", "a,b", "--head", "quick"} <= set(parts)
    assert not {"True", "False"} & set(parts), "a switch takes no value"


def test_a_change_gets_a_folder_of_its_own() -> None:
    config = {"model": "m", "data": "d.csv", "preset": "quick"}
    assert command(config, preset="standard").endswith("--preset standard")
    assert command(config, seeds=3).endswith("--seeds 3 --out runs/seeds")


def test_the_bundled_classifier_needs_no_names() -> None:
    config = {"model": "/somewhere/synapse_audit/demo/model", "data": "x", "fit_data": "y"}
    assert command(config | {"preset": "quick"}) == "synapse-audit run --preset quick"


def test_without_a_manifest_the_names_are_left_open() -> None:
    assert run_command(FakeResult()) == "synapse-audit run MODEL --data FILE"


@pytest.mark.parametrize("name", ["quick", "paper"])
def test_the_command_line_knows_every_option(name: str) -> None:
    values: dict[str, Any] = {"columns": ["a"], "neurons": ["1:2"], "merge_adapter": False}
    plain = {"model", "data", "preset", "grid", "resamples", *values}
    fields = AuditConfig(model="m", data="d.csv", grid=PRESETS["quick"]).flat()
    given = {field: "1" for field in fields if field not in plain}
    text = command({"model": "m", "data": "d.csv", "preset": name, **given, **values})
    used = [part for part in shlex.split(text) if part.startswith("--")]
    group = get_command(app)
    run = group.get_command(typer.Context(group), "run")  # type: ignore[attr-defined]
    known = {option for parameter in run.params for option in parameter.opts}
    assert len(used) > 20
    assert set(used) <= known


# ---- the folder of the run -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "word"),
    [
        ("runs/demo-quick", "runs/demo-quick"),
        ("my runs/a", "'my runs/a'"),
        ("-run", "./-run"),
        ("a\x1b[2J;b", "'a\ufffd[2J;b'"),
        (None, "RUN"),
    ],
)
def test_the_folder_is_one_word_of_a_shell_line(folder: str | None, word: str) -> None:
    result = FakeResult(folder=None if folder is None else Path(folder))
    assert run_path(result) == word
    assert shlex.split(with_path("synapse-audit guard RUN --evaluate", result))[1:] == [
        *("guard", shlex.split(word)[0], "--evaluate")
    ]


def test_only_the_place_of_a_folder_in_a_command_is_filled_in() -> None:
    said = "class RUN: `guard RUN`, `run --against RUN`, RUNS"
    filled = with_path(said, FakeResult(folder=Path("r")))
    assert filled == "class RUN: `guard r`, `run --against r`, RUNS"


def test_next_steps_and_advice_name_the_folder() -> None:
    unknown = Figure.unknown("not measured")
    waits = Recommendation(
        *("constants", ("4:5",), "It is constant.", "Clamp it (`synapse-audit guard RUN`)."),
        Gain("accuracy", unknown, unknown, MEASURE_IT),
    )
    result = FakeResult(
        folder=Path("my runs/a"),
        manifest={"config": {"preset": "standard"}},
        summary={"advice": [{"gain": {"reason": MEASURE_IT}}]},
        findings={"advice": {"recommendations": as_table([waits])}},
    )
    assert steps(result)[0].command == "synapse-audit guard 'my runs/a' --evaluate"
    advice, guard = (SECTIONS[name](result) for name in ("advice", "guard"))
    said = " ".join([*advice.answer, *advice.tables[0].rows[0], *guard.answer])
    assert "RUN" not in said and said.count("guard 'my runs/a'") == 4
