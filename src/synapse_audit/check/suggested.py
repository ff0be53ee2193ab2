"""A policy that a run meets, with margins: where to start from."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterator

from synapse_audit.store import AuditResult
from synapse_audit.summary import Entry, Figure, Keys, dotted, entry_of, fits, walk

MARGIN = 0.5
"""Half of the interval's own width beyond its bound, so that a like model passes too."""

FIRST = (
    *("clean.accuracy", "clean.macro_f1", "redundancy.plateau", "redundancy.half_point"),
    *("labels.micro_f1", "labels.hamming_loss", "label_removal.plateau"),
    *("calibration.ece", "detection.missed_alarm", "detection.false_alarm"),
    *(
        "certificates.l2.<budget>",
        "vulnerability.<class>.redirect.<budget>",
        "clean.recall.<class>",
    ),
)
"""Entries that a policy starts with; all others can be named too."""

MOST = 3
"""Rules made of one entry with open keys: the budgets and classes of a run are many."""

HEAD = """\
# A policy made from {run}. Saved as policy.toml, it is for later runs, and for this one:
#   synapse-audit check {word} --policy policy.toml
#
# Each bound leaves a margin of half an interval beyond what this run supports: a model that is no
# worse should pass with as many examples. Change the bounds to what you need, not to what you have.
#
# A rule is supported, contradicted or not shown, by the 95 % interval and never by the value.
# What happens where a run cannot show it: "fail" or "warn", overall here or per rule.
on_not_shown = "fail"
"""

BASELINE = """
# With --baseline RUN: what may change against an earlier model on the same examples.
# [[rule]]
# figure = "baseline.flip_rate"
# at_most = 0.02
#
# [[rule]]
# figure = "clean.accuracy"
# max_regression = 0.01
"""


def suggested_policy(run: AuditResult) -> str:
    """TOML with comments: each rule's meaning, and what the run has."""
    rules = [text for pattern in FIRST for text in _rules(run, pattern)]
    path = _one_line(str(run.folder))
    word = shlex.quote(f"./{path}" if path.startswith("-") else path)
    return HEAD.format(run=path, word=word) + "".join(rules) + BASELINE


def _rules(run: AuditResult, pattern: str) -> Iterator[str]:
    found = [
        (keys, figure, entry)
        for keys, figure in walk(run.summary)
        if (entry := entry_of(keys)) is not None and fits(pattern, keys) and figure.bounded
    ]
    for keys, figure, entry in found[:MOST]:
        text = _rule(keys, figure, entry)
        if text:
            yield text


def _rule(keys: Keys, figure: Figure, entry: Entry) -> str:
    kind, bound = _bound(figure, entry)
    if math.isnan(bound):
        return ""
    return (
        f"\n# {_one_line(entry.meaning)}: {figure.value:.3f} "
        f"({figure.low:.3f} to {figure.high:.3f})\n"
        f"[[rule]]\nfigure = {_toml(dotted(keys))}\n{kind} = {bound:g}\n"
    )


def _bound(figure: Figure, entry: Entry) -> tuple[str, float]:
    """The bound that the run supports with a margin; NaN where that says nothing."""
    margin = MARGIN * (figure.high - figure.low)
    low, high = entry.range
    if entry.better == "higher":
        bound = math.floor(1000 * (figure.low - margin)) / 1000
        return "at_least", bound if bound > low else math.nan
    bound = math.ceil(1000 * (figure.high + margin)) / 1000
    return "at_most", bound if bound < high else math.nan


def _toml(text: str) -> str:
    """A TOML string; single quotes spare the escapes where the text has none itself."""
    return json.dumps(text, ensure_ascii=False) if "'" in text else f"'{text}'"


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
