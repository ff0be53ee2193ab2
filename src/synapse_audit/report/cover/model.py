"""Rows about the model itself: accuracy, alarms, spare neurons, fragile classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from synapse_audit.report.cover.evidence import because, examples, joined
from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Result, Row
from synapse_audit.report.quoted.fragility import by_loss, leaders
from synapse_audit.report.quoted.spaces import SPACES, space_name
from synapse_audit.summary import Figure
from synapse_audit.tables.run import PREDICTIONS

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
    table = saved.frame(result, PREDICTIONS)
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
        answer=f"Untouched, it calls this share of the attacks {prose.quoted(benign)} and flags "
        f"{prose.with_interval(false)} of the benign inputs.{_most_missed(result)}"
        f"{_silent(result)}",
        figure=f"missed {prose.with_interval(missed)}",
        evidence=joined(examples(result), "95% interval"),
        link="detection",
        brief=f"{prose.with_interval(missed)} of the attacks are missed",
    )


def _silent(result: Result) -> str:
    """How many interventions let attacks through without more false alarms."""
    found = saved.dig(result.summary, "detection", "failures")
    if not isinstance(found, Mapping) or not found.get("cells"):
        return ""
    silent = prose.plural(int(found.get("silent") or 0), "intervention")
    total = prose.whole(found["cells"])
    return f" {silent} of {total} let attacks through without more false alarms."


def _most_missed(result: Result) -> str:
    """The most attacks that any one experiment let through.

    Picked over spaces, so without the interval, which holds for all experiments of one space.
    """
    found = {space: saved.estimate(result.summary, "weakest", space, "missed") for space in SPACES}
    known = {space: figure for space, figure in found.items() if figure.known}
    if not known:
        return ""
    space = max(known, key=lambda name: known[name].value)
    how = prose.plain(known[space].beside.get("operator") or "")
    share = prose.number(known[space].value)
    named = f"{space_name(space)}{f', {how}' if how else ''}"
    return f" In the worst experiment of this sample {share} pass ({named})."


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
        evidence=joined(examples(result), "95% limit" if _at_least(plateau) else ""),
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
        "Accuracy stays within 2 points up to this share of the neurons silenced, highest ranked "
        f"first.{'' if plateau.low > 0 else ' Seen in this sample, not shown beyond it.'}"
    )


def _at_least(plateau: Figure) -> str:
    """The confidence limit, where the sample shows one."""
    if np.isnan(plateau.low):
        return ""
    return f" (at least {prose.percent(min(plateau.low, plateau.value))})"


def _half(half: Figure) -> str:
    if not (np.isnan(half.low) or np.isnan(half.high)):
        return (
            "Half of the accuracy above chance is gone between "
            f"{prose.percent(half.low)} and {prose.percent(half.high)}."
        )
    if half.known:
        after, by = half.beside.get("between") or (half.low, half.value)
        return (
            f"Half of the accuracy above chance is gone between {prose.percent(after)} and "
            f"{prose.percent(by)} in this sample, not shown beyond it."
        )
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
        figure=f"up to {prose.number(first['mean_drop'].max(), 2)} of recall" if lost else "",
        evidence=joined(_support(result, first) or examples(result), _steady(result, first)),
        link="classes",
        brief=brief,
    )


NONE_STANDS_OUT = (
    "Not shown: no class loses clearly more recall than another.",
    "no class is shown to lose more recall than another when neurons are silenced",
)
NOTHING_LOST = (
    "None is shown to be: no class lost recall in what was silenced.",
    "no class lost recall when neurons were silenced",
)


def _fragile_words(result: Result, first: pd.DataFrame) -> tuple[str, str]:
    """What is said of the classes that lose most; those indistinguishable from them are named."""
    found = saved.estimate(result.summary, "asymmetry", "most_fragile")
    tied = [prose.quoted(name) for name in found.beside.get("tied") or ()]
    named = prose.some([prose.quoted(name) for name in first["class"]], MOST)
    if len(tied) > 1 and len(tied) >= _judged(result):
        return NONE_STANDS_OUT
    if len(tied) > 1:
        several = prose.some(tied, MOST)
        return (
            f"{several} lose most recall; which of them loses most is not shown.",
            f"{several} lose most recall when neurons are silenced (which of them is not shown)",
        )
    if len(first) > 1:
        return (
            f"{named} lose as much as each other, on average over the shares silenced.",
            f"{named} lose most recall when neurons are silenced",
        )
    doubt = f" Not shown beyond this sample: {prose.plain(found.reason)}." if found.reason else ""
    return (
        f"{named} loses most recall, on average over the shares silenced.{doubt}",
        f"{named} loses most recall when neurons are silenced",
    )


def _judged(result: Result) -> int:
    """How many classes can lose: one that a collapsed model answers for everything cannot."""
    collapsed = saved.estimate(result.summary, "asymmetry", "gap").beside.get("collapses_to")
    return len(by_loss(result)) - (collapsed is not None)


def _support(result: Result, first: pd.DataFrame) -> str:
    """How many examples of the one class that is named; empty where there are several or none."""
    tied = saved.estimate(result.summary, "asymmetry", "most_fragile").beside.get("tied") or ()
    if len(first) != 1 or len(tied) > 1 or first["support"].isna().any():
        return ""
    return f"{prose.plural(int(first['support'].iloc[0]), 'example')} of it"


def _steady(result: Result, first: pd.DataFrame) -> str:
    """In how many resamples the same class came out first."""
    if len(first) != 1:
        return ""
    share = saved.estimate(result.summary, "asymmetry", "most_fragile", "share")
    return f"the same in {prose.percent(round(share.value, 2))} of resamples" if share.known else ""
