"""How strong the evidence behind a row is, in the same words for every row."""

from __future__ import annotations

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Result
from synapse_audit.summary import Figure

NOT_MEASURED = "Not measured in this run."


def examples(result: Result) -> str:
    """``240 examples``; empty where the run does not say."""
    n = saved.dig(result.summary, "n_evaluate")
    return prose.plural(int(n), "example") if n else ""


def controls(result: Result) -> str:
    """Random draws beside each curve, and whether a test rests on them."""
    facts = saved.facts(result)
    if not facts.draws:
        return ""
    tested = "tested" if facts.tests else "too few for a test"
    return f"{prose.plural(int(facts.draws), 'random control')}, {tested}"


def joined(*parts: str) -> str:
    """What is known, apart by semicolons."""
    return "; ".join(part for part in parts if part)


def because(estimate: Figure) -> str:
    """Why a figure is unknown, as a sentence of its own."""
    reason = prose.plain(estimate.reason)
    return f"Not shown: {reason}." if reason else NOT_MEASURED
