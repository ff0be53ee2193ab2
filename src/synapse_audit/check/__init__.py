"""An audit that decides: a policy in words, three answers, and files that other tools read.

| file | content |
|---|---|
| policy | rules as read from TOML, with their lines |
| decide | a figure and a bound → supported, contradicted, not shown |
| baseline | figures that compare with another run |
| checking | all rules of a policy |
| junit, sarif, github, texts | the answers in others' formats |
| suggested | a policy made from a run |
"""

from __future__ import annotations

from collections.abc import Callable

from synapse_audit.check.checking import Answer, Report, check
from synapse_audit.check.junit import junit
from synapse_audit.check.policy import Policy, Rule, read_policy
from synapse_audit.check.sarif import sarif
from synapse_audit.check.suggested import suggested_policy
from synapse_audit.check.texts import as_json, badge_json, markdown

__all__ = [
    "FORMATS",
    "Answer",
    "Policy",
    "Report",
    "Rule",
    "check",
    "read_policy",
    "suggested_policy",
]

FORMATS: dict[str, Callable[[Report], str]] = {
    "junit": junit,
    "sarif": sarif,
    "json": as_json,
    "markdown": markdown,
    "badge": badge_json,
}
"""Name → the answers as text."""
