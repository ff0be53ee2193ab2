"""``run --against``: another model on exactly the rows, splits and grid of an earlier run."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from only_findings import only_findings

from synapse_audit.compare import answers, comparable
from synapse_audit.store import finished

from .calling import CommandLine


@pytest.fixture
def first(audited: Path) -> Path:
    """An earlier run, of seed 3."""
    return audited / "run"


def test_the_same_examples_are_evaluated(
    cli: CommandLine, single: Path, first: Path, tmp_path: Path
) -> None:
    out = tmp_path / "second"
    with only_findings():
        called = cli("run", single / "model", "--against", first, "--out", out, "--exact")
    assert called.code == 0, called.stderr
    one, other = finished(first), finished(out)
    assert not comparable(one, other).different
    assert not answers(one, other).differ.any()
    assert other.manifest["seed"] == 3


def test_rows_that_have_changed_stop_the_run(
    cli: CommandLine, single: Path, rows: pd.DataFrame, first: Path, tmp_path: Path
) -> None:
    changed = shutil.copytree(first, tmp_path / "first")
    manifest = json.loads((changed / "manifest.json").read_text())
    manifest["config"]["data"] = str(tmp_path / "rows.csv")
    (changed / "manifest.json").write_text(json.dumps(manifest))
    rows[:-3].to_csv(tmp_path / "rows.csv", index=False)
    called = cli("run", single / "model", "--against", changed, "--out", tmp_path / "second")
    assert called.code == 2
    assert "data differ" in called.errors[0]
    assert not (tmp_path / "second" / "summary.json").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seed", "4"], "--seed given with --against"),
        (["--max-examples", "50"], "--max-examples given with --against"),
        (["--config", "x.toml"], "--against and --config given"),
    ],
)
def test_what_would_change_the_rows_is_refused(
    cli: CommandLine, single: Path, tmp_path: Path, first: Path, arguments: list[str], said: str
) -> None:
    out = ("--out", tmp_path / "second")
    called = cli("run", single / "model", "--against", first, *out, *arguments)
    assert called.code == 2
    assert said in called.errors[0]


def test_a_model_must_be_named_and_a_run_be_there(
    cli: CommandLine, single: Path, first: Path, tmp_path: Path
) -> None:
    assert "without MODEL" in cli("run", "--against", first).errors[0]
    called = cli("run", single / "model", "--against", tmp_path / "nowhere")
    assert called.code == 2 and "expected a folder with manifest.json" in called.errors[0]
