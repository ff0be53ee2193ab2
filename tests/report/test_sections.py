"""Every section on full, partial and empty results, and sentences against known numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from synapse_audit.report import SECTIONS
from synapse_audit.report.kit.contents import Section
from synapse_audit.report.kit.page import embed
from synapse_audit.report.quoted.names import model_name

from .fakes import FakeResult, make_result
from .watched import Watched

ATTRIBUTES = {"predictions", "probes", "rankings", "effects", "summary", "manifest"}
UNREAD = {
    ("agreement", "overlap"),
    ("agreement", "dissociation"),
    ("certificates", "fewest_silenced"),
}
"""Tables that no section reads: the run keeps them for analyses of one's own."""


@pytest.fixture(scope="module")
def watched(full: FakeResult) -> Mapping[str, Watched]:
    """Section → what it reads of the full run: nothing else can matter to it."""
    found = {name: Watched(full) for name in SECTIONS}
    for name, run in found.items():
        SECTIONS[name](run)
    return found


def words_of(section: Section) -> str:
    texts = [*section.answer, *section.reading, *section.limits, section.heading]
    texts += [figure.alt for group in section.groups for figure in group.figures]
    return " ".join(texts)


def without(result: FakeResult, finding: str, table: str) -> FakeResult:
    kept = {name: frame for name, frame in result.findings[finding].items() if name != table}
    return replace(result, findings={**result.findings, finding: kept})


@pytest.mark.parametrize("name", SECTIONS)
def test_full_section_says_shows_and_explains(name: str, built: Mapping[str, Section]) -> None:
    section = built[name]
    assert section.heading.endswith("?")
    assert section.answer
    assert not re.search(r"\bnan\b|None|inf\b", words_of(section))
    assert section.ran
    assert section.tables
    assert section.reading
    assert section.limits
    assert bool(section.groups) == (name not in ("method", "advice"))


@pytest.mark.parametrize("name", SECTIONS)
def test_empty_section_says_why(name: str) -> None:
    section = SECTIONS[name](FakeResult())
    assert section.answer
    assert not section.ran
    assert not re.search(r"\bnan\b|None", words_of(section))


def test_every_table_is_read_by_some_section(
    full: FakeResult, watched: Mapping[str, Watched]
) -> None:
    every = {(finding, table) for finding, tables in full.findings.items() for table in tables}
    assert every - {path for run in watched.values() for path in run.tables} == UNREAD


@pytest.mark.parametrize("name", SECTIONS)
def test_any_missing_table_is_survived(
    name: str, full: FakeResult, watched: Mapping[str, Watched]
) -> None:
    for finding, table in watched[name].tables:
        section = SECTIONS[name](without(full, finding, table))
        assert section.answer, table
        assert all(group.figures for group in section.groups), table
        assert all(made.rows for made in section.tables), table


@pytest.mark.parametrize("name", SECTIONS)
def test_any_table_without_numbers_is_survived(
    name: str, full: FakeResult, watched: Mapping[str, Watched]
) -> None:
    for finding, table in watched[name].tables:
        frame = full.findings[finding][table]
        numbers = frame.select_dtypes("number").columns
        blank = frame.assign(**{str(column): float("nan") for column in numbers})
        tables = {**full.findings[finding], table: blank}
        section = SECTIONS[name](replace(full, findings={**full.findings, finding: tables}))
        assert section.answer, table
        embed([figure.spec for group in section.groups for figure in group.figures])


@pytest.mark.parametrize("name", SECTIONS)
def test_any_missing_attribute_is_survived(
    name: str, full: FakeResult, watched: Mapping[str, Watched]
) -> None:
    for attribute in sorted(watched[name].attributes & ATTRIBUTES):
        empty = {} if attribute in {"summary", "manifest"} else pd.DataFrame()
        assert SECTIONS[name](replace(full, **{attribute: empty})).answer, attribute


@pytest.fixture(scope="module", params=[2, 28])
def of_classes(request: pytest.FixtureRequest) -> FakeResult:
    """A run of so many classes."""
    return make_result([str(i) for i in range(request.param)], layers=2)


@pytest.mark.parametrize("name", SECTIONS)
def test_few_and_many_classes(name: str, of_classes: FakeResult) -> None:
    assert SECTIONS[name](of_classes).answer


@pytest.mark.parametrize("name", SECTIONS)
def test_specifications_are_valid_plotly(name: str, built: Mapping[str, Section]) -> None:
    for group in built[name].groups:
        for figure in group.figures:
            text = re.sub(r'"@[a-z0-9-]+"', '"#123456"', json.dumps(figure.spec))
            go.Figure(json.loads(text))


def answer(name: str, result: FakeResult) -> str:
    return " ".join(SECTIONS[name](result).answer)


def test_a_significant_curve_is_called_so(full: FakeResult) -> None:
    said = answer("removal", full)
    assert "hurt more than equally many random ones" in said
    assert "p adj = 0.004" in said


def with_p(result: FakeResult, p: float) -> FakeResult:
    tests = result.findings["redundancy"]["tests"].assign(p_adjusted=p)
    redundancy = {**result.findings["redundancy"], "tests": tests}
    return replace(result, findings={**result.findings, "redundancy": redundancy})


def test_an_insignificant_curve_is_not(full: FakeResult) -> None:
    assert "hurt no more than equally many random ones" in answer("removal", with_p(full, 0.4))


def test_quick_says_that_it_reports_no_tests() -> None:
    quick = make_result(tests=False)
    for name in ("removal", "matrix"):
        assert "No test is reported" in answer(name, quick)


def test_a_sublayer_is_named_only_where_it_differs_from_the_others(full: FakeResult) -> None:
    attention, output, activations, head = SECTIONS["sites"](full).answer
    assert attention == (
        "With the whole attention output in layer 6 silenced, accuracy falls by 0.12 "
        "(0.05 to 0.19), the most."
    )
    assert output == (
        "The MLP output of no single layer is shown to cost accuracy "
        "(with the costliest silenced, accuracy falls by 0.060 in this sample)."
    )
    assert "of the costliest layer silenced" in activations
    assert activations.endswith("layers 5 and 6 are indistinguishable in that.")
    assert head.startswith("With the whole head input silenced, accuracy falls by 0.60")


def test_a_target_of_steering_is_named_only_where_it_differs_from_the_others(
    full: FakeResult,
) -> None:
    tied, alone = SECTIONS["steering"](full).answer
    assert "one class (“norm” and “sqli” are indistinguishable)" in tied
    assert alone == (
        "Shifted by the class's distance from the average, 50% of every block sends at most "
        "0.50 (0.40 to 0.60) of the other examples to “norm”; as many random neurons send 0.100."
    )


def small(**tables: Any) -> FakeResult:
    return FakeResult(findings={"asymmetry": tables})


def fragility(*rows: tuple[str, float, float, float]) -> pd.DataFrame:
    columns = ["class", "mean_drop", "mean_drop_low", "mean_drop_high"]
    return pd.DataFrame(rows, columns=columns)


def test_overlapping_classes_are_not_ordered() -> None:
    result = small(fragility=fragility(("a", 0.2, 0.1, 0.3), ("b", 0.15, 0.05, 0.25)))
    assert "it is not shown that “a” is more fragile" in answer("classes", result)


def test_separate_classes_are_ordered() -> None:
    result = small(fragility=fragility(("a", 0.4, 0.35, 0.45), ("b", 0.15, 0.05, 0.25)))
    said = answer("classes", result)
    assert "“a” loses most recall: 0.400, and “b” next: 0.150." in said
    assert "The 95% interval of “a” lies above that of every other class." in said


def test_ties_are_listed_and_zeros_name_no_class() -> None:
    tied = small(fragility=fragility(("a", 0.2, 0.1, 0.3), ("b", 0.2, 0.1, 0.3), ("c", 0.1, 0, 1)))
    assert "“a” and “b” lose most recall, 0.200 each" in answer("classes", tied)
    none = small(fragility=fragility(("a", 0.0, 0.0, 0.1), ("b", 0.0, 0.0, 0.1)))
    said = answer("classes", none)
    assert "none is shown to be fragile" in said
    assert "“" not in said


def test_confusion_matches_a_hand_count() -> None:
    predictions = pd.DataFrame({"label": [0, 0, 0, 1], "predicted": [0, 0, 1, 1]})
    result = FakeResult(summary={"classes": ["no", "yes"]}, predictions=predictions)
    section = SECTIONS["clean"](result)
    assert section.tables[0].rows == (
        ("no", "3", "1.000", "0.667", "0.800"),
        ("yes", "1", "0.500", "1.000", "0.667"),
    )
    assert "0.750 of the rows" in section.answer[0]


def test_no_class_is_lowest_where_recalls_tie() -> None:
    def said(labels: list[int], predicted: list[int]) -> str:
        table = pd.DataFrame({"label": labels, "predicted": predicted})
        result = FakeResult(summary={"classes": ["a", "b", "c"]}, predictions=table)
        return SECTIONS["clean"](result).answer[1]

    assert said([0, 1, 2], [0, 1, 2]) == "Every class has a recall of 1.000."
    two, one = said([0, 0, 1, 1, 2], [0, 1, 1, 2, 2]), said([0, 0, 1, 2], [0, 1, 1, 2])
    lowest = "Recall is lowest for “a” and “b”: 0.500 each."
    assert two == f"{lowest} The commonest mistakes occur 1 time each."
    lowest = "Recall is lowest for “a”: 0.500 of 2 examples."
    assert one == f"{lowest} The commonest mistake is to call “a” “b” (1 time)."


def test_confusion_uses_the_weights() -> None:
    columns = {"label": [0, 0, 1], "predicted": [0, 1, 1], "weight": [3.0, 1.0, 1.0]}
    result = FakeResult(summary={"classes": ["no", "yes"]}, predictions=pd.DataFrame(columns))
    assert SECTIONS["clean"](result).tables[0].rows[0] == ("no", "2", "1.000", "0.750", "0.857")


def test_a_class_the_summary_lacks_keeps_its_number() -> None:
    predictions = pd.DataFrame({"label": [0, 1], "predicted": [0, 2]})
    rows = SECTIONS["clean"](FakeResult(predictions=predictions)).tables[0].rows
    assert [row[0] for row in rows] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("org/bert", "org/bert"),
        ("bert", "bert"),
        ("/home/me/runs/model", "runs/model"),
        ("../models/minilm", "minilm"),
        ("a/b/checkpoint-500", "b/checkpoint-500"),
    ],
)
def test_model_names_show_the_part_that_says_something(given: str, shown: str) -> None:
    assert model_name(FakeResult(summary={"model": given})) == shown


def test_a_collapsed_model_is_called_so() -> None:
    curves = pd.DataFrame({"class": ["a", "b"], "fraction": 0.8, "recall": [1.0, 0.0]})
    result = small(fragility=fragility(("b", 0.4, 0.3, 0.5), ("a", 0.0, 0.0, 0.0)), curves=curves)
    assert "nearly everything is called “a”" in answer("classes", result)


def test_no_candidate_is_not_the_same_as_not_tried(full: FakeResult) -> None:
    empty = full.findings["redundancy"]["constants"].head(0)
    findings = {**full.findings, "redundancy": {"constants": empty}}
    assert "looked like a constant" in answer("constants", replace(full, findings=findings))
    assert "tested no single neuron" in answer("constants", FakeResult())


def test_the_smallest_edit_names_every_class_that_it_reaches(full: FakeResult) -> None:
    edit = {"value": 0.4, "low": 0.3, "high": 0.7, "targets": ["a", "b"], "tried": 62,
            "rate": {"value": 0.6, "low": 0.45, "high": 0.75}}  # fmt: skip
    said = answer("redirect", with_summary(full, head_edit=edit))
    assert "has 40% of the head's weight norm (to “a” and “b”, at most 0.60 (0.45 to 0.75)" in said
    assert "An edit of 70% surely redirects half of such examples, whichever of the 62" in said
    unsure = answer("redirect", with_summary(full, head_edit=edit | {"high": None}))
    assert "No edit tried is shown to redirect half of such examples" in unsure
    none = answer("redirect", with_summary(full, head_edit={"value": None, "low": 0.3}))
    assert none.startswith("No edit tried redirects half of the examples to any class.")


def test_no_candidate_that_bears_load_is_named_a_constant(full: FakeResult) -> None:
    tables = full.findings["redundancy"]
    none = {**tables, "constants": tables["constants"].assign(load_bearing=False)}
    said = answer("constants", replace(full, findings={**full.findings, "redundancy": none}))
    assert said.startswith("None of ")
    assert "is shown to bear load" in said


def test_no_alarm_missed_is_no_place_where_most_are_missed(full: FakeResult) -> None:
    removal = full.summary["detection"]["removal"]
    missed = {"value": 0.0, "low": 0.0, "high": 0.39}
    unseen = {name: {**found, "missed_alarm": missed} for name, found in removal.items()}
    detection = {**full.summary["detection"], "removal": unseen}
    said = answer("detection", with_summary(full, detection=detection))
    assert "silencing is not seen to let an attack pass at any share tried; 0.390 of them" in said
    assert "lets most attacks pass" not in said


def with_summary(result: FakeResult, **figures: Any) -> FakeResult:
    return replace(result, summary={**result.summary, **figures})


def test_a_part_through_other_tokens_is_judged_by_its_interval(full: FakeResult) -> None:
    said = answer("pathways", full)
    assert "0.01 (−0.02 to 0.04), at 50% of neurons, where accuracy falls by 0.200 in" in said
    assert "in all and falls by 0.190 directly: it is indistinguishable from none" in said
    assert "0.08 (0.05 to 0.11)" in said
    assert "they pass on part of the damage" in said
    assert "under mean silencing the answers agree on every exact example (242 cells)" in said
    assert "the answers differ on at most about 12% of any cell's examples (242 cells)" in said


def test_other_tokens_may_repair_or_take_no_part(full: FakeResult) -> None:
    parts = {
        "mean": {"largest_indirect": {"value": 1e-16, "low": -0.06, "high": 0.06, "n_exact": 50}},
        "zero": {"largest_indirect": {"value": -0.1, "low": -0.2, "high": -0.05, "fraction": 0.5}},
    }
    said = answer("pathways", with_summary(full, pathways=parts))
    assert "no part of the loss is seen to travel through other tokens" in said
    assert "within −0.060 to 0.060, judged by 50 exact examples" in said
    assert "they repair part of the damage" in said


def test_an_exact_run_says_why_nothing_is_split() -> None:
    figure = {"value": None, "low": None, "high": None, "reason": "all were run exactly"}
    result = FakeResult(summary={"pathways": {"mean": {"largest_indirect": figure}}})
    assert answer("pathways", result).endswith("(table pathways.split): all were run exactly.")


def test_a_capped_search_for_sets_says_so(full: FakeResult) -> None:
    assert "the search stopped there" not in answer("sufficiency", full)
    sets = {"value": 10.0, "low": None, "high": None, "capped": True}
    redundancy = {**full.summary["redundancy"], "disjoint_sets": sets}
    said = answer("sufficiency", with_summary(full, redundancy=redundancy))
    assert "At least 10 such sets without a common neuron exist; the search stopped there" in said


def test_method_says_how_much_is_estimated(full: FakeResult) -> None:
    manifest = {**full.manifest, "second_phase_half_width": 0.01}
    said = answer("method", replace(full, manifest=manifest))
    assert "500 of 900 cells are two-phase estimates" in said
    assert "on all 1\u202f000 examples, the exact route on a median of 80 of them" in said
    assert "at most 0.010 to the half width" in said
    assert "two-phase estimates" not in answer("method", replace(full, effects=full.effects[500:]))


def test_method_says_how_precise_comparators_are(full: FakeResult) -> None:
    def said(width: float) -> str:
        config = {**full.manifest["config"], "grid": {"comparator_width": width}}
        manifest = {**full.manifest, "second_phase_half_width": 0.02, "config": config}
        return answer("method", replace(full, manifest=manifest))

    assert "(0.040 for all but mean over all layers)" in said(2.0)
    assert "for all but mean over all layers" not in said(1.0)


def test_method_names_classes_without_experiments_of_their_own(full: FakeResult) -> None:
    assert "no experiments of their own" not in answer("method", full)
    manifest = {**full.manifest, "other_classes": ["woe", "rage"]}
    said = answer("method", replace(full, manifest=manifest))
    assert "2 have no experiments of their own" in said and "woe and rage" in said


def test_method_says_what_rests_on_a_sample_and_what_on_a_mean(full: FakeResult) -> None:
    assert "sample of the" not in answer("method", full) and "one control" not in answer(
        "method", full
    )
    tiers = full.effects.assign(tier="headline", half_width=0.01)
    tiers.loc[:9, ["tier", "half_width"]] = "exact-only", 0.04
    tiers.loc[:9, "n_exact"] = 250
    grid = {"pooled_controls": True}
    manifest = {**full.manifest, "config": {**full.manifest["config"], "grid": grid}}
    said = answer("method", replace(full, effects=tiers, manifest=manifest))
    assert "10 cells that only exact passes can answer" in said and "250 of them" in said
    assert "half width of a drop is 0.04" in said and "one control each" in said


def test_method_names_small_classes() -> None:
    table = pd.DataFrame({"class": ["a", "b", "c"], "support": [12, 400, 3]})
    limits = SECTIONS["method"](small(fragility=table)).limits
    assert limits[-1].endswith("fewer than 30 evaluate examples: “c” 3 and “a” 12.")
