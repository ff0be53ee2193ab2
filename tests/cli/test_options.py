"""Options reach the configuration and the loader under the names that these know."""

from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import Any, Unpack, get_type_hints

import pytest

from cli.calling import CommandLine
from synapse_audit.cli import run
from synapse_audit.cli.inspect import inspect
from synapse_audit.cli.options import RunOptions, spelled_out
from synapse_audit.config import OF_GRID, AuditConfig, Loading, LoadingOptions, field_docs

GIVEN: dict[str, tuple[list[object], object]] = {
    "model": (["some/model"], "some/model"),
    "data": (["--data", "rows.csv"], "rows.csv"),
    "fit_data": (["--fit-data", "fit.csv"], "fit.csv"),
    "text_column": (["--text-column", "a"], "a"),
    "text_pair_column": (["--text-pair-column", "b"], "b"),
    "input_column": (["--input-column", "c"], "c"),
    "label_column": (["--label-column", "d"], "d"),
    "group_column": (["--group-column", "e"], "e"),
    "columns": (["--columns", "f,g"], ["f", "g"]),
    "slice_columns": (["--slice-columns", "h,i"], ["h", "i"]),
    "tokens": (["--tokens", "ids"], "ids"),
    "window": (["--window", 32], 32),
    "stride": (["--stride", 16], 16),
    "max_tokens": (["--max-tokens", 24], 24),
    "text_prefix": (["--text-prefix", "query: "], "query: "),
    "lower_case": (["--lower-case"], True),
    "threshold": (["--threshold", "bad=0.8,worse=0.3"], {"bad": 0.8, "worse": 0.3}),
    "class_names": (["--class-names", "good, bad"], ["good", "bad"]),
    "benign": (["--benign", "good"], "good"),
    "neurons": (["--neurons", "1:2", "--neurons", "2:3"], ["1:2", "2:3"]),
    "membership": (["--membership", "train.csv"], "train.csv"),
    "attack": (["--attack", "text"], ["text"]),
    "preset": (["--preset", "quick"], "quick"),
    "seed": (["--seed", 0], 0),
    "seeds": (["--seeds", 2], 2),
    "device": (["--device", "cuda:1"], "cuda:1"),
    "dtype": (["--dtype", "float16"], "float16"),
    "revision": (["--revision", "v1"], "v1"),
    "attn_implementation": (["--attn-implementation", "eager"], "eager"),
    "device_map": (["--device-map", "auto"], "auto"),
    "quantization": (["--quantization", "4bit"], "4bit"),
    "base_model": (["--base-model", "base"], "base"),
    "merge_adapter": (["--no-merge"], False),
    "blocks": (["--blocks", "h"], "h"),
    "position": (["--position", "mean"], "mean"),
    "output_layer": (["--head", "out"], "out"),
    "label": (["--label", "bad"], "bad"),
    "guard": (["--guard", "g"], "g"),
    "batch_size": (["--batch-size", 4], 4),
    "time_budget": (["--time-budget", 9.5], 9.5),
    "precision": (["--precision", 0.02], 0.02),
    "exact": (["--exact"], True),
    "engine": (["--engine", "ray"], "ray"),
    "workers": (["--workers", 3], 3),
    "address": (["--address", "host:1"], "host:1"),
}
"""Field of the configuration → what is typed, and what it must become."""

TOML = """
model = "its/model"
data = "its.csv"
seeds = 7
exact = true
merge_adapter = false
neurons = ["3:4"]
"""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[AuditConfig]:
    """What ``run`` would audit; nothing is audited."""
    seen: list[AuditConfig] = []
    monkeypatch.setattr(run, "_audit", lambda config, out, *, against: seen.append(config))
    return seen


def test_every_option_of_run_sets_its_field(cli: CommandLine, asked: list[AuditConfig]) -> None:
    typed = [word for words, _ in GIVEN.values() for word in words]
    called = cli("run", *typed, "--max-examples", 321, "--faults", 12)
    assert called.code == 0, called.stderr
    (config,) = asked
    recorded = config.flat()
    assert {name: recorded[name] for name in GIVEN} == {n: v for n, (_, v) in GIVEN.items()}
    assert (config.grid.max_examples, config.grid.faults) == (321, 12)
    assert {*get_type_hints(RunOptions), "model"} == {*GIVEN, *OF_GRID}


def test_an_option_that_is_left_out_leaves_the_file_alone(
    cli: CommandLine, asked: list[AuditConfig], tmp_path: Path
) -> None:
    (tmp_path / "its.toml").write_text(TOML, encoding="utf-8")
    assert cli("run", "--config", tmp_path / "its.toml").code == 0
    assert cli("run", "--config", tmp_path / "its.toml", "--seeds", 2).code == 0
    kept = [(c.model, c.data, c.exact, c.loading.merge_adapter, c.neurons, c.preset) for c in asked]
    assert kept == [("its/model", "its.csv", True, False, ("3:4",), "standard")] * 2
    assert [config.seeds for config in asked] == [7, 2]


def test_inspect_takes_what_the_loader_takes() -> None:
    names = {field.name for field in fields(Loading)}
    assert {*signature(inspect).parameters} == {*names, "model", "tokens"}


def test_help_of_a_field_is_its_docstring(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    for command in ("run", "inspect"):
        shown = cli(command, "--help").stdout
        for name, meaning in field_docs(Loading).items():
            if name != "merge_adapter":
                assert meaning.replace("``", "").rstrip(".") in shown, name


def test_options_are_spelled_out_between_arguments_and_own_options() -> None:
    def command(model: str, *, last: int = 1, **options: Unpack[LoadingOptions]) -> None:
        """Does nothing."""

    spelled: dict[str, Any] = dict(signature(spelled_out(command)).parameters)
    assert [*spelled] == ["model", *get_type_hints(LoadingOptions), "last"]
    assert spelled["blocks"].default is None
    assert spelled["last"].default == 1
