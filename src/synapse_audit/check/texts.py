"""The answers as Markdown, as JSON and as a badge."""

from __future__ import annotations

import json
from typing import Any

from synapse_audit.check.checking import Answer, Report
from synapse_audit.check.decide import Verdict
from synapse_audit.report.kit.markdown import escaped

MARKS: dict[Verdict, str] = {"supported": "✓", "contradicted": "✗", "not shown": "?"}


def headline(report: Report) -> str:
    """The outcome in one line."""
    parts = [f"{report.count(v)} {v}" for v in MARKS]
    warnings = sum(_is_warning(answer) for answer in report.answers)
    parts[-1] += (
        f" ({warnings} as {'a warning' if warnings == 1 else 'warnings'})" if warnings else ""
    )
    return f"{'passed' if report.passed else 'failed'}: {', '.join(parts)}"


def markdown(report: Report) -> str:
    """A heading and a table."""
    rows = [
        f"| {MARKS[a.verdict]} {a.verdict}{' (warning)' if _is_warning(a) else ''} "
        f"| {_cell(a.rule.title)} | {_cell(a.why)} | {_cell(str(report.policy.path))}:{a.line} |"
        for a in report.answers
    ]
    head = ["| answer | rule | figure (95 % interval) | policy |", "|---|---|---|---|"]
    return "\n".join([f"### synapse-audit: {headline(report)}", "", *head, *rows, ""])


def as_json(report: Report) -> str:
    """Everything, for programs."""
    found: dict[str, Any] = {
        "passed": report.passed,
        "run": str(report.run.folder),
        "policy": str(report.policy.path),
        "counts": {verdict: report.count(verdict) for verdict in MARKS},
        "rules": [_row(answer) for answer in report.answers],
        "badge": badge(report),
    }
    return json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def badge(report: Report) -> dict[str, Any]:
    """A badge as shields.io reads it from an endpoint."""
    shown, of = report.count("supported"), len(report.answers)
    color = "brightgreen" if shown == of else "yellow" if report.passed else "red"
    message = f"{shown}/{of} shown" if report.passed else "failed"
    return {"schemaVersion": 1, "label": "synapse-audit", "message": message, "color": color}


def badge_json(report: Report) -> str:
    """The badge alone."""
    return json.dumps(badge(report)) + "\n"


def _row(answer: Answer) -> dict[str, Any]:
    kind, bound = answer.rule.bound
    return {
        "figure": answer.rule.figure,
        kind: bound,
        "title": answer.rule.title,
        "line": answer.line,
        "answer": answer.verdict,
        "fails": answer.fails,
        "why": answer.why,
        **{end: answer.figure.to_json()[end] for end in ("value", "low", "high")},
    }


def _is_warning(answer: Answer) -> bool:
    return answer.verdict == "not shown" and not answer.fails


def _cell(text: str) -> str:
    return escaped(" ".join(text.split()))
