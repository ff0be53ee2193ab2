"""SARIF 2.1.0: one result per rule that is not supported, at the rule's line in the policy.

GitHub's code scanning shows every result as an alert, also one of kind ``pass``; so supported rules
stand among the tool's rules and in the run's properties, and no result is made of them.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import PurePath
from typing import Any

from synapse_audit.check.checking import Answer, Report

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def sarif(report: Report) -> str:
    """Errors fail the check, warnings do not."""
    rules = [_descriptor(answer) for answer in report.answers]
    driver = {"name": "synapse-audit", "version": version("synapse-audit"), "rules": rules}
    supported = [_id(answer) for answer in report.answers if answer.verdict == "supported"]
    run = {
        "tool": {"driver": driver},
        "results": [
            _result(answer, i, report)
            for i, answer in enumerate(report.answers)
            if answer.verdict != "supported"
        ],
        "columnKind": "unicodeCodePoints",
        "properties": {"supported": supported},
    }
    found = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _id(answer: Answer) -> str:
    """Figure and kind of bound: no policy has two rules of both."""
    return f"{answer.rule.figure}/{answer.rule.bound[0]}"


def _descriptor(answer: Answer) -> dict[str, Any]:
    return {"id": _id(answer), "shortDescription": {"text": answer.rule.title}}


def _result(answer: Answer, index: int, report: Report) -> dict[str, Any]:
    uri = PurePath(report.policy.path).as_posix()
    location = {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(uri)},
            "region": {"startLine": answer.line},
        }
    }
    return {
        "ruleId": _id(answer),
        "ruleIndex": index,
        "kind": "fail",
        "level": "error" if answer.fails else "warning",
        "message": {"text": f"{answer.rule.title}: {answer.verdict}: {answer.why}"},
        "locations": [location],
    }


def _uri(path: str) -> str:
    from urllib.parse import quote

    return ("file://" if path.startswith("/") else "") + quote(path)
