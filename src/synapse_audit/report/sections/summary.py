"""The answer, in plain words and key figures.

Reads the summary, and quotes the comparisons that the other sections make.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Key, Result, Section
from synapse_audit.report.quoted.easiest_target import edits, first_budget, targets
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
    most = saved.dig(result.summary, "asymmetry", "most_fragile")
    least = saved.dig(result.summary, "asymmetry", "least_fragile")
    if _name(most) == prose.UNKNOWN:
        return ""
    apart = saved.estimate(result.summary, "asymmetry", "gap")
    size = f"; the gap in recall lost is {prose.with_interval(apart)}" if apart.known else ""
    return (
        f"{prose.quoted(_name(most))} breaks first{_share(most)} and {prose.quoted(_name(least))} "
        f"holds longest{_share(least)}{size}."
    )


def _share(value: Any) -> str:
    """In how many bootstrap resamples the class came out the same."""
    share = saved.estimate(value, "share")
    return f" (in {prose.percent(round(share.value, 3))} of resamples)" if share.known else ""


def _name(value: Any) -> str:
    """A class, given plainly or as {value: …}; a dash for unknown."""
    found = saved.dig(value, "value") if isinstance(value, Mapping) else value
    return prose.UNKNOWN if found is None else str(found)


def _redirect(result: Result) -> str:
    table = edits(result)
    order = targets(table)
    if not order:
        return ""
    found = first_budget(table, order[0])
    if found is None:
        return "No edit of the head within the budgets tried redirects half of the examples."
    where = "the head's bias" if found["space"] == "bias" else "the head's weights"
    return (
        f"Changing {where} by {prose.percent(found['budget'])} of the weight norm is enough to "
        f"send {prose.number(found['redirect_rate'])} "
        f"({prose.span(found['redirect_low'], found['redirect_high'])}) of the other examples to "
        f"{prose.quoted(order[0])}, the easiest target."
    )


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
        _share_key(result, "Can be silenced freely", "plateau", "of the neurons"),
        _share_key(result, "Half of the way to chance at", "half_point", "of the neurons"),
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


def _share_key(result: Result, label: str, name: str, detail: str) -> Key:
    found = saved.estimate(result.summary, "redundancy", name)
    if not found.known:
        return Key(label, prose.UNKNOWN, _why(found))
    bounds = f"{prose.percent(found.low)} to {prose.percent(found.high)}"
    exact = prose.UNKNOWN in bounds
    return Key(label, prose.percent(found.value), detail if exact else f"{detail}; 95%: {bounds}")


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
    table = edits(result)
    order = targets(table)
    found = first_budget(table, order[0]) if order else None
    if found is None:
        why = "none tried is enough" if order else "not measured"
        return Key("Edit that redirects half", prose.UNKNOWN, why)
    detail = f"of head weights, to {prose.short(order[0], 18)}"
    return Key("Edit that redirects half", prose.percent(found["budget"]), detail)


def _why(found: Figure) -> str:
    return prose.plain(found.reason) if found.reason else "not measured"
