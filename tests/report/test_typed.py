"""Sentences of the section on typed edits."""

from report.typed_tables import typed_summary, typed_tables
from synapse_audit.report.sections.typed import _worst
from synapse_audit.summary import Figure


def test_the_picked_kind_has_no_interval_but_the_one_for_whichever_was_picked() -> None:
    facts = typed_summary()["worst"]
    beside = {name: facts[name] for name in ("attack", "tied")}
    worst = Figure(facts["value"], facts["low"], facts["high"], n=facts["n"], beside=beside)
    (said,) = _worst(worst, typed_tables(("a", "b"))["attacks"])
    assert said.count(" to ") == 1 and "(0.50 to 0.70)" in said
    assert said.endswith("random edits of the same kind and sizes: 0.300 in this sample.")
