"""`--blocks`, `--position` and `--head` on the command line."""

import json
from pathlib import Path

import pandas as pd
import pytest
from only_findings import only_findings

from cli.calling import CommandLine

NAMED = ("--blocks", "bert.encoder.layer", "--position", "first", "--head", "classifier")


def test_inspect_says_what_was_given(cli: CommandLine, single: Path) -> None:
    called = cli("inspect", single / "model", *NAMED)
    assert (called.code, called.errors) == (0, [])
    lines = [line.strip() for line in called.stdout.splitlines()]
    assert "parts            blocks = bert.encoder.layer (given: 3 modules)" in lines
    assert "position = first (given: first token ([CLS]))" in lines
    assert "output_layer = classifier (given: its output is the logits)" in lines
    assert any("the record of BERT is set aside" in line for line in lines)


def test_a_run_takes_what_was_given(
    cli: CommandLine, single: Path, tiny_grid: Path, tmp_path: Path
) -> None:
    where = ("--data", single / "rows.csv", "--config", tiny_grid, "--out", tmp_path)
    with only_findings():
        called = cli("run", single / "model", *where, *NAMED)
    assert (called.code, called.errors) == (0, [])
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    parts = {name: manifest["config"][name] for name in ("blocks", "position", "output_layer")}
    assert parts == dict(zip(parts, NAMED[1::2], strict=True))
    assert "the record of BERT is set aside" in manifest["model"]["notes"]
    assert manifest["routes"]["suffix"]["used"] and manifest["routes"]["head"]["used"]
    predictions = pd.read_parquet(tmp_path / "predictions.parquet")
    assert predictions["predicted"].tolist() == predictions["label"].tolist()


@pytest.mark.parametrize("command", ["run", "inspect"])
@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--blocks", "bert.layers", "blocks='bert.layers' given; expected"),
        ("--position", "last", "or --position"),
        ("--position", "middle", "choices: first, last, eos, mean, patches, pair"),
        ("--head", "bert.pooler.dense", "or --head"),
    ],
)
def test_what_does_not_fit_gets_one_line(
    cli: CommandLine,
    single: Path,
    tmp_path: Path,
    command: str,
    option: str,
    value: str,
    words: str,
) -> None:
    rest = ["--data", single / "rows.csv", "--out", tmp_path / "run"] if command == "run" else []
    called = cli(command, single / "model", option, value, *rest)
    assert called.code == 2
    assert called.stderr.splitlines() == called.errors and len(called.errors) == 1
    assert words in called.errors[0]
