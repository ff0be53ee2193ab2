"""What the section on guarantees says and draws, against known numbers."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from synapse_audit.report.sections.certificates import _monotone, certificates

from .fakes import FakeResult, make_result


@pytest.fixture
def result() -> FakeResult:
    return make_result()


def with_table(result: FakeResult, name: str, table: pd.DataFrame) -> FakeResult:
    tables = {**result.findings["certificates"], name: table}
    return replace(result, findings={**result.findings, "certificates": tables})


def test_sentences_quote_the_guarantee_at_a_tenth(result: FakeResult) -> None:
    said = " ".join(certificates(result).answer)
    assert "within 10% of the layer's own can bring accuracy below 0.85 (0.82 to 0.88)" in said
    assert "Half of the correctly classified examples need a head edit larger than 26.7%." in said
    assert "at least 57 (56 to 60) inputs of the head must be set to 0" in said
    assert "held at their mean" not in said
    assert "All 12 changes that were measured agree with what was guaranteed." in said


def test_a_broken_guarantee_is_not_hidden(result: FakeResult) -> None:
    found = {**result.summary["certificates"], "check": {"cells": 12, "changed": 1}}
    said = certificates(replace(result, summary={**result.summary, "certificates": found})).answer
    assert (
        "In 12 changes that were measured, 1 prediction changed against the guarantee" in said[-1]
    )


def test_a_missing_state_says_why(result: FakeResult) -> None:
    curves = result.findings["certificates"]["curves"]
    bare = with_table(result, "curves", curves[curves["place"] != "state"])
    missing = pd.DataFrame({"place": ["state"], "reason": ["no dense layer is known"]})
    section = certificates(with_table(bare, "missing", missing))
    assert "Nothing is guaranteed for the final state: no dense layer is known." in section.answer
    assert "Any perturbation of the final state" not in [group.title for group in section.groups]


def test_the_measured_line_falls_in_steps_and_never_rises(result: FakeResult) -> None:
    sizes, measured = [0.01, 0.1, 0.2, 0.5], [0.9, 0.5, 0.8, 0.4]
    checks = pd.DataFrame({"place": "head", "change": "l2", "budget": sizes, "accuracy": measured})
    section = certificates(with_table(result, "checks", checks))
    trace = section.groups[0].figures[0].spec["data"][-1]
    assert trace["x"] == [0.01, 0.1, 0.1, 0.5, 0.5, 0.5]
    assert trace["y"] == [0.9, 0.9, 0.5, 0.5, 0.4, 0.4]


def test_bands_fall_with_the_size_and_are_never_narrower() -> None:
    rows = pd.DataFrame(
        {
            "budget": [1.0, 2.0, 3.0, 4.0],
            "accuracy": [0.9, 0.8, 0.8, 0.7],
            "accuracy_low": [0.88, 0.7, 0.79, 0.69],
            "accuracy_high": [0.92, 0.9, 0.81, 0.85],
        }
    )
    found = _monotone(rows)
    assert found["accuracy_low"].tolist() == [0.88, 0.7, 0.7, 0.69]
    assert found["accuracy_high"].tolist() == [0.92, 0.9, 0.85, 0.85]
