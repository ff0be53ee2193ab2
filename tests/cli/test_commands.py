"""What each command says when all is well."""

import re
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest
from only_findings import only_findings

from cli.calling import CommandLine
from synapse_audit.cli import run
from synapse_audit.config import AuditConfig, Grid, make_config
from synapse_audit.demo import bundled_model
from synapse_audit.interventions.operators import OPERATORS

RUN_OPTIONS = (
    *("--data", "--text-column", "--text-pair-column", "--label-column", "--group-column"),
    *("--fit-data", "--out", "--preset", "--config", "--seed", "--device", "--batch-size"),
    *("--max-examples", "--time-budget", "--precision", "--exact", "--dry-run", "--engine"),
)


def test_version(cli: CommandLine) -> None:
    called = cli("--version")
    assert (called.code, called.stdout) == (0, f"synapse-audit {version('synapse-audit')}\n")


def test_help_lists_the_commands(cli: CommandLine) -> None:
    called = cli("--help")
    assert called.code == 0
    assert all(command in called.stdout for command in ("run", "report", "inspect", "config"))


@pytest.mark.parametrize("command", ["run", "report", "inspect", "config"])
def test_every_command_has_help(cli: CommandLine, command: str) -> None:
    called = cli(command, "--help")
    assert called.code == 0
    assert f"synapse-audit {command}" in called.stdout


def test_run_offers_the_options_of_the_contract(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = set(re.findall(r"--[a-z-]+", cli("run", "--help").stdout))
    assert set(RUN_OPTIONS) <= shown


def test_options_stand_under_headings_with_their_defaults(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = cli("run", "--help").stdout
    headings = ("Data", "What is audited", "How the model is loaded", "How the cells are run")
    assert [re.search(f"─ {heading} ─", shown) is None for heading in headings] == [False] * 4
    lines = {line.split()[1]: line for line in shown.splitlines() if line.startswith("│ --")}
    for option, default in (
        *(("--preset", "standard"), ("--seed", "0"), ("--device", "cpu")),
        *(("--dtype", "float32"), ("--precision", "0.01"), ("--engine", "local")),
    ):
        assert f"Default: {default}." in lines[option]


@pytest.mark.parametrize("preset", ["quick", "standard", "paper"])
def test_config_prints_a_file_that_run_takes_as_it_is(
    cli: CommandLine, preset: str, tmp_path: Path
) -> None:
    called = cli("config", "--preset", preset)
    assert called.code == 0
    path = tmp_path / "mine.toml"
    path.write_text(called.stdout, encoding="utf-8")
    named = {"model": "m", "data": "d"}
    assert make_config(named, path) == make_config(named | {"preset": preset})
    lines = called.stdout.splitlines()
    for field in (*AuditConfig.model_fields, *Grid.model_fields, "dtype", "text_column"):
        if field not in ("grid", "loading", "reading"):
            at = [i for i, line in enumerate(lines) if re.match(rf"(# )?{field} =", line)]
            assert at and all(lines[i - 1].startswith("# ") or field == "preset" for i in at), field
    assert max(map(len, lines)) <= 200


def test_config_refuses_an_unknown_preset(cli: CommandLine) -> None:
    called = cli("config", "--preset", "quik")
    assert (called.code, called.stdout) == (2, "")
    assert "did you mean 'quick'" in called.stderr


def test_a_file_that_names_neither_model_nor_data_is_for_the_bundled_ones(
    cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[AuditConfig] = []
    monkeypatch.setattr(run, "_audit", lambda config, out, *, against: seen.append(config))
    path = tmp_path / "mine.toml"
    path.write_text(cli("config", "--preset", "quick").stdout, encoding="utf-8")
    assert cli("run", "--config", path).code == 0
    assert (seen[0].model, seen[0].preset) == (str(bundled_model()), "quick")
    path.write_text('data = "rows.csv"', encoding="utf-8")
    called = cli("run", "--config", path)
    assert called.code == 2 and "MODEL is missing" in called.stderr


def test_no_command_shows_the_help(cli: CommandLine) -> None:
    called = cli()
    assert called.code in (0, 2)
    assert "Usage" in called.stdout + called.stderr


def test_inspect_says_what_would_be_audited(cli: CommandLine, single: Path) -> None:
    called = cli("inspect", single / "model")
    assert called.code == 0
    facts = {line[:17].strip(): line[17:] for line in called.stdout.splitlines()}
    assert facts["family"] == "BERT"
    assert facts["layers"].startswith("3 blocks")
    assert facts["hidden size"] == "32"
    assert facts["pooled position"] == "first token ([CLS])"
    assert facts["head"] == "last linear layer 32 → 4 with bias"
    assert facts["label map"] == "0 = plain, 1 = alpha, 2 = beta, 3 = gamma"
    assert facts["sites"].startswith("block_output (layers 0 to 3")
    assert facts["operators"] == ", ".join(OPERATORS)
    assert "suffix" in facts["routes"]
    assert re.fullmatch("[0-9a-f]{64}", facts["weights sha256"])


def test_a_dry_run_shows_the_plan_and_runs_nothing(
    cli: CommandLine, single: Path, tiny_grid: Path, tmp_path: Path
) -> None:
    data, out = single / "rows.csv", tmp_path / "run"
    called = cli(
        "run", single / "model", "--data", data, "--config", tiny_grid, "--out", out, "--dry-run"
    )
    assert (called.code, called.stdout) == (0, "")
    assert re.search(r"plan: \d+ cells, \d+ distinct", called.stderr)
    assert re.search(r"expected\s+time\s+about\s+\d+\s+s", called.stderr)
    assert re.search(r"disk\s+about\s+\d+\s+MiB", called.stderr)
    assert not out.exists()


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_run_then_another_refused_then_report_without_the_model(
    cli: CommandLine, single: Path, tiny_grid: Path, tmp_path: Path
) -> None:
    planted = shutil.copytree(single, tmp_path / "planted")
    out = tmp_path / "run"
    command = (
        *("run", planted / "model", "--data", planted / "rows.csv"),
        *("--config", tiny_grid, "--out", out),
    )
    with only_findings("redundancy", "vulnerability"):
        called = cli(*command)
    assert (called.code, called.errors) == (0, [])
    assert called.stdout == f"{out / 'report.html'}\n"
    page = (out / "report.html").read_bytes()
    assert page.lstrip().startswith(b"<!doctype html")

    before = _files(out)
    another = cli(*command, "--seed", 1)
    assert (another.code, another.stdout) == (2, "")
    (line,) = another.stderr.splitlines()
    assert line in another.errors
    assert all(
        said in line for said in ("another run", "seed: 0 there, 1 now", "expected a new folder")
    )
    assert _files(out) == before, "the folder of another run is left as it was"

    repeated = cli(*command)
    assert (repeated.code, repeated.stdout) == (0, called.stdout)
    assert "already finished: nothing is run again" in repeated.stderr
    assert "plan:" not in repeated.stderr and "interventions" not in repeated.stderr
    after = _files(out)
    assert {p for p in before if after[p] != before[p]} <= {out / "manifest.json"}

    shutil.rmtree(planted)
    (out / "report.html").unlink()
    again = cli("report", out)
    assert (again.code, again.stdout) == (0, f"{out / 'report.html'}\n")
    assert (out / "report.html").read_bytes() == page

    elsewhere = tmp_path / "elsewhere.html"
    assert cli("report", out, "--out", elsewhere).code == 0
    assert elsewhere.read_bytes() == page


def test_options_win_over_the_file(cli: CommandLine, single: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('model = "nowhere"\npreset = "quik"\n', encoding="utf-8")
    called = cli(
        *("run", single / "model", "--data", single / "rows.csv", "--config", path),
        *("--preset", "quick", "--seed", -1, "--out", tmp_path / "run"),
    )
    assert called.code == 2
    assert "seed: -1" in called.stderr


def test_the_preset_of_the_file_holds_where_no_option_is_given(
    cli: CommandLine, single: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "run.toml", list[AuditConfig]()
    path.write_text('preset = "quick"\nresamples = 100\n', encoding="utf-8")
    monkeypatch.setattr(run, "_forecast", lambda config, against: seen.append(config))
    model = ("run", single / "model", "--data", single / "rows.csv")
    assert cli(*model, "--config", path, "--dry-run").code == 0
    assert [(config.preset, config.resamples) for config in seen] == [("quick", 100)]


def test_a_file_may_name_model_and_data(
    cli: CommandLine, single: Path, tiny_grid: Path, tmp_path: Path
) -> None:
    path = tmp_path / "run.toml"
    named = f'model = "{single / "model"}"\ndata = "{single / "rows.csv"}"\n'
    path.write_text(named + tiny_grid.read_text(encoding="utf-8"), encoding="utf-8")
    called = cli("run", "--config", path, "--dry-run")
    assert (called.code, called.errors) == (0, [])
    assert "on 96 examples" in " ".join(called.stderr.split())
