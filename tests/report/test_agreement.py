"""Sentences of the section on rankings against known numbers."""

from dataclasses import replace
from typing import Any

import pytest

from synapse_audit.report.sections.agreement import agreement, name_of

from .fakes import FakeResult, make_result


def _with(result: FakeResult, **figures: Any) -> FakeResult:
    changed = {**result.summary["agreement"], **figures}
    return replace(result, summary={**result.summary, "agreement": changed})


def test_sentences_hold_the_figures() -> None:
    said = " ".join(agreement(make_result()).answer)
    assert "correlate at 0.31 (Spearman)" in said
    assert "closest are act. × gradient and conductance (0.72)" in said
    assert "furthest apart probe and conductance (−0.05)" in said
    assert "top of conductance costs 0.108 (0.104 to 0.112) more accuracy" in said
    assert "the most of 5 rankings" in said
    assert "conductance finds 98% of its top tenth again, iou 71%" in said
    assert "used but unreadable cost 0.09 (0.07 to 0.11) more accuracy than random" in said
    assert "single random draws" not in said


@pytest.mark.parametrize(("low", "outside"), [(-0.01, True), (0.005, False)])
def test_a_worth_that_chance_may_give_is_called_so(low: float, outside: bool) -> None:
    weak = {"value": 0.01, "low": low, "high": 0.03, "method": "probe", "rankings": 2}
    weak["outside_draws"] = outside
    said = " ".join(agreement(_with(make_result(), most_effective=weak)).answer)
    assert "single random draws cost as much" in said


def test_two_rankings_are_one_pair() -> None:
    pair = {"value": 0.5, "low": None, "high": None, "first": "probe", "second": "probeless"}
    result = _with(make_result(), spearman=pair, closest=pair, furthest=pair)
    first = agreement(result).answer[0]
    assert first.endswith("correlate at 0.50 (Spearman): probe and probeless (0.50).")


@pytest.mark.parametrize("missing", ["spearman", "most_effective", "steadiest", "readable_used"])
def test_an_unknown_figure_leaves_its_sentence_out(missing: str) -> None:
    unknown = {"value": None, "low": None, "high": None, "reason": "not run"}
    section = agreement(_with(make_result(), **{missing: unknown}))
    assert len(section.answer) == 3
    assert "None" not in " ".join(section.answer)


def test_the_most_costly_ranking_leads_the_dots() -> None:
    section = agreement(make_result())
    figures = {figure.title: figure for group in section.groups for figure in group.figures}
    worth = figures["What silencing the top costs beyond random sets"]
    assert worth.spec["layout"]["yaxis"]["ticktext"][0] == "conductance"
    assert len(figures) == 5


def test_names_are_readable() -> None:
    assert name_of("activation_gradient") == "act. × gradient"
    assert name_of("mutual_information") == "mutual information"
