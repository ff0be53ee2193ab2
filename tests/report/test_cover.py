"""The first screen: true in the null case, silent about what was not measured."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from synapse_audit.report import SECTIONS
from synapse_audit.report.cover import ROWS, cover
from synapse_audit.report.kit.contents import Row

from .fakes import FakeResult


def row(name: str, result: FakeResult) -> Row:
    found = ROWS[name](result)
    assert found is not None
    return found


def fragility(**drops: float) -> FakeResult:
    table = pd.DataFrame({"class": list(drops), "support": 40, "mean_drop": list(drops.values())})
    return FakeResult(findings={"asymmetry": {"fragility": table}})


def test_a_full_run_answers_every_question(full: FakeResult) -> None:
    found = cover(full)
    assert len(found.rows) == len(ROWS) == 8
    assert {one.link for one in found.rows} <= set(SECTIONS)
    said = " ".join(f"{one.answer} {one.figure} {one.evidence}" for one in found.rows)
    assert not re.search(r"\bnan\b|None|–", f"{said} {found.verdict}")
    assert found.verdict.startswith("Accuracy 0.962 (0.951 to 0.973); ")
    assert "preset standard" in found.facts


def test_an_empty_run_claims_nothing() -> None:
    found = cover(FakeResult())
    assert [one.label for one in found.rows] == ["accuracy"]
    assert (found.rows[0].figure, found.rows[0].answer) == ("", "Not measured in this run.")
    assert found.verdict == "Accuracy is unknown."
    assert found.steps == ()


@pytest.mark.parametrize("attribute", ["predictions", "probes", "effects", "manifest", "summary"])
def test_whatever_is_missing_the_cover_stands(full: FakeResult, attribute: str) -> None:
    empty = {} if attribute in {"summary", "manifest"} else pd.DataFrame()
    assert cover(replace(full, **{attribute: empty})).rows


def test_where_nothing_is_lost_no_class_is_named() -> None:
    found = row("fragile", fragility(a=0.0, b=0.0, c=0.0004))
    assert found.answer == "None is shown to be: no class lost recall in what was silenced."
    assert found.figure == ""
    assert not re.search("“", f"{found.answer}{found.brief}")


def test_ties_are_listed() -> None:
    found = row("fragile", fragility(a=0.2, b=0.2, c=0.1))
    assert "“a” and “b” lose as much as each other" in found.answer
    assert "“c”" not in found.answer


def test_one_class_is_named_with_what_is_doubtful() -> None:
    one = fragility(a=0.3, b=0.1)
    reason = {"value": None, "low": None, "high": None, "reason": "12 examples cannot show it"}
    doubtful = replace(one, summary={"asymmetry": {"most_fragile": reason}})
    assert (
        row("fragile", one).answer == "“a” loses most recall, on average over the shares silenced."
    )
    assert row("fragile", doubtful).answer.endswith(
        "Not shown beyond this sample: 12 examples cannot show it."
    )


def spare(**figures: Any) -> Row:
    return row("spare", FakeResult(summary={"redundancy": figures}))


def test_an_unknown_plateau_is_not_zero() -> None:
    reason = "a loss below 0.02 cannot be shown with 119 examples"
    found = spare(plateau={"value": None, "low": None, "high": None, "reason": reason})
    assert found.answer == f"Not shown: {reason}."
    assert found.figure == ""


def test_a_plateau_carries_the_limit_that_it_has() -> None:
    shown = {"value": 0.25, "low": 0.1, "high": 0.5}
    whole = {"value": 0.5, "low": 0.5, "high": None}
    bare = {"value": 0.25, "low": None, "high": None}
    assert spare(plateau=shown).figure == "25% (at least 10%)"
    assert spare(plateau=whole).figure == "50% (at least 50%)"
    assert spare(plateau=bare).figure == "25%"


def test_the_half_point_is_a_bracket() -> None:
    bracket = {"value": 0.739, "low": 0.7, "high": 0.75}
    never = {"value": None, "low": None, "high": None, "reason": "never lost in what was tried"}
    plateau = {"value": 0.25, "low": 0.1, "high": None}
    said = "Half of the accuracy above chance is gone between 70% and 75%."
    assert spare(plateau=plateau, half_point=bracket).answer.endswith(said)
    assert spare(plateau=plateau, half_point=never).answer.endswith("in what was tried.")


UNKNOWN = {"value": None, "low": None, "high": None}


def weakest(**spaces: dict[str, float]) -> FakeResult:
    """Of the smallest sizes found per space: ``redirects`` to “a”, ``halves``."""
    found = {
        space: {
            name: {"value": sizes[name], "low": None, "high": sizes[name], "aimed": "a", "tried": 9}
            if name in sizes
            else UNKNOWN
            for name in ("redirects", "halves")
        }
        for space, sizes in spaces.items()
    }
    return FakeResult(summary={"weakest": found})


def test_the_smallest_change_is_taken_over_every_space() -> None:
    found = row("cheapest", weakest(logit={"redirects": 0.63}, weight={"redirects": 0.4}))
    assert found.figure == "at most 40%"
    assert found.answer == (
        "Editing the head by 40% of its norm sends half of the other examples to “a”. "
        "Smallest found elsewhere: logits 63%."
    )
    assert found.evidence.endswith("smallest of 9 tried in this space, of 2 spaces")


def test_the_smaller_of_redirecting_and_halving_is_named() -> None:
    found = row("cheapest", weakest(neuron={"redirects": 0.9, "halves": 0.6}))
    assert found.answer == (
        "Changing the activations by 60% of their norm takes half of the accuracy above chance."
    )


def test_targets_that_tie_are_all_named() -> None:
    table = pd.DataFrame(
        {"target": ["a", "b", "c"], "space": "weight", "budget": [0.5, 0.5, 0.9]}
    ).assign(level=0.5, unit="relative L2")
    result = replace(weakest(weight={"redirects": 0.5}), findings={"profile": {"reach": table}})
    assert "to “a” or “b”." in row("cheapest", result).answer


def test_where_nothing_is_enough_the_row_says_so() -> None:
    found = row("cheapest", weakest(weight={}, logit={}))
    assert found.answer.startswith("Nothing tried redirects half")
    assert found.figure == ""


def test_a_few_bits_are_cheaper_than_any_share() -> None:
    found = row("cheapest", weakest(weight={"redirects": 0.01}, bits={"halves": 2.0}))
    assert found.figure == "at most 2 flipped bits"
    assert found.answer.startswith("2 flipped bits take half of the accuracy above chance.")
    single = row("cheapest", weakest(bits={"redirects": 1.0}))
    assert single.answer == "1 flipped bit sends half of the other examples to “a”."


def test_what_is_proved_impossible_stands_beside_what_was_found() -> None:
    result = weakest(weight={"redirects": 0.3})
    edit = {"value": 0.3, "low": 0.2714, "high": 0.4}
    found = row("cheapest", replace(result, summary={**result.summary, "head_edit": edit}))
    assert found.figure == "at most 30%, impossible below 27%"
    assert "No edit of the head up to 27% of its norm can redirect half" in found.answer
    halved = weakest(weight={"halves": 0.3})
    found = row("cheapest", replace(halved, summary={**halved.summary, "head_edit": edit}))
    assert found.figure == "at most 30%", "the bound is about redirecting, not about accuracy"


def test_classes_that_cannot_be_ordered_are_all_named_and_none_wins() -> None:
    tied = {**UNKNOWN, "reason": "indistinguishable: a, b", "tied": ["a", "b"]}
    table = fragility(a=0.3, b=0.25, c=0.0)
    result = replace(table, summary={"asymmetry": {"most_fragile": tied}})
    found = row("fragile", result)
    assert found.answer == "“a” and “b” lose most recall; which of them loses most is not shown."
    assert "“a” and “b”" in found.brief
    every = row("fragile", replace(fragility(a=0.3, b=0.25), summary=result.summary))
    assert every.answer == "Not shown: no class loses clearly more recall than another."
    # “c” is what a collapsed model answers, so it cannot lose: nobody loses more than anybody.
    collapsed = {"most_fragile": tied, "gap": {"value": 0.05, "collapses_to": "c"}}
    found = row("fragile", replace(table, summary={"asymmetry": collapsed}))
    assert found.answer == every.answer


def test_the_worst_leak_is_taken_over_every_space_with_an_interval_for_all() -> None:
    detection = {"benign": "norm", "missed_alarm": {"value": 0.03, "low": 0.01, "high": 0.05}}
    spaces = {
        "weight": {"missed": {"value": 0.9, "low": 0.8, "high": 1.0, "operator": "push"}},
        "logit": {"missed": {"value": 0.95, "low": 0.9, "high": 1.0, "operator": "shift"}},
    }
    found = row("alarms", FakeResult(summary={"detection": detection, "weakest": spaces}))
    assert found.figure == "missed 0.03 (0.01 to 0.05)"
    assert "In the worst experiment of this sample 0.950 pass (logits, shift)." in found.answer


@pytest.mark.parametrize(
    ("gap", "said"), [(1.9e-6, "logits within 2·10⁻⁶"), (0.0, "logits identical")]
)
def test_how_near_the_routes_come_to_plain_hooks(full: FakeResult, gap: float, said: str) -> None:
    routes = {"stream": {"used": True, "largest_gap": gap}}
    manifest = {**full.manifest, "routes": routes}
    assert cover(replace(full, manifest=manifest)).rows[-1].figure == said


def test_small_classes_weaken_trust_and_make_a_step(full: FakeResult) -> None:
    table = pd.DataFrame({"class": ["a", "b"], "support": [12, 300], "mean_drop": [0.1, 0.2]})
    findings = {**full.findings, "asymmetry": {"fragility": table}}
    found = cover(replace(full, findings=findings))
    assert "1 class has fewer than 30 examples" in found.rows[-1].answer
    # 18 more evaluated ones, of which the split takes 1,000 of 2,500 rows: 45, in tens.
    assert found.steps[0].text.endswith("“a” has 12 evaluated examples: add about 50.")


def test_the_budget_is_named_where_it_left_things_out(full: FakeResult) -> None:
    config = {**full.manifest["config"], "time_budget": 60.0}
    manifest = {**full.manifest, "left_out": ["single layers"], "config": config}
    steps = cover(replace(full, manifest=manifest)).steps
    (step,) = [one for one in steps if "time budget" in one.text]
    assert "single layers" in step.text
    assert "--time-budget" not in step.command
