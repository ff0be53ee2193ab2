"""Bad input through the command line: one line, exit code 2, nothing lost."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from planted import CLASSES
from tiny import tiny_classifier
from transformers import BertModel

from cli.calling import Called, CommandLine
from synapse_audit.cli.run import _default_out, _with_bundled
from synapse_audit.config import make_config

Rows = pd.DataFrame
Change = Callable[[Rows], Rows]


def _assert_refused(called: Called, *words: str) -> None:
    assert called.code == 2, called.stderr
    assert "Traceback" not in called.stderr
    assert len(called.errors) == 1, called.stderr
    assert called.stderr.splitlines()[-1] == called.errors[0]
    missing = [word for word in words if word not in called.errors[0]]
    assert missing == [], called.errors[0]


def _assert_refused_at_once(called: Called, *words: str) -> None:
    """As above, and nothing else was said: nothing was computed."""
    _assert_refused(called, *words)
    assert called.stderr.splitlines() == called.errors
    assert called.stdout == ""


def _renamed(rows: Rows) -> Rows:
    return rows.rename(columns={"label": "verdict_of_someone"})


def _one_class(rows: Rows) -> Rows:
    return rows[rows["label"] == "alpha"]


def _rare(rows: Rows) -> Rows:
    return rows.drop(rows.index[rows["label"] == "gamma"][4:])


def _unknown(rows: Rows) -> Rows:
    return rows.assign(label=rows["label"].replace("gamma", "delta"))


def _empty_text(rows: Rows) -> Rows:
    return rows.assign(text=rows["text"].where(rows.index != 7, ""))


def _no_label(rows: Rows) -> Rows:
    return rows.assign(label=rows["label"].where(rows.index != 7))


def _nothing(rows: Rows) -> Rows:
    return rows.iloc[:0]


def _nan_text(rows: Rows) -> Rows:
    return rows.assign(text=rows["text"].where(rows.index != 7))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_renamed, ["column", "verdict_of_someone"]),
        (_one_class, ["only class 'alpha'", "at least two", "gamma"]),
        (_rare, ["gamma", "4", "5"]),
        (_unknown, ["delta", "plain, alpha, beta, gamma"]),
        (_empty_text, ["row 8", "text"]),
        (_nan_text, ["row 8", "text"]),
        (_no_label, ["row 8", "label"]),
        (_nothing, ["no rows"]),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_that_cannot_be_audited(
    cli: CommandLine,
    single: Path,
    rows: Rows,
    tmp_path: Path,
    change: Change,
    words: list[str],
    suffix: str,
) -> None:
    data = tmp_path / f"rows.{suffix}"
    if suffix == "csv":
        change(rows).to_csv(data, index=False)
    else:
        change(rows).to_parquet(data)
    out = tmp_path / "run"
    called = cli("run", single / "model", "--data", data, "--preset", "quick", "--out", out)
    _assert_refused_at_once(called, *words)
    assert not out.exists() or not any(out.iterdir())


def test_a_file_that_is_not_there(cli: CommandLine, single: Path, tmp_path: Path) -> None:
    called = cli("run", single / "model", "--data", "none.csv", "--out", tmp_path / "run")
    _assert_refused_at_once(called, "none.csv", "no such file", ".parquet")


def test_a_wrong_column(cli: CommandLine, single: Path, tmp_path: Path) -> None:
    called = cli(
        *("run", single / "model", "--data", single / "rows.csv", "--label-column", "labl"),
        *("--out", tmp_path / "run"),
    )
    _assert_refused_at_once(called, "'labl'", "did you mean 'label'", "choices: text, label")


def test_bytes_that_are_not_utf_8(cli: CommandLine, single: Path, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_bytes(b"text,label\nna\xefve,alpha\n")
    called = cli("run", single / "model", "--data", data, "--out", tmp_path / "run")
    _assert_refused_at_once(called, "not UTF-8", "0xef", "position 13")


def test_labels_that_are_exchanged(
    cli: CommandLine, single: Path, rows: Rows, tmp_path: Path
) -> None:
    data = tmp_path / "rows.csv"
    exchange = {"alpha": "beta", "beta": "gamma", "gamma": "alpha"}
    rows.assign(label=rows["label"].replace(exchange)).to_csv(data, index=False)
    called = cli("run", single / "model", "--data", data, "--out", tmp_path / "run")
    _assert_refused(called, "exchanged", "'beta' as 'alpha'", "id2label")


def test_a_model_whose_label_map_is_permuted(
    cli: CommandLine, single: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(single / "model", tmp_path / "model")
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    names = [CLASSES[i] for i in (1, 2, 3, 0)]
    config["id2label"] = {str(i): name for i, name in enumerate(names)}
    config["label2id"] = {name: i for i, name in enumerate(names)}
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    called = cli("run", model, "--data", single / "rows.csv", "--out", tmp_path / "run")
    _assert_refused(called, "exchanged", "id2label")


def _pickled(model: Path) -> None:
    weights = torch.nn.Linear(2, 2).state_dict()
    (model / "model.safetensors").unlink()
    torch.save(weights, model / "pytorch_model.bin")


def _headless(model: Path) -> None:
    encoder: BertModel = tiny_classifier("bert").model.bert
    (model / "model.safetensors").unlink()
    encoder.save_pretrained(model)


def _relabelled_headless(model: Path) -> None:
    """An encoder whose configuration claims to be a classifier."""
    _headless(model)
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    config["architectures"] = ["BertForSequenceClassification"]
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")


def _without_config(model: Path) -> None:
    (model / "config.json").unlink()


def _without_weights(model: Path) -> None:
    (model / "model.safetensors").unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_pickled, ["pickle", "pytorch_model.bin", "safetensors"]),
        (_headless, ["BertModel", "ForSequenceClassification"]),
        (_relabelled_headless, ["untrained", "classifier.weight"]),
        (_without_config, ["no config.json"]),
        (_without_weights, ["no weights", "safetensors"]),
    ],
)
@pytest.mark.parametrize("command", ["run", "inspect"])
def test_models_that_cannot_be_audited(
    cli: CommandLine,
    tiny_folder: Path,
    tiny_csv: Path,
    tmp_path: Path,
    spoil: Callable[[Path], None],
    words: list[str],
    command: str,
) -> None:
    model = shutil.copytree(tiny_folder, tmp_path / "model")
    spoil(model)
    rest = ["--data", tiny_csv, "--out", tmp_path / "run"] if command == "run" else []
    _assert_refused_at_once(cli(command, model, *rest), *words)


@pytest.mark.parametrize("command", ["run", "inspect"])
@pytest.mark.parametrize("device", ["cuda:7", "fpga", "nonsense"])
def test_a_device_that_is_not_there(
    cli: CommandLine, single: Path, tmp_path: Path, command: str, device: str
) -> None:
    rest = ["--data", single / "rows.csv", "--out", tmp_path / "run"] if command == "run" else []
    called = cli(command, single / "model", "--device", device, *rest)
    _assert_refused_at_once(called, f"device '{device}' given", "expected", "cpu, cuda")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[grid]\nfractions = [0.1, 1.5]", ["fractions", "1.5", "from 0 to 1"]),
        ("[grid]\nlayer_fractions = [-0.1]", ["layer_fractions", "-0.1", "from 0 to 1"]),
        ("[grid]\ncolumns = [nan]", ["columns", "nan"]),
        ("[grid]\nfractionz = [0.1]", ["'fractionz'", "did you mean 'fractions'"]),
        ("[grid]\noperators = ['zer0']", ["operator 'zer0'", "did you mean 'zero'", "noise"]),
        ("[grid]\nrankings = ['prob']", ["ranking 'prob'", "did you mean 'probe'", "random"]),
        ("[grid]\nrankings = []", ["rankings", "at least 1"]),
        ("[grid]\nbudgets = [-1.0]", ["budgets", "-1.0"]),
        ("[grid]\nconstants = [inf]", ["constants", "inf", "finite"]),
        ("[grid]\ndraws = 0", ["draws", "0"]),
        ("grid = 3", ["grid", "3", "table"]),
        ("preset = 'quik'", ["'quik'", "did you mean 'quick'", "standard"]),
        ("sead = 1", ["'sead'", "did you mean 'seed'"]),
        ("seed = -1", ["seed", "-1"]),
        ("resamples = 3", ["resamples", "3", "100"]),
        ("no toml", ["is not TOML"]),
    ],
)
def test_configuration_files_that_make_no_sense(
    cli: CommandLine, single: Path, tmp_path: Path, text: str, words: list[str]
) -> None:
    config, out = tmp_path / "run.toml", tmp_path / "run"
    config.write_text(text + "\n", encoding="utf-8")
    called = cli(
        *("run", single / "model", "--data", single / "rows.csv", "--config", config, "--out", out)
    )
    _assert_refused_at_once(called, *words)
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--preset", "quik"], ["'quik'", "did you mean 'quick'", "standard"]),
        (["--seed", "-1"], ["seed", "-1"]),
        (["--batch-size", "0"], ["batch_size", "0"]),
        (["--max-examples", "3"], ["max_examples", "3"]),
        (["--engine", "rey"], ["engine 'rey'", "choices: local"]),
        (["--time-budget", "-1"], ["time_budget", "-1"]),
        (["--config", "none.toml"], ["none.toml", "no such file"]),
    ],
)
def test_options_that_make_no_sense(
    cli: CommandLine, single: Path, tmp_path: Path, options: list[str], words: list[str]
) -> None:
    out = tmp_path / "run"
    called = cli(*("run", single / "model", "--data", single / "rows.csv", *options, "--out", out))
    _assert_refused_at_once(called, *words)
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments",
    [("run", "--bogus"), ("report",), ("inspect",), ("rnu",), ("run", "m", "--seed", "many")],
)
def test_usage_errors_have_exit_code_2(cli: CommandLine, arguments: tuple[str, ...]) -> None:
    _assert_refused_at_once(cli(*arguments))


@pytest.mark.parametrize("given", [("MODEL",), ("--data", "rows.csv")])
def test_model_and_data_go_together(cli: CommandLine, given: tuple[str, ...]) -> None:
    _assert_refused_at_once(cli("run", *given), "missing", "bundled")


def test_a_report_of_no_run(cli: CommandLine, tmp_path: Path) -> None:
    _assert_refused_at_once(cli("report", tmp_path), "manifest.json")
    _assert_refused_at_once(cli("report", tmp_path / "none"), "manifest.json")


def test_a_foreign_folder_is_left_as_it_was(cli: CommandLine, single: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work", encoding="utf-8")
    called = cli("run", single / "model", "--data", single / "rows.csv", "--out", tmp_path)
    _assert_refused_at_once(called, "other files", "new or empty")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    assert (tmp_path / "thesis.tex").read_text(encoding="utf-8") == "years of work"


def test_a_file_in_place_of_the_folder(cli: CommandLine, single: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.write_text("mine", encoding="utf-8")
    called = cli("run", single / "model", "--data", single / "rows.csv", "--out", out)
    _assert_refused_at_once(called, "is a file", "expected a folder")
    assert out.read_text(encoding="utf-8") == "mine"
    called = cli("run", single / "model", "--data", single / "rows.csv", "--out", out / "below")
    _assert_refused_at_once(called, "cannot be made")


def test_a_folder_that_is_not_writable(
    cli: CommandLine, single: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    out.mkdir(mode=0o500)
    if os.access(out, os.W_OK):  # root may write anywhere
        monkeypatch.setattr("os.access", lambda _, mode: mode == os.R_OK)
    called = cli("run", single / "model", "--data", single / "rows.csv", "--out", out)
    _assert_refused_at_once(called, "not writable")
    out.chmod(0o700)
    assert list(out.iterdir()) == []


def test_rows_to_fit_on_need_a_model_and_data_of_their_own(cli: CommandLine) -> None:
    """They would be left unread beside the bundled classifier, which has its own."""
    found = cli("run", "--fit-data", "mine.csv", "--out", "nowhere")
    assert found.code == 2
    assert "--fit-data given without MODEL and --data" in found.errors[0]


def test_only_the_bundled_classifier_is_called_demo() -> None:
    config = {"model": "/home/me/synapse_audit_models/mine", "data": "d.csv", "preset": "quick"}
    assert _default_out(make_config(config)) == Path("runs/mine-quick")
    config = _with_bundled({"preset": "quick"}, {})
    assert _default_out(make_config(config)) == Path("runs/demo-quick")
