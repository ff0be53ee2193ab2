"""Sentences of the sections on calibration and alarms against known numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from synapse_audit.report import SECTIONS

from .fake_certainty import UNRESOLVED
from .fakes import FakeResult


def answer(name: str, result: FakeResult) -> str:
    return " ".join(SECTIONS[name](result).answer)


def changed(result: FakeResult, part: str, **figures: Any) -> FakeResult:
    summary = {**result.summary[part], **figures}
    return replace(result, summary={**result.summary, part: summary})


def test_calibration_says_how_sure_it_is_when_wrong(full: FakeResult) -> None:
    said = answer("calibration", full)
    assert "calibration error is 0.040 (0.030 to 0.050)" in said
    assert "a perfectly calibrated model would show about 0.015" in said
    assert "exceeds its accuracy by 0.030 (0.020 to 0.040)" in said
    assert "On its 14 wrong answers the mean confidence is 0.700" in said
    assert "Dividing all logits by 1.60" in said and "changes no prediction" in said
    assert "most overconfident at 80% of neurons" in said


def test_calibration_says_what_is_unknown(full: FakeResult) -> None:
    none = {"value": None, "low": None, "high": None, "reason": "all is right"}
    said = answer("calibration", changed(full, "calibration", temperature=none))
    assert "No temperature is recommended: all is right." in said
    level = {"value": 0.001, "low": -0.01, "high": 0.01}
    said = answer("calibration", changed(full, "calibration", overconfidence=level))
    assert "which chance alone may explain" in said


def test_draws_of_the_noise_share_a_row(full: FakeResult) -> None:
    table = SECTIONS["calibration"](full).tables[0]
    assert len(table.rows) == 1 + 3 + 1
    assert table.rows[-1][table.columns.index("ECE")] == "0.110"


def test_detection_tells_silent_from_loud(full: FakeResult) -> None:
    said = answer("detection", full)
    assert "With “norm” as the class that raises no alarm" in said
    assert "misses 0.03 (0.01 to 0.05) of the attacks" in said
    assert "At a false-alarm rate of 1% it catches 0.95 (0.93 to 0.97) of the attacks." in said
    assert f"{UNRESOLVED}." in said
    assert "10 fail silently, 3 loudly, 2 both ways and 25 neither way" in said
    assert "There the threshold fixed at 1% catches 0.30" in said
    assert (
        "flags 0.90 (0.88 to 0.92) of the benign inputs; a re-fitted one would catch 0.60" in said
    )


def test_detection_without_a_benign_class_is_one_honest_line(full: FakeResult) -> None:
    reason = {"value": None, "low": None, "high": None, "reason": "no benign class was named"}
    findings = {**full.findings, "detection": {"cells": pd.DataFrame(columns=["space"])}}
    result = replace(changed(full, "detection", auc=reason), findings=findings)
    section = SECTIONS["detection"](result)
    assert len(section.answer) == 1
    assert "--benign CLASS" in section.answer[0]
    assert not section.groups and not section.tables
