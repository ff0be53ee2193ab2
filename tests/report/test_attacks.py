"""What the sections on attacks and on the profile say of known numbers."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from synapse_audit.report import SECTIONS
from synapse_audit.report.sections.profile import _too_few

from .attack_tables import attack_tables, profile_tables
from .fakes import FakeResult

NAMES = ("norm", "sqli", "xss")


def _answer(name: str, **tables: pd.DataFrame) -> str:
    return " ".join(SECTIONS[name](FakeResult(findings={name: tables})).answer)


def _reach(*rows: tuple[str, str, float | None]) -> pd.DataFrame:
    return pd.DataFrame([
        {"target": target, "space": space, "unit": "bits" if space == "bits" else "relative L2",
         "level": 0.5, "budget": budget, "low": None, "high": None, "operator": "push",
         "collateral": 0.25}
        for target, space, budget in rows
    ])  # fmt: skip


def _pairs(*rows: tuple[float, float], classes: int = 12) -> pd.DataFrame:
    return pd.DataFrame([
        {"role": "target", "space": "neuron", "other": "weight", "classes": classes, "rho": rho,
         "low": rho, "high": rho, "p_value": p / 3, "p_adjusted": p}
        for rho, p in rows
    ])  # fmt: skip


def test_attacks_are_compared_at_one_size() -> None:
    said = _answer("inputs", **attack_tables(NAMES))
    assert "by 5% of their size, accuracy falls by 0.040 (0.030 to 0.050) under PGD" in said
    assert "Without the 4 positions that matter most, accuracy falls by 0.080 (0.070" in said
    assert "without as many random ones it falls by 0.040" in said


def test_the_easiest_target_carries_the_interval_of_all_of_them() -> None:
    table = attack_tables(NAMES)["attacks"]
    best = {"value": 0.4, "low": 0.2, "high": 0.6, "strength": 0.05, "target": "xss",
            "collateral": 0.25, "tied": ["sqli", "xss"]}  # fmt: skip
    result = FakeResult(
        findings={"inputs": {"attacks": table}}, summary={"inputs": {"aimed": best}}
    )
    said = " ".join(SECTIONS["inputs"](result).answer)
    assert "redirects most to “xss”: 0.4 (0.2 to 0.6) of the other examples" in said
    assert "with collateral 0.250; indistinguishable: “sqli” and “xss”" in said


def test_absolute_sizes_do_not_mix_with_relative_ones() -> None:
    table = attack_tables(NAMES)["attacks"]
    only = table[table["unit"] == "absolute"]
    assert _answer("inputs", attacks=only) == "Only attacks in absolute units were run."
    section = SECTIONS["inputs"](FakeResult(findings={"inputs": {"attacks": table}}))
    drawn = [trace["x"] for trace in section.groups[0].figures[0].spec["data"]]
    assert all(0.02 not in x for x in drawn)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("a", "weight", 0.2), ("b", "weight", 0.1)], "lies in head weights for every class"),
        ([("a", "weight", 0.2), ("b", "weight", None)], "head weights for 1 of 2 classes"),
        (
            [("a", "weight", 0.2), ("a", "logit", 0.1), ("b", "weight", 0.3)],
            "lies in logits for 1 and head weights for 1 of 2 classes",
        ),
        ([("a", "weight", None)], "No space redirects half"),
    ],
)
def test_the_weakest_side(rows: list[tuple[str, str, float | None]], said: str) -> None:
    assert said in _answer("profile", reach=_reach(*rows))


def test_the_least_of_all_is_named() -> None:
    said = _answer("profile", reach=_reach(("a", "weight", 0.2), ("b", "input", 0.1)))
    assert "The least of all is 10%, in input toward “b”, with collateral 0.250" in said


def test_of_targets_that_are_as_easy_none_is_picked() -> None:
    said = _answer("profile", reach=_reach(("a", "weight", 0.1), ("b", "weight", 0.1)))
    assert "The least of all is 10%, in head weights toward “a” and “b”, with collateral" in said


def test_bits_are_counted_apart() -> None:
    rows = [("a", "bits", 1.0), ("b", "bits", 3.0), ("a", "weight", 2.0)]
    said = _answer("profile", reach=_reach(*rows))
    assert "1 flipped bit redirects as many toward 1 of 2 classes" in said
    assert "The least of all is 200%, in head weights" in said


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (_pairs((-0.9, 0.001), (0.9, 0.9)), "1 oppose each other, of 2: the profiles complement"),
        (_pairs((0.9, 0.001), (0.2, 0.9)), "1 pair of spaces agree and 0 oppose"),
        (_pairs((-0.8, 0.2), (0.8, 0.3)), "unrelated orders of so many classes often"),
        (_pairs((-1.0, 0.4), classes=4), "4 classes are too few for any pair to pass a test"),
    ],
)
def test_complementarity_is_said_as_far_as_it_is_known(pairs: pd.DataFrame, said: str) -> None:
    assert said in _answer("profile", reach=_reach(("a", "weight", 0.2)), agreement=pairs)


def test_how_many_classes_a_test_needs() -> None:
    assert _too_few(5, 10)
    assert not _too_few(7, 10)
    assert not _too_few(28, 10)


def test_lines_show_the_best_within_the_budget() -> None:
    tables: dict[str, Any] = profile_tables(NAMES)
    points = tables["points"]
    worse = points[(points["space"] == "weight") & (points["budget"] == 2.0)]
    tables["points"] = pd.concat([points, worse.assign(budget=3.0, redirect_rate=0.0)])
    section = SECTIONS["profile"](FakeResult(findings={"profile": tables}))
    (group,) = [g for g in section.groups if g.title == "Per target"]
    assert len(group.figures) == len(NAMES)
    for figure in group.figures:
        for trace in figure.spec["data"]:
            assert trace["y"] == sorted(trace["y"])
