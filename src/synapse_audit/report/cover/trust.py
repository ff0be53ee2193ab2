"""The row about the figures themselves: what was checked, and what they do not cover."""

from __future__ import annotations

from collections.abc import Mapping

from synapse_audit.report.cover.evidence import controls, examples, joined
from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Result, Row
from synapse_audit.tables.asymmetry import FRAGILITY
from synapse_audit.tables.label_sets import LABELS

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
CLASSES = ("class has", "classes have")
FEW = 30
"""Evaluated examples of a class below which its figures are wide."""


def trusted(result: Result) -> Row | None:
    """Whether fast routes agree with plain hooks, and what weakens the evidence."""
    if not result.manifest:
        return None
    doubts = _doubts(result)
    weak = f" What weakens them: {'; '.join(doubts)}." if doubts else ""
    return Row(
        label="trust",
        question="Can these figures be trusted?",
        answer=f"{_routes(result)}{weak}",
        figure=_gap(result),
        evidence=joined(examples(result), controls(result)),
        link="method",
        brief="",
    )


def small_classes(result: Result) -> dict[str, int]:
    """Class, or label, → evaluated examples, where there are few; the smallest first."""
    several = saved.several(result)
    table = saved.frame(result, LABELS if several else FRAGILITY)
    few = table[table["support"] < FEW].sort_values("support", kind="stable")
    names = few["label" if several else "class"]
    return {str(name): int(n) for name, n in zip(names, few["support"], strict=True)}


def _known_routes(result: Result) -> dict[str, Mapping[str, object]]:
    routes = saved.dig(result.manifest, "routes")
    return dict(routes) if isinstance(routes, Mapping) else {}


def _routes(result: Result) -> str:
    routes = _known_routes(result)
    refused = [prose.plain(name) for name, facts in routes.items() if not facts.get("used")]
    if not routes:
        return "How the engine compares with plain hooks is not recorded."
    if refused:
        return (
            f"The fast {'route' if len(refused) == 1 else 'routes'} {prose.listing(refused)} "
            f"differed from plain hooks and {'was' if len(refused) == 1 else 'were'} not used."
        )
    return "In every check of this run the fast routes gave the predictions of plain hooks."


def _gap(result: Result) -> str:
    gaps = [prose.as_float(facts.get("largest_gap")) for facts in _known_routes(result).values()]
    known = [gap for gap in gaps if gap == gap]
    if not known:
        return ""
    return f"logits within {_power(max(known))}" if max(known) > 0 else "logits identical"


def _power(value: float) -> str:
    """One digit and a power of ten.

    >>> _power(1.9e-06)
    '2·10⁻⁶'
    """
    digit, _, exponent = f"{value:.0e}".partition("e")
    return f"{digit}·10{str(int(exponent)).translate(SUPERSCRIPT)}"


def _doubts(result: Result) -> list[str]:
    facts, few = saved.facts(result), small_classes(result)
    seeds = saved.dig(result.manifest, "seeds")
    doubts = ["no comparison is tested (too few random controls)"] if not facts.tests else []
    warned = result.manifest.get("warnings") or ()
    doubts += [f"{prose.plural(len(warned), 'warning')} about model or data"] if warned else []
    if few:
        nouns = ("label has", "labels have") if saved.several(result) else CLASSES
        doubts.append(f"{prose.plural(len(few), *nouns)} fewer than {FEW} examples")
    if not isinstance(seeds, list) or len(seeds) < 2:
        doubts.append("one seed")
    return doubts
