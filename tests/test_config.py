"""Presets, files and options become one configuration, or one line says why not."""

from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from synapse_audit.config import (
    PRESETS,
    AuditConfig,
    DataFields,
    DataOptions,
    Loading,
    LoadingOptions,
    make_config,
)
from synapse_audit.errors import UsageError

NEEDED: dict[str, Any] = {"model": "m", "data": "d.csv"}


def _toml(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_preset_gives_its_grid(preset: str) -> None:
    assert make_config(NEEDED | {"preset": preset}).grid == PRESETS[preset]


def test_defaults() -> None:
    config = make_config(NEEDED | {"preset": None, "batch_size": None})
    assert (config.preset, config.seed, config.batch_size) == ("standard", 0, None)


def test_both_presets_hold_what_the_report_needs() -> None:
    for grid in PRESETS.values():
        assert set(grid.operators) >= {"mean", "zero"}
        assert grid.rankings[0] == ("paper" if grid.paper else "probe")
        assert grid.fractions == tuple(sorted(set(grid.fractions)))


def test_the_file_overrides_the_preset_and_options_override_the_file(tmp_path: Path) -> None:
    path = _toml(
        tmp_path,
        'model = "a"\ndata = "b"\nseed = 3\nmax_examples = 100\n[grid]\nfractions = [0.5, 0.1]\n',
    )
    config = make_config({"seed": 4, "preset": "quick"}, path)
    assert (config.model, config.seed) == ("a", 4)
    assert config.grid.max_examples == 100
    assert config.grid.fractions == (0.1, 0.5), "sorted"
    assert config.grid.draws == PRESETS["quick"].draws


def test_max_examples_of_the_options_wins(tmp_path: Path) -> None:
    path = _toml(tmp_path, "[grid]\nmax_examples = 100\n")
    assert make_config(NEEDED | {"max_examples": 200}, path).grid.max_examples == 200


def test_making_a_configuration_leaves_the_presets_as_they_are() -> None:
    before = PRESETS["quick"].model_dump()
    make_config(NEEDED | {"preset": "quick", "max_examples": 77})
    assert PRESETS["quick"].model_dump() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"preset": "quik"}, ["'quik'", "did you mean 'quick'", "standard"]),
        ({"modle": "x"}, ["'modle'", "did you mean 'model'"]),
        ({"max_examples": 10}, ["max_examples", "10", "60"]),
        ({"resamples": 5}, ["resamples", "5", "100"]),
        ({"batch_size": 0}, ["batch_size", "0"]),
        ({"seed": -1}, ["seed", "-1"]),
        ({"precision": 0.7}, ["precision", "0.7", "0.5"]),
    ],
)
def test_a_bad_option_is_named_in_one_line(options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        make_config(NEEDED | options)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[grid]\nfractions = [0.1, 10]\n", ["fractions", "10", "from 0 to 1"]),
        ("[grid]\nlayer_fractions = [-0.1]\n", ["layer_fractions", "-0.1"]),
        ("[grid]\nfraction = [0.1]\n", ["'fraction'", "did you mean 'fractions'"]),
        ("[grid]\ndraws = 1\n", ["draws", "1"]),
        ('seed = "many"\n', ["seed", "'many'"]),
        ("seed = = 1\n", ["run.toml", "not TOML"]),
    ],
)
def test_a_bad_file_is_explained_in_one_line(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        make_config(NEEDED, _toml(tmp_path, text))
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        make_config(NEEDED, tmp_path / "none.toml")
    with pytest.raises(UsageError, match="cannot be read"):
        make_config(NEEDED, tmp_path)


def test_a_missing_model_is_named() -> None:
    with pytest.raises(UsageError, match=r"^'model' is missing"):
        make_config({"data": "d"})


def test_a_configuration_survives_json() -> None:
    config = make_config(NEEDED)
    assert AuditConfig.model_validate_json(config.model_dump_json()) == config


NESTED = {"dtype": "bfloat16", "device": "cuda:1", "text_column": "body", "columns": "a, b"}


def test_loading_and_columns_are_values_of_their_own_given_flat_or_whole(tmp_path: Path) -> None:
    flat = make_config(NEEDED | NESTED)
    assert flat.loading == Loading(device="cuda:1", dtype="bfloat16")
    assert flat.reading == DataOptions(text_column="body", columns=("a", "b"))
    whole = {
        "loading": Loading(dtype="bfloat16"),
        "reading": {"text_column": "body", "columns": ["a", "b"]},
    }
    assert make_config(NEEDED | whole | {"device": "cuda:1"}) == flat
    path = _toml(tmp_path, 'dtype = "bfloat16"\ntext_column = "x"\n[loading]\ndevice = "cuda:1"\n')
    assert make_config(NEEDED | {"text_column": "body", "columns": "a,b"}, path) == flat
    assert {name: flat.flat()[name] for name in ("device", "columns")} == {
        "device": "cuda:1",
        "columns": ["a", "b"],
    }
    assert make_config(flat.flat()) == flat


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtype": "float8"}, "dtype: 'float8' given; Input should be 'float32'"),
        ({"position_fractions": [0.3]}, "'position_fractions' of the grid given outside of it"),
        ({"loading": {"draws": 3}}, "'draws' of the grid given in 'loading'; .*under \\[grid\\]"),
        ({"loading": {"dtyp": "float16"}}, "unknown configuration field 'dtyp'; did you mean"),
        ({"loading": 3, "device": "cpu"}, "loading: 3 given"),
        ({"columns": "a,*"}, r"columns: 'a,\*' given; expected names"),
    ],
)
def test_what_is_nested_is_refused_by_its_own_name(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_config(NEEDED | options)


def test_keywords_are_the_fields_of_the_values_they_stand_for() -> None:
    for keywords, value in ((LoadingOptions, Loading), (DataFields, DataOptions)):
        assert [*get_type_hints(keywords)] == [field.name for field in fields(value)]


def test_who_names_float32_gets_it_in_the_first_phase_too() -> None:
    """``quick`` and ``standard`` may begin in bfloat16; ``paper`` never does."""
    assert make_config(NEEDED).grid.first_phase == "bfloat16"
    assert make_config(NEEDED | {"dtype": "float32"}).grid.first_phase == "float32"
    assert make_config(NEEDED | {"preset": "quick"}).grid.first_phase == "bfloat16"
    assert make_config(NEEDED | {"preset": "paper"}).grid.first_phase == "float32"
    asked = {"dtype": "float32", "grid": {"first_phase": "bfloat16"}}
    assert make_config(NEEDED | asked).grid.first_phase == "bfloat16"
