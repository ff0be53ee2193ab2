"""What a report of several labels per example says: of labels, and only what the figures bear."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from synapse_audit.cli.closing import closing_lines
from synapse_audit.report import SET_SECTIONS, contents
from synapse_audit.report.cover import SET_ROWS, cover

from .fakes import FakeResult

MANIFEST = {"decision": {"several": True}, "not_covered": ["alarms, slices"]}


def labelled(**summary: Any) -> FakeResult:
    return FakeResult(manifest=MANIFEST, summary={"classes": ["joy", "awe", "woe"]} | summary)


def said(name: str, result: FakeResult) -> str:
    return " ".join(SET_SECTIONS[name](result).answer)


def easiest(value: float | None, *labels: str, high: float | None = None) -> dict[str, Any]:
    found = {"value": value, "low": None, "high": high, "labels": list(labels)}
    return found | ({} if value is not None else {"reason": "no push that was tried is enough"})


def test_a_label_that_is_taken_away_need_not_be_there() -> None:
    """All of a label's predictions may be wrong: they are no examples of it."""
    result = labelled(switching={"on": easiest(0.3, "awe"), "off": easiest(0.05, "joy", "woe")})
    row = SET_ROWS["cheapest"](result)
    assert row is not None
    away = "takes “joy” or “woe” away from half of the examples that are said to have it"
    assert row.answer == (
        f"An edit of one row of the head {away}: seen in this sample, not certain."
    )
    assert row.brief == f"an edit of 0.05 times a label's row {away}"
    on = labelled(switching={"on": easiest(0.3, "awe", high=0.4), "off": easiest(None)})
    row = SET_ROWS["cheapest"](on)
    assert row is not None
    assert "gives “awe” to half of the examples that are said not to have it: seen" in row.answer
    table = pd.DataFrame([{"label": "awe", "direction": "on", "budget": 0.3, "rate": 0.6}])
    sentences = said("switching", replace(on, findings={"switching": {"budgets": table}}))
    assert "said not to have it is 0.30 times its row (“awe”; surely by 0.40)" in sentences
    assert (
        "To take a label away from half of the examples that are said to have it: no push that was "
        "tried is enough." in sentences
    )


@pytest.mark.parametrize(
    ("ends", "shown"),
    [
        ((0.25, 0.8), " in this sample (95% interval 25% to 80%)."),
        ((0.0, 0.8), " in this sample (95% interval 0% to 80%)."),
        ((0.1, None), " in this sample (shown: beyond 10%, with no upper limit)."),
        ((0.0, None), " in this sample, which shows no limit to either side."),
    ],
)
def test_where_half_is_lost_carries_what_other_samples_may_give(
    ends: tuple[float, float | None], shown: str
) -> None:
    half = {"value": 0.3, "low": ends[0], "high": ends[1], "between": [0.25, 0.5]}
    table = pd.DataFrame([{"operator": "mean", "selection": "top", "fraction": 0.25}])
    result = replace(
        labelled(label_removal={"half_point": half}), findings={"label_removal": {"removal": table}}
    )
    assert f"is gone between 25% and 50%{shown}" in said("label_removal", result)


def test_labels_without_neurons_of_their_own_are_pushed_all_the_same() -> None:
    manifest = MANIFEST | {"other_classes": ["woe"]}
    sentences = said("method", replace(labelled(), manifest=manifest))
    assert "Of 3 labels, 1 has no experiments of their own (neurons ranked for them): woe." in (
        sentences
    )
    assert "edits toward them" not in sentences and "targets" not in sentences


def test_a_report_of_labels_speaks_of_labels() -> None:
    table = pd.DataFrame({"label": ["joy", "awe"], "support": [40, 7], "f1": 0.5})
    result = replace(labelled(), findings={"labels": {"labels": table}})
    fragile = pd.DataFrame({"label": ["joy"], "mean_drop": 0.1, "compared": True})
    result = replace(result, findings={**result.findings, "label_fragility": {"labels": fragile}})
    assert contents(result).chapters["fragile"].title == "Fragile labels"
    trust = next(row for row in cover(result).rows if row.label == "trust")
    assert "1 label has fewer than 30 examples" in trust.answer


def test_what_no_run_of_its_kind_has_is_said_once() -> None:
    """The terminal lists it when such a run begins."""
    assert not any("alarms" in line for line in closing_lines(contents(labelled()), seconds=1.0))


def test_dots_have_a_legend_of_their_own() -> None:
    rows = {"label": ["joy", "awe"], "mean_drop": [0.2, 0.1], "compared": True, "random_drop": 0.1}
    ends = {"mean_drop_low": 0.0, "mean_drop_high": 0.3}
    curves = pd.DataFrame({"label": ["joy", "awe"], "fraction": 0.5, "f1": 0.4})
    tables = {"labels": pd.DataFrame(rows | ends), "curves": curves}
    section = SET_SECTIONS["label_fragility"](
        replace(labelled(), findings={"label_fragility": tables})
    )
    assert [[one.name for one in group.legend] for group in section.groups] == [
        ["joy", "awe"],
        ["top-ranked", "random controls"],
    ]
