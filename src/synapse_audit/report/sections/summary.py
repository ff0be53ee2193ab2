"""The answer, in plain words and key figures.

Reads the summary, and quotes the comparisons that the other sections make.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Key, Result, Section
from synapse_audit.report.quoted.top_against_random import (
    compare,
    gap,
    headline_p,
    plateau_sentence,
    removal_curves,
)
from synapse_audit.summary import Figure

VAGUE = {"model", "final", "best", "output"}
"""Folder names that need their parent's beside them."""


def summary(result: Result) -> Section:
    """Sentences first, then the row of key figures."""
    sentences = (
        _model(result),
        _removal(result),
        _classes(result),
        _redirect(result),
        _sure(result),
    )
    return Section(
        label="The answer",
        heading="What did the audit find?",
        answer=tuple(s for s in sentences if s),
        keys=_keys(result),
    )


def model_name(result: Result) -> str:
    """A hub id as it is; of a path, the last folder, with its parent where that says more."""
    found = saved.dig(result.summary, "model")
    name = saved.dig(found, "name") if isinstance(found, Mapping) else found
    given = str(name or saved.dig(result.manifest, "config", "model") or "unnamed model")
    parts = PurePath(given.replace("\\", "/")).parts
    if len(parts) < 2 or (len(parts) == 2 and not parts[0].startswith((".", "/"))):
        return prose.plain(given)
    says_little = parts[-1] in VAGUE or parts[-1].startswith("checkpoint")
    return prose.plain("/".join(parts[-2:]) if says_little else parts[-1])


def _model(result: Result) -> str:
    accuracy = saved.estimate(result.summary, "clean", "accuracy")
    names = saved.classes(result)
    listed = prose.some([prose.quoted(n) for n in names])
    among = f" tells {len(names)} classes apart ({listed})" if names else " was audited"
    if not accuracy.known:
        return f"{model_name(result)}{_shape(result)}{among}; its clean accuracy is unknown."
    return (
        f"{model_name(result)}{_shape(result)}{among} with an accuracy of "
        f"{prose.with_interval(accuracy)} when nothing is touched."
    )


def _shape(result: Result) -> str:
    facts: Any = saved.dig(result.manifest, "model") or {}
    family, layers = saved.dig(facts, "family"), saved.dig(facts, "layers")
    hidden = saved.dig(facts, "hidden_size")
    parts = [prose.plain(family)] if family else []
    parts += [prose.plural(layers, "block")] if isinstance(layers, int) else []
    parts += [f"{prose.whole(hidden)} neurons each"] if hidden else []
    return f" ({', '.join(parts)})" if parts else ""


def _removal(result: Result) -> str:
    table = removal_curves(result)
    if not len(table):
        return ""
    found = gap(table, saved.HEADLINE_OPERATOR)
    bearing = saved.dig(result.summary, "load_bearing")
    constants = (
        " Setting neurons to 0 instead also hits "
        f"{prose.plural(len(bearing), 'load-bearing constant')}: a level that is needed although "
        "it says next to nothing about the input."
        if bearing
        else ""
    )
    tests = saved.facts(result).tests
    contrast = f" {compare(found, headline_p(result), tests)}" if found else ""
    return plateau_sentence(result) + contrast + constants


def _classes(result: Result) -> str:
    sentences = [_extreme(result, "most_fragile", "loses most recall")]
    sentences.append(_extreme(result, "least_fragile", "loses least"))
    answer = _name(saved.dig(result.summary, "asymmetry", "collapses_to"))
    if answer != prose.UNKNOWN:
        sentences.append(
            f"{prose.quoted(answer)} is what the model answers for nearly everything once much is "
            "silenced, so that its recall says nothing."
        )
    return " ".join(filter(None, sentences))


def _extreme(result: Result, which: str, does: str) -> str:
    """The class at one end, or those among which the sample does not decide."""
    found = saved.dig(result.summary, "asymmetry", which)
    if _name(found) != prose.UNKNOWN:
        return f"{prose.quoted(_name(found))} {does}."
    tied = [prose.quoted(name) for name in saved.dig(found, "tied") or ()]
    return f"Which class {does} is not shown: {prose.some(tied)} are alike." if tied else ""


def _name(value: Any) -> str:
    """A class, given plainly or as {value: …}; a dash for unknown."""
    found = saved.dig(value, "value") if isinstance(value, Mapping) else value
    return prose.UNKNOWN if found is None else str(found)


def _redirect(result: Result) -> str:
    found = saved.estimate(result.summary, "head_edit")
    if not found.known:
        tried = found.reason.startswith("none")
        return "No edit of the head tried redirects half of the other examples." if tried else ""
    names = saved.dig(result.summary, "head_edit", "targets") or ()
    to = f" to {prose.listing([prose.quoted(n) for n in names])}" if names else ""
    sentence = (
        f"An edit of the head of {prose.percent(found.value)} of its norm was found that redirects "
        f"half of the other examples{to}"
    )
    if math.isnan(found.low):
        return f"{sentence}."
    return f"{sentence}; below {prose.percent(found.low)} none can, toward any class (proved)."


def _sure(result: Result) -> str:
    facts = saved.facts(result)
    n = saved.dig(result.summary, "n_evaluate")
    known = f"How sure: {prose.whole(n)} held-out examples"
    if facts.draws:
        known += f", {prose.whole(facts.draws)} random draws per curve"
    if facts.resamples:
        known += f", 95% intervals from {prose.whole(facts.resamples)} bootstrap resamples"
    if facts.tests:
        return known + ", tests adjusted for the number of curves."
    preset = f"The {facts.preset} preset" if facts.preset else "This run"
    return f"{known}. {preset} reports no tests: with so few draws they would mean little."


def _keys(result: Result) -> tuple[Key, ...]:
    return (
        _figure_key(result, "Clean accuracy", ("clean", "accuracy")),
        _figure_key(result, "Macro F1", ("clean", "macro_f1")),
        _plateau_key(result),
        _half_key(result),
        _contrast_key(result),
        _count_key(result),
        _class_key(result),
        _redirect_key(result),
    )


def _figure_key(result: Result, label: str, path: tuple[str, str]) -> Key:
    found = saved.estimate(result.summary, *path)
    bounds = prose.span(found.low, found.high)
    detail = f"95% interval {bounds}" if bounds != prose.UNKNOWN else _why(found)
    return Key(label, prose.number(found.value), detail)


def _plateau_key(result: Result) -> Key:
    label, found = "Accuracy stays within 2 points up to", _redundancy(result, "plateau")
    if not found.known:
        return Key(label, prose.UNKNOWN, _why(found))
    known = not math.isnan(found.low)
    detail = f"silenced; shown up to {prose.percent(found.low)}" if known else found.reason
    return Key(label, prose.percent(found.value), detail)


def _half_key(result: Result) -> Key:
    label, found = "Half of the accuracy above chance is gone", _redundancy(result, "half_point")
    if math.isnan(found.low) or not found.known:
        return Key(label, prose.UNKNOWN, _why(found))
    ends = f"{prose.percent(found.low)} to {prose.percent(found.high)}"
    return Key(label, ends, "of the neurons silenced, somewhere between")


def _redundancy(result: Result, name: str) -> Figure:
    return saved.estimate(result.summary, "redundancy", name)


def _contrast_key(result: Result) -> Key:
    found = gap(removal_curves(result), saved.HEADLINE_OPERATOR)
    if found is None:
        return Key("Top-ranked against random", prose.UNKNOWN, "not measured")
    value = f"{prose.number(found.top)} : {prose.number(found.random)}"
    detail = f"accuracy lost at {prose.percent(found.fraction)} silenced"
    return Key("Top-ranked against random", value, detail)


def _count_key(result: Result) -> Key:
    found = saved.estimate(result.summary, "redundancy", "sufficient_k")
    detail = "of all neurons, by a linear probe" if found.known else _why(found)
    return Key("Neurons that are enough", prose.whole(found.value), detail)


def _class_key(result: Result) -> Key:
    most = saved.dig(result.summary, "asymmetry", "most_fragile")
    if _name(most) == prose.UNKNOWN:
        return Key("Breaks first", prose.UNKNOWN, _why(saved.estimate(most)))
    apart = saved.estimate(result.summary, "asymmetry", "gap")
    detail = f"gap to the toughest {prose.number(apart.value)}" if apart.known else ""
    return Key("Breaks first", prose.short(_name(most), 18), detail)


def _redirect_key(result: Result) -> Key:
    label, found = "Edit that redirects half", saved.estimate(result.summary, "head_edit")
    if not found.known:
        return Key(label, prose.UNKNOWN, _why(found))
    names = [prose.short(n, 18) for n in saved.dig(result.summary, "head_edit", "targets") or ()]
    proved = f"; impossible below {prose.percent(found.low)}" if not math.isnan(found.low) else ""
    detail = f"of head weights, to {prose.some(names)}, at most{proved}"
    return Key(label, prose.percent(found.value), detail)


def _why(found: Figure) -> str:
    return prose.plain(found.reason) if found.reason else "not measured"
