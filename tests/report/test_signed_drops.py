"""Drops are said with their direction: no sentence falls by a negative number."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from synapse_audit.report import SECTIONS
from synapse_audit.report.kit import prose

from .fakes import FakeResult

BACKWARDS = re.compile(r"\b(by|costs?|loses?|lost|loss is|against|beyond|this is) −[\d.]+")
"""A fall by less than nothing, as the report must not write it."""

BOTH_ENDS = ("low", "high")


@pytest.mark.parametrize(
    ("drop", "said"),
    [
        ((0.027,), "falls by 0.027"),
        ((-0.027,), "rises by 0.027"),
        ((0.0004,), "does not change"),
        ((-0.0004, -0.0004, 0.0004), "does not change"),
        ((0.0, -0.01, 0.02), "does not change (drop −0.010 to 0.020)"),
        ((0.027, 0.01, 0.04), "falls by 0.027 (0.010 to 0.040)"),
        ((0.027, -0.01, 0.06), "falls by 0.03 (−0.01 to 0.06)"),
        ((-0.027, -0.06, 0.01), "rises by 0.03 (−0.01 to 0.06)"),
        ((-0.027, math.nan, 0.01), "rises by 0.027"),
        ((math.nan, 0.0, 0.1), "changes by an unknown amount"),
        ((None,), "changes by an unknown amount"),
    ],
)
def test_the_direction_is_in_the_verb(drop: tuple[object, ...], said: str) -> None:
    assert prose.falls(*drop) == said


def test_other_bounds_are_named_and_turned_too() -> None:
    assert prose.falls(-0.02, -0.05, 0.0, bounds="5 draws") == (
        "rises by 0.02 (5 draws: 0.00 to 0.05)"
    )
    assert prose.falls(0, -0.01, 0.0, bounds="5 draws") == (
        "does not change (5 draws: drop −0.010 to 0.000)"
    )


@pytest.mark.parametrize(
    ("excess", "said"),
    [
        ((0.108, 0.104, 0.112), "0.108 (0.104 to 0.112) more"),
        ((-0.027, -0.06, 0.01), "0.03 (−0.01 to 0.06) less"),
        ((-0.0001,), "0.000 more"),
        ((math.nan,), "– more"),
    ],
)
def test_an_excess_is_more_or_less(excess: tuple[float, ...], said: str) -> None:
    assert prose.more(*excess) == said


def test_no_layer_is_named_where_none_is_shown_to_cost() -> None:
    layers = pd.DataFrame([
        {"operator": "mean", "layer": layer, "fraction": 0.5, "drop": drop, "drop_low": drop - 0.01,
         "drop_high": drop + 0.01, "random_drop": 0.0, "random_low": 0.0, "random_high": 0.0}
        for layer, drop in ((1, -0.05), (2, -0.027))
    ])  # fmt: skip
    unknown = {"value": None, "largest": -0.027, "reason": "not shown"}
    result = FakeResult(
        findings={"redundancy": {"layers": layers}},
        summary={"redundancy": {"costliest_layer": unknown}},
    )
    assert SECTIONS["layers"](result).answer[0] == (
        "No single layer is shown to cost accuracy under mean silencing: with the one that costs "
        "most it rises by 0.027, the largest of 2 cells."
    )


TURNED = (
    "removal", "sites", "constants", "faults", "inputs", "pathways", "given",
)  # fmt: skip
"""Sections that say how far accuracy or recall falls, where the fake run loses some."""


@pytest.mark.parametrize("name", TURNED)
def test_where_everything_rises_nothing_is_said_to_fall(full: FakeResult, name: str) -> None:
    assert "rises by" not in " ".join(SECTIONS[name](full).answer)
    said = " ".join(SECTIONS[name](_turned(full)).answer)
    assert "rises by" in said
    assert "falls by" not in said


def test_no_section_speaks_backwards(full: FakeResult) -> None:
    turned = _turned(full)
    for name, build in SECTIONS.items():
        assert BACKWARDS.findall(" ".join(build(turned).answer)) == [], name


def _turned(result: FakeResult) -> FakeResult:
    """The same run with every drop and excess turned into a rise."""
    tables = {
        finding: {name: _rising(table) for name, table in tables.items()}
        for finding, tables in result.findings.items()
    }
    return replace(result, findings=tables, summary=_summary(result.summary))


def _rising(table: pd.DataFrame) -> pd.DataFrame:
    """Minus the size of every drop, its interval ends swapped with it."""
    turned = table.copy()
    for column in table.columns:
        stem = str(column).removesuffix("_drop") if column != "drop" else "drop"
        if not (str(column).endswith("drop") or column in ("excess", "value")):
            continue
        size = pd.to_numeric(table[column], errors="coerce").abs() + 0.001
        turned[column] = -size
        for names in {(f"{column}_low", f"{column}_high"), (f"{stem}_low", f"{stem}_high")}:
            if {*names} <= {*table.columns}:
                turned[names[0]], turned[names[1]] = -size - 0.01, -size + 0.01
    return turned


def _summary(given: Mapping[str, Any]) -> dict[str, Any]:
    """Drops of the summary turned likewise; all of these parts are drops."""
    turned = dict(given)
    for part in ("agreement", "pathways", "sites"):
        turned[part] = _negative(given[part])
    return turned


def _negative(given: Any) -> Any:
    if not isinstance(given, Mapping):
        return given
    found = {name: _negative(value) for name, value in given.items()}
    if "low" in given and isinstance(given["low"], float):
        found |= {"value": -given["value"], "low": -given["high"], "high": -given["low"]}
    for name in ("drop", "direct_drop"):
        if name in given:
            found[name] = -abs(given[name])
    return found
