"""Rows of the first screen for a model with several labels per example."""

from __future__ import annotations

import numpy as np

from synapse_audit.report.cover.evidence import because, examples, joined
from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Result, Row
from synapse_audit.summary import Figure

LEAST = 5
"""Examples in which a label is rightly found, from which it is named."""


def labelled(result: Result) -> Row:
    """Micro F1, beside the best constant answer."""
    found = saved.estimate(result.summary, "labels", "micro_f1")
    subset = saved.estimate(result.summary, "labels", "subset_accuracy")
    constant = found.beside.get("constant")
    figure = f"micro F1 {prose.with_interval(found)}" if found.known else ""
    answer = (
        f"F1 over all pairs of example and label; the best single answer reaches "
        f"{prose.number(constant)}. The whole set is right for {prose.with_interval(subset)}."
    )
    return Row(
        label="accuracy",
        question="Is it accurate?",
        answer=answer if found.known else because(found),
        figure=figure,
        evidence=joined(examples(result), "95% interval"),
        link="labels",
        brief=figure or "micro F1 is unknown",
    )


def label_spare(result: Result) -> Row | None:
    """How many neurons can go before micro F1 falls."""
    found = saved.estimate(result.summary, "label_removal", "plateau")
    if saved.dig(result.summary, "label_removal") is None:
        return None
    shown = found.known and found.value > 0 and not np.isnan(found.low)
    sure = f" (at least {prose.percent(min(found.low, found.value))})" if shown else ""
    if not found.known:
        answer = because(found)
    elif found.value <= 0:
        answer = "The smallest share of neurons tried already costs more than 2 points of micro F1."
    else:
        answer = (
            "Micro F1 stays within 2 points up to this share of the neurons silenced, highest "
            f"ranked first.{'' if shown else ' Seen in this sample, not shown beyond it.'}"
        )
    return Row(
        label="spare neurons",
        question="How much of it is spare?",
        answer=answer,
        figure=prose.percent(found.value) + sure if found.known else "",
        evidence=joined(examples(result), "95% limit" if sure else ""),
        link="label_removal",
        brief="",
    )


def fragile_label(result: Result) -> Row | None:
    """The label that loses most F1, or those among which none is shown to."""
    if saved.dig(result.summary, "label_fragility") is None:
        return None
    found = saved.estimate(result.summary, "label_fragility", "most_fragile")
    tied = [prose.quoted(name) for name in found.beside.get("tied") or ()]
    if found.known:
        answer = f"{tied[0]} loses most F1, on average over the shares silenced."
        brief = f"{tied[0]} loses most F1 when neurons are silenced"
    elif tied:
        several = prose.some(tied, 3)
        answer = f"Which label loses most is not shown: {several} are indistinguishable."
        brief = "no label is shown to lose more F1 than all others when neurons are silenced"
    else:
        answer, brief = because(found), ""
    largest = found.value if found.known else prose.as_float(found.beside.get("largest"))
    return Row(
        label="fragile label",
        question="Which label is fragile?",
        answer=answer,
        figure=f"up to {prose.number(largest, 2)} of F1" if largest == largest else "",
        evidence=joined(examples(result), "holds for all pairs of labels at once"),
        link="label_fragility",
        brief=brief,
    )


def switched(result: Result) -> Row | None:
    """The smallest push that takes a label away from half of the examples, or gives it to half."""
    both = {way: saved.estimate(result.summary, "switching", way) for way in ("on", "off")}
    known = {way: one for way, one in both.items() if one.known}
    if saved.dig(result.summary, "switching") is None:
        return None
    if not known:
        return Row(
            label="cheapest tampering",
            question="What is easiest to tamper with?",
            answer="No push of a label's row that was tried gives the label to half of the "
            "examples without it, or takes it away from half of those said to have it.",
            figure="",
            evidence=examples(result),
            link="switching",
            brief="",
        )
    way = min(known, key=lambda name: known[name].value)
    found = known[way]
    does = switches(way, found)
    size = f"{prose.number(found.value, 2)} times a label's row"
    return Row(
        label="cheapest tampering",
        question="What is easiest to tamper with?",
        answer=f"An edit of one row of the head {does}{_certainty(found)}.",
        figure=size,
        evidence=joined(examples(result), "smallest of all that were tried"),
        link="switching",
        brief=f"an edit of {size} {does}",
    )


def switches(way: str, found: Figure) -> str:
    """What the smallest push does, whether or not the label is there in truth."""
    names = prose.alternatives([prose.quoted(name) for name in found.beside.get("labels") or ()])
    if way == "on":
        return f"gives {names} to half of the examples that are said not to have it"
    return f"takes {names} away from half of the examples that are said to have it"


def _certainty(found: Figure) -> str:
    """How surely half of them are switched, for all pushes that were tried at once."""
    if np.isnan(found.high):
        return ": seen in this sample, not certain"
    if found.high <= found.value:
        return ""
    return f": seen in this sample, and surely by {prose.number(found.high, 2)} times"


def label_guaranteed(result: Result) -> Row | None:
    """The labels whose found examples survive every edit of their row, least and most."""
    found = saved.dig(result.summary, "label_certificates", "on")
    if not isinstance(found, dict):
        return None
    figures = (saved.estimate(found, name) for name in found)
    known = [one for one in figures if one.known and (one.n or 0) >= LEAST]
    if not known:
        return None
    values = sorted(one.value for one in known)
    budget = prose.number(known[0].beside.get("budget"), 2)
    return Row(
        label="guaranteed",
        question="What is guaranteed?",
        answer="Share of the examples rightly said to have a label that keep it under every edit "
        f"of {budget} times the label's row: the least and the most robust label.",
        figure=" to ".join(dict.fromkeys(prose.percent(v, 2) for v in (values[0], values[-1]))),
        evidence=joined(
            examples(result), f"exact, {prose.plural(len(known), 'label')} found in {LEAST} or more"
        ),
        link="label_certificates",
        brief="",
    )
