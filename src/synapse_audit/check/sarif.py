"""SARIF 2.1.0: one result per rule, at the rule's line in the policy."""

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
    """Errors fail the check, warnings do not, and what is supported is a pass."""
    rules = [_descriptor(answer) for answer in report.answers]
    driver = {"name": "synapse-audit", "version": version("synapse-audit"), "rules": rules}
    run = {
        "tool": {"driver": driver},
        "results": [_result(answer, i, report) for i, answer in enumerate(report.answers)],
        "columnKind": "unicodeCodePoints",
    }
    found = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _descriptor(answer: Answer) -> dict[str, Any]:
    kind, _ = answer.rule.bound
    return {"id": f"{answer.rule.figure}/{kind}", "shortDescription": {"text": answer.rule.title}}


def _result(answer: Answer, index: int, report: Report) -> dict[str, Any]:
    supported = answer.verdict == "supported"
    failing = {True: "error", False: "warning"}[answer.fails]
    uri = PurePath(report.policy.path).as_posix()
    location = {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(uri)},
            "region": {"startLine": answer.line},
        }
    }
    return {
        "ruleId": f"{answer.rule.figure}/{answer.rule.bound[0]}",
        "ruleIndex": index,
        "kind": "pass" if supported else "fail",
        "level": "none" if supported else failing,
        "message": {"text": f"{answer.rule.title}: {answer.verdict}: {answer.why}"},
        "locations": [location],
    }


def _uri(path: str) -> str:
    from urllib.parse import quote

    return ("file://" if path.startswith("/") else "") + quote(path)
