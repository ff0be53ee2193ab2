"""The catalogue and the JSON schema made from it."""

import json
from collections import Counter
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from synapse_audit.summary import (
    CATALOGUE,
    SCHEMA,
    UNITS,
    Figure,
    entry_of,
    is_group,
    json_schema,
    to_json,
)

from .publish import FILE, text


def summary(**parts: Any) -> dict[str, Any]:
    clean = {"accuracy": Figure(0.9, 0.8, 0.95), "macro_f1": Figure(0.9, 0.8, 0.95)}
    facts = {"schema": SCHEMA, "model": "m", "classes": ["a", "b"], "n_evaluate": 10}
    return to_json({**facts, "clean": clean, **parts})


def errors(tree: dict[str, Any]) -> list[str]:
    return [error.message for error in Draft202012Validator(json_schema()).iter_errors(tree)]


def test_every_entry_is_sound_and_there_once() -> None:
    assert all(entry.unit in UNITS for entry in CATALOGUE)
    assert max(Counter(entry.path for entry in CATALOGUE).values()) == 1
    assert all(entry_of(entry.keys) == entry for entry in CATALOGUE)


def test_a_figure_has_the_entry_with_the_fewest_open_keys() -> None:
    found = entry_of(("certificates", "fewest_silenced", "mean"))
    assert found is not None and found.path == "certificates.fewest_silenced.<operator>"
    assert entry_of(("certificates", "l2", "0.1")) != found
    assert entry_of(("clean", "nonsense")) is None


def test_groups_are_what_figures_stand_below() -> None:
    assert is_group(("vulnerability", "any class", "redirect"))
    assert not is_group(("clean", "accuracy"))
    assert not is_group(("nonsense",))


def test_the_published_schema_is_the_catalogues() -> None:
    assert FILE.read_text(encoding="utf-8") == text(), "python -m summary.publish in tests"
    Draft202012Validator.check_schema(json.loads(text()))


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"sites": Figure.unknown("not swept"), "load_bearing": []},
        {"vulnerability": {"a b": {"redirect": {"0.1": Figure(0.5, 0.4, 0.6)}}}},
        {"redundancy": {"sufficient_k": Figure(3.0, beside={"accuracy": Figure(0.5), "k": 1})}},
        {"asymmetry": {"most_fragile": Figure.unknown("one class")}},
    ],
)
def test_a_summary_is_valid(parts: dict[str, Any]) -> None:
    assert errors(summary(**parts)) == []


@pytest.mark.parametrize(
    "tree",
    [
        summary() | {"schema": 1},
        {key: node for key, node in summary().items() if key != "clean"},
        summary(clean={"accuracy": {"value": "high", "low": None, "high": None}}),
        summary(vulnerability={"a": {"redirect": {"0.1": 0.5}}}),
        summary(redundancy={"plateau": {"value": None, "low": None, "high": None}}),
    ],
)
def test_what_is_no_summary_is_found_out(tree: dict[str, Any]) -> None:
    assert errors(tree)


def test_a_figure_carries_meaning_unit_and_direction() -> None:
    plateau = json_schema()["properties"]["redundancy"]["anyOf"][1]["properties"]["plateau"]
    assert (plateau["x-unit"], plateau["x-better"], plateau["x-range"]) == (
        "share",
        "higher",
        [0.0, 1.0],
    )
    assert "mean silencing" in plateau["description"]
