"""Sentences of the section on typed edits."""

from report.typed_tables import typed_summary, typed_tables
from synapse_audit.report.sections.typed import _worst
from synapse_audit.report.sections.typed_guard import typed_guard
from synapse_audit.summary import Figure

from .fakes import FakeResult


def test_the_picked_kind_has_no_interval_but_the_one_for_whichever_was_picked() -> None:
    facts = typed_summary()["worst"]
    beside = {name: facts[name] for name in ("attack", "tied")}
    worst = Figure(facts["value"], facts["low"], facts["high"], n=facts["n"], beside=beside)
    (said,) = _worst(worst, typed_tables(("a", "b"))["attacks"])
    assert said.count(" to ") == 1 and "(0.50 to 0.70)" in said
    assert said.endswith("its random control of the same sizes: 0.300 in this sample.")


def test_behind_a_guard_the_silent_share_stands_beside_the_one_without_it(full: FakeResult) -> None:
    found = typed_guard(full)
    (said,) = found.answer
    assert "on a share of 0.80 (0.79 to 0.90) of the examples without the guard (40 att" in said
    assert "and of 0.40 (0.39 to 0.50) behind it without an alarm" in said
    assert "by an attacker who does not know the guard" in said
    (table,) = found.tables
    assert [row[:2] for row in table.rows][-2:] == [
        ("any of them", "all classes"), ("any of them", "cmdi")
    ]  # fmt: skip
    nobody = typed_guard(FakeResult(folder=None))
    assert not nobody.tables and "--evaluate --attack text" in nobody.answer[0]
