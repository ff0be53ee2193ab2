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
    assert "do no harm: at worst accuracy rises by 0.010 (−0.005" in said(full)
    harmful = paper_summary() | {"exclusive": {"value": 0.3, "low": 0.25, "high": 0.35}}
    changed = replace(full, summary={**full.summary, "paper": harmful})
    assert "can do harm: at worst accuracy falls by 0.30" in said(changed)


def test_classes_are_told_apart_only_where_their_intervals_do_not_overlap(full: FakeResult) -> None:
    assert "0.50 (0.48 to 0.52), ranked for “xss”, and 0.70 (0.68 to 0.72), for “norm”" in said(
        full
    )
    assert "which hold for all classes at once, do not overlap." in said(full)
    sets = paper_summary()["class_sets"]
    sets["most"] |= {"value": 0.51, "low": 0.49, "high": 0.53}
    changed = full.summary | {"paper": paper_summary() | {"class_sets": sets}}
    assert "overlap, so which class is which is not shown" in said(replace(full, summary=changed))


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
