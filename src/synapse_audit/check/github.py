"""What GitHub Actions shows: annotations at the policy's lines."""

from __future__ import annotations

from collections.abc import Iterator

from synapse_audit.check.checking import Report


def workflow_commands(report: Report) -> Iterator[str]:
    """One workflow command per rule that is not supported."""
    for answer in report.answers:
        if answer.verdict == "supported":
            continue
        kind = "error" if answer.fails else "warning"
        file, title = _property(str(report.policy.path)), _property(answer.rule.title)
        text = _data(f"{answer.verdict}: {answer.why}")
        yield f"::{kind} file={file},line={answer.line},title={title}::{text}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
