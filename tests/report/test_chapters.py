"""Chapters list what ran; what did not is one line with what adds it."""

from __future__ import annotations

from dataclasses import replace

from synapse_audit.plan.trimming import TRIMMED_FIRST
from synapse_audit.report import SECTIONS, contents
from synapse_audit.report.kit.chapters import CHAPTERS
from synapse_audit.report.kit.contents import Contents, Missing

from .fakes import FakeResult


def missing(result: FakeResult) -> dict[str, Missing]:
    found = contents(result).chapters.values()
    return {one.label: one for chapter in found for one in chapter.missing}


def without(result: FakeResult, *findings: str) -> FakeResult:
    return replace(result, findings={k: v for k, v in result.findings.items() if k not in findings})


def test_every_section_has_a_chapter_and_every_chapter_a_section() -> None:
    assert {entry.chapter for entry in SECTIONS.values()} == set(CHAPTERS)
    assert len(CHAPTERS) == 7


def test_groups_that_a_budget_leaves_out_are_named_as_the_plan_names_them() -> None:
    named = {entry.trimmed for entry in SECTIONS.values() if entry.trimmed}
    assert named <= set(TRIMMED_FIRST)
    assert len(named) > 3


def test_a_full_run_lists_everything_in_order(found: Contents) -> None:
    listed = [name for chapter in found.chapters.values() for name in chapter.sections]
    assert listed == list(SECTIONS)
    assert not any(chapter.missing for chapter in found.chapters.values())


def test_what_was_not_asked_for_says_which_option_adds_it(full: FakeResult) -> None:
    absent = missing(without(full, "detection", "seeds", "paper"))
    assert absent["Alarms"].command.endswith("--benign CLASS --out runs/benign")
    assert "--seeds 3" in absent["Seeds"].command
    assert "--preset paper" in absent["The paper's protocol"].command
    assert all(one.why == "" for one in absent.values())


def test_the_time_budget_is_blamed_only_for_what_it_left_out(full: FakeResult) -> None:
    config = {**full.manifest["config"], "time_budget": 90.0}
    manifest = {**full.manifest, "config": config, "left_out": ["attacks on the input"]}
    absent = missing(replace(full, findings={}, manifest=manifest))
    assert absent["Attacks on the input"].why == "left out for the time budget"
    assert "--time-budget" not in absent["Attacks on the input"].command
    assert absent["The paper's protocol"].why == ""


def test_what_no_option_adds_says_why(full: FakeResult) -> None:
    absent = missing(replace(full, findings={}))
    assert absent["Attacks on the input"].command == "", "the preset is standard already"
    assert absent["Attacks on the input"].why.startswith("the run attacked no input")


def test_what_only_texts_can_have_is_not_offered_for_images(full: FakeResult) -> None:
    lacking = replace(full, findings={})
    assert "--attack text" in missing(lacking)["Typed edits"].command
    data = {**lacking.manifest["data"], "kind": "image"}
    images = replace(lacking, manifest={**lacking.manifest, "data": data})
    assert "Typed edits" not in missing(images)
