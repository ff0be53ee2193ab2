"""Rows about the model itself: accuracy, alarms, spare neurons, fragile classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from synapse_audit.report.cover.evidence import because, controls, examples, joined
from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Result, Row
from synapse_audit.report.quoted.fragility import by_loss, leaders
from synapse_audit.summary import Figure

MOST = 3
"""Classes named in a row."""


def accurate(result: Result) -> Row:
    """Clean accuracy, beside the best constant answer."""
    found = saved.estimate(result.summary, "clean", "accuracy")
    figure = prose.with_interval(found) if found.known else ""
    return Row(
        label="accuracy",
        question="Is it accurate?",
        answer=_compared(result) if found.known else because(found),
        figure=figure,
        evidence=joined(examples(result), "95% interval" if "(" in figure else ""),
        link="clean",
        brief=f"accuracy {figure}" if figure else "accuracy is unknown",
    )


def _compared(result: Result) -> str:
    chance = saved.estimate(result.summary, "redundancy", "chance")
    against = f" Always giving the best single answer reaches {prose.number(chance.value)}."
    return f"Share of examples classified correctly.{against if chance.known else ''}" + _lowest(
        result
    )


def _lowest(result: Result) -> str:
    """The class with the smallest share right, in plain counts; nothing where several tie."""
    table = saved.columns_of(result.predictions, ("split", "label", "predicted"))
    table = table[table["split"].isna() | (table["split"] == "evaluate")]
    table = table.dropna(subset=["label", "predicted"])
    names, labels = saved.classes(result), table["label"].to_numpy(dtype=int)
    n = np.bincount(labels, minlength=len(names))
    hits = np.bincount(labels[table["label"] == table["predicted"]], minlength=len(n))
    seen = np.flatnonzero(n)
    if not len(seen) or len(n) > len(names):
        return ""
    shares = hits[seen] / n[seen]
    worst = seen[shares == shares.min()]
    if len(worst) > 1 or shares.min() == 1.0:
        return ""
    c = int(worst[0])
    return f" Lowest for {prose.quoted(names[c])}: {hits[c]} of {n[c]}."


def alarms(result: Result) -> Row | None:
    """Missed and false alarms, where a benign class was named."""
    missed, false = (
        saved.estimate(result.summary, "detection", name)
        for name in ("missed_alarm", "false_alarm")
    )
    benign = saved.dig(result.summary, "detection", "benign")
    if not missed.known or benign is None:
        return None
    return Row(
        label="missed alarms",
        question="What lets attacks through?",
        answer=f"Untouched, it calls {prose.number(missed.value)} of the attacks "
        f"{prose.quoted(benign)} and flags {prose.number(false.value)} of the benign inputs."
        + _silent(result),
        figure=f"missed {prose.with_interval(missed)}",
        evidence=joined(examples(result), "95% interval"),
        link="detection",
        brief=f"{prose.number(missed.value)} of the attacks are missed",
    )


def _silent(result: Result) -> str:
    """The intervention after which most attacks pass, and how many pass silently."""
    found = saved.dig(result.summary, "detection", "failures")
    worst = _most_missed(result)
    if not isinstance(found, Mapping) or not found.get("cells"):
        return worst
    silent = prose.plural(int(found.get("silent") or 0), "intervention")
    total = prose.whole(found["cells"])
    return f"{worst} {silent} of {total} let attacks through without more false alarms."


def _most_missed(result: Result) -> str:
    names = ("space", "operator", "selection", "missed_alarm")
    cells = saved.frame(result, "detection", "cells", names).dropna(subset=["missed_alarm"])
    cells = cells[cells["selection"] != "random"]
    if not len(cells):
        return ""
    worst = saved.extreme(cells, "missed_alarm")
    return f" At worst {prose.number(worst['missed_alarm'])} pass ({_what(worst)})."


def _what(row: Mapping[Any, Any] | pd.Series) -> str:
    return f"{prose.plain(row['space'])}: {prose.plain(row['operator'])}"


def spare(result: Result) -> Row | None:
    """How many neurons can go before accuracy falls, and where half of it is gone."""
    plateau = saved.estimate(result.summary, "redundancy", "plateau")
    half = saved.estimate(result.summary, "redundancy", "half_point")
    if saved.dig(result.summary, "redundancy") is None:
        return None
    return Row(
        label="spare neurons",
        question="How much of it is spare?",
        answer=" ".join(part for part in (_flat(plateau), _half(half)) if part),
        figure=prose.percent(plateau.value) + _at_least(plateau) if plateau.known else "",
        evidence=joined(examples(result), controls(result)),
        link="removal",
        brief=f"accuracy stays within 2 points up to {prose.percent(plateau.value)} silenced"
        if plateau.known
        else "",
    )


def _flat(plateau: Figure) -> str:
    if not plateau.known:
        return because(plateau)
    if plateau.value <= 0:
        return "The smallest share of neurons tried already costs more than 2 points of accuracy."
    return (
        "Accuracy stays within 2 points up to this share of the neurons silenced, top-ranked first."
    )


def _at_least(plateau: Figure) -> str:
    """The confidence limit, where the sample shows one."""
    if np.isnan(plateau.low):
        return ""
    return "" if plateau.low >= plateau.value else f" (at least {prose.percent(plateau.low)})"


def _half(half: Figure) -> str:
    if not (np.isnan(half.low) or np.isnan(half.high)):
        return (
            "Half of the accuracy above chance is gone between "
            f"{prose.percent(half.low)} and {prose.percent(half.high)}."
        )
    if half.known:
        return f"Half of the accuracy above chance is gone at about {prose.percent(half.value)}."
    if half.reason.startswith("never"):
        return "Half of the accuracy above chance is never lost in what was tried."
    return ""


def fragile(result: Result) -> Row | None:
    """The class that loses most recall; ties are listed and zeros have no winner."""
    table = by_loss(result)
    if not len(table):
        return None
    first = leaders(table)
    lost = len(first) > 0
    answer, brief = _fragile_words(result, first) if lost else NOTHING_LOST
    return Row(
        label="fragile class",
        question="Which class is fragile?",
        answer=answer,
        figure=f"{prose.number(first['mean_drop'].max())} of recall" if lost else "",
        evidence=joined(_support(first) if lost else examples(result), _steady(result, first)),
        link="classes",
        brief=brief,
    )


NOTHING_LOST = (
    "None is shown to be: no class lost recall in what was silenced.",
    "no class lost recall when neurons were silenced",
)


def _fragile_words(result: Result, first: pd.DataFrame) -> tuple[str, str]:
    named = prose.some([prose.quoted(name) for name in first["class"]], MOST)
    reason = prose.plain(saved.estimate(result.summary, "asymmetry", "most_fragile").reason)
    if len(first) > 1:
        return (
            f"{named} lose as much as each other, on average over the shares silenced.",
            f"{named} lose most recall when neurons are silenced",
        )
    doubt = f" Not shown beyond this sample: {reason}." if reason else ""
    return (
        f"{named} loses most recall, on average over the shares silenced.{doubt}",
        f"{named} loses most recall when neurons are silenced",
    )


def _support(first: pd.DataFrame) -> str:
    counts = first["support"].dropna()
    return f"{prose.plural(int(counts.sum()), 'example')} of it" if len(first) == len(counts) == 1 \
        else ""  # fmt: skip


def _steady(result: Result, first: pd.DataFrame) -> str:
    """In how many resamples the same class came out first."""
    if len(first) != 1:
        return ""
    share = saved.estimate(result.summary, "asymmetry", "most_fragile", "share")
    return f"the same in {prose.percent(round(share.value, 2))} of resamples" if share.known else ""
