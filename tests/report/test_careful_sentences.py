"""Sentences whose direction, number or certainty was read wrongly before."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from synapse_audit.advice import Saved
from synapse_audit.advice.rules import bits, constants
from synapse_audit.report import SECTIONS

from .fakes import FakeResult


def said(name: str, summary: dict[str, Any], **tables: pd.DataFrame) -> str:
    result = FakeResult(summary=summary, findings={name: tables})
    return " ".join(SECTIONS[name](result).answer)


def figure(value: float, low: float, high: float, **beside: Any) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high} | beside


DROP = pd.DataFrame([{"drop": 0.05, "layer": 1, "head": 0, "method": "leace"}])


@pytest.mark.parametrize(
    ("excess", "verdict"),
    [
        (figure(0.03, 0.02, 0.04), "; the top heads cost 0.030 (0.020 to 0.040) more."),
        (figure(0.03, -0.02, 0.08), "; the two are not shown to differ."),
    ],
)
def test_it_is_clear_which_heads_cost_more(excess: dict[str, Any], verdict: str) -> None:
    sets = {"drop": figure(0.05, 0.04, 0.06, fraction=0.1), "random": figure(0.02, 0.0, 0.04)}
    summary = {"attention": {"sets": {"mean": sets | {"excess": excess}}}}
    assert said("attention", summary, heads=DROP).endswith(verdict)


def test_it_is_clear_which_directions_cost_more() -> None:
    found = {name: figure(0.02, 0.0, 0.04) for name in ("random", "matched")}
    found |= {"drop": figure(0.05, 0.04, 0.06, rank=2, variance=0.1)}
    found |= {"excess": figure(0.03, 0.02, 0.04)}
    summary = {"directions": {"leace": found}}
    assert said("directions", summary, layers=DROP).endswith(
        "; the directions of the classes cost 0.030 (0.020 to 0.040) more than those that vary as "
        "much."
    )


def test_probes_that_may_differ_are_not_called_alike() -> None:
    gain = {"token_means": {"gain": figure(0.05, -0.2, 0.3)}}
    read = pd.DataFrame([{"layer": 1, "gain": 0.05}])
    assert "are not shown to read the label better or worse" in said(
        "token_means", gain, probes=read
    )


def test_one_of_anything_is_one() -> None:
    row = {"address": "4:block_output:7", "load_bearing": True, "zero_drop": 0.1}
    table = pd.DataFrame([row | {"zero_low": 0.05, "zero_high": 0.15}])
    found = constants(Saved({}, {"redundancy": {"constants": table}}))
    assert found is not None and "1 of the neurons tried alone acts as a constant" in found.finding
    halving = pd.DataFrame(
        [{"format": "float32", "kind": "any", "part": "head", "layer": None}]
    ).assign(selection="searched", bits=1.0)
    flip = bits(Saved({}, {"faults": {"halving": halving}}))
    assert flip is not None
    assert flip.finding.startswith("1 searched bit flip (float32, head) halves the accuracy")
