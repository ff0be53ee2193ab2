"""The row about guarantees: the accuracy that survives every edit of the head."""

from __future__ import annotations

from collections.abc import Mapping

from synapse_audit.report.cover.evidence import NOT_MEASURED, examples, joined
from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Result, Row

QUOTED = "0.1"
"""Relative size of the edit that the row speaks of, as a key of the summary."""


def guaranteed(result: Result) -> Row | None:
    """What no edit of the head within a tenth of its norm can take away."""
    tree = saved.dig(result.summary, "certificates")
    if tree is None:
        return None
    found = saved.estimate(tree, "l2", QUOTED)
    if not found.known:
        reason = prose.plain(saved.estimate(tree).reason)
        answer = f"Nothing: {reason}." if reason else NOT_MEASURED
        return Row("guarantee", QUESTION, answer, "", examples(result), "certificates", "")
    return Row(
        label="guarantee",
        question=QUESTION,
        answer=f"Accuracy that survives every edit of the head up to {prose.percent(QUOTED)} "
        "of its "
        f"norm.{_broken(tree)}",
        figure=f"at least {prose.with_interval(found)}",
        evidence=joined(f"proved on {examples(result)}", "interval for others like them"),
        link="certificates",
        brief="",
    )


QUESTION = "What is guaranteed?"


def _broken(tree: Mapping[str, object]) -> str:
    """Measured changes that did what the proof excludes: rounding, or a bug."""
    changed = saved.estimate(tree, "check", "changed").value
    return f" {prose.whole(changed)} measured predictions broke it: rounding, or a bug." \
        if changed > 0 else ""  # fmt: skip
