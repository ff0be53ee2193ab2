"""What the section on the paper's protocol says of given numbers."""

from dataclasses import replace

import pandas as pd
import pytest

from synapse_audit.report.kit.saved import headline
from synapse_audit.report.sections.paper import paper

from .fakes import FakeResult, make_result
from .paper_tables import paper_summary


@pytest.fixture(scope="module")
def full() -> FakeResult:
    return make_result()


def said(result: FakeResult) -> str:
    return " ".join(paper(result).answer)


def test_a_curve_below_its_controls_is_called_so(full: FakeResult) -> None:
    assert "0.85 (0.83 to 0.87), below the band of one more random set (0.870 to 0.910)" in said(
        full
    )


def test_a_curve_among_its_controls_is_called_so(full: FakeResult) -> None:
    summary = paper_summary()
    summary["zero"] = summary["zero"] | {"f1_at_half": {"value": 0.9, "low": 0.88, "high": 0.92}}
    changed = replace(full, summary={**full.summary, "paper": summary})
    assert "0.90 (0.88 to 0.92), inside the band of one more random set" in said(changed)


def test_harmless_sets_are_called_harmless(full: FakeResult) -> None:
    assert "do no harm: at worst accuracy rises by 0.01 (−0.01" in said(full)
    tables = full.findings["paper"]
    harmful = tables["exclusive"].assign(drop=0.3, drop_high=0.35)
    findings = {**full.findings, "paper": {**tables, "exclusive": harmful}}
    assert "can do harm: at worst accuracy falls by 0.30" in said(replace(full, findings=findings))


def test_published_numbers_are_named_as_others(full: FakeResult) -> None:
    section = paper(full)
    zero = section.groups[0].figures[0]
    names = [trace.get("hovertemplate", "") for trace in zero.spec["data"]]
    assert any("published, BigBird" in name for name in names)
    assert not any("published" in str(trace) for trace in section.groups[0].figures[1].spec["data"])
    assert any("another model on other data" in text for text in section.reading)
    assert section.tables[-1].title == "Printed in the paper: other models, other data"


def test_a_run_without_the_settings_says_so_in_one_line() -> None:
    assert paper(FakeResult()).answer[0].startswith("This section is empty: the run did not ask")


def test_shared_controls_are_not_drawn_beside_a_ranking_with_controls_of_its_own() -> None:
    rows = [("random", None), ("random", "paper"), ("top", "paper"), ("matched", None)]
    table = pd.DataFrame(rows, columns=["selection", "ranking"])
    assert headline(table, "paper").index.tolist() == [1, 2, 3]
    shared = table.replace({"ranking": {"paper": "probe"}}).drop(index=1)
    assert headline(shared, "probe").index.tolist() == [0, 2, 3]
