"""Commands that the report offers are ones that the command line takes."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import typer
from typer.main import get_command

from synapse_audit.cli.main import app
from synapse_audit.config import PRESETS, AuditConfig
from synapse_audit.report.kit.commands import run_command

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
        "neurons": ["4:5", "6:7"],
        "columns": ["a", "b"],
        "output_layer": "classifier",
    }
    parts = shlex.split(command(config))
    assert parts[:5] == ["synapse-audit", "run", "my model", "--data", "d.csv"]
    assert parts.count("--neurons") == 2
    assert {"--exact", "--no-merge", "a,b", "--head", "quick"} <= set(parts)


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
