"""The row that says what to do, from the advice of the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Result, Row

SHORT = {
    "head_edit": "harden the head",
    "bits": "check checksums of the named tensors",
    "constants": "clamp neurons to their ranges",
    "fragile_class": "more data or margin for the fragile classes",
    "typed_text": "normalise or train on typed edits",
    "embeddings": "train on small changes of the embeddings",
    "costly_layer": "dropout at the costly layer",
}
"""Rule → its remedy in a few words."""


def advised(result: Result) -> Row | None:
    """How many findings call for something, and whether the gain was measured."""
    advice = result.summary.get("advice")
    if not isinstance(advice, list):
        return None
    known = [one for one in advice if isinstance(one, Mapping)]
    names = [SHORT.get(str(one.get("rule")), str(one.get("rule"))) for one in known]
    measured = sum(_measured(one) for one in known)
    return Row(
        label="advice",
        question="What should be done?",
        answer=_sentence(names),
        figure=f"gain measured for {measured} of {len(known)}" if known else "",
        evidence="rules on the findings shown" if known else "",
        link="advice" if known else "method",
        brief="; ".join(names),
    )


def _measured(one: Mapping[str, Any]) -> bool:
    return saved.estimate(one, "gain", "after").known


def _sentence(names: list[str]) -> str:
    if not names:
        return "No rule's finding is shown in this run, so nothing is recommended."
    text = prose.listing(names)
    return f"{text[:1].upper()}{text[1:]}."
