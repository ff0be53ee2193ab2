"""The row about tampering: the smallest change found that breaks the model, over every space.

Sizes of different spaces are not the same effort, so that each stands with its unit. The smallest
of many tried carries no interval; beside it stands what is proved impossible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pandas as pd

from synapse_audit.report.cover.evidence import examples, joined
from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Result, Row
from synapse_audit.report.quoted.spaces import CEILING, HALF, RELATIVE, space_name

REACH = ("target", "space", "unit", "level", "budget")
MOST = 3
"""Classes named in a row."""
BITS = "bits"
TINY = 0.0005
"""Budgets closer than this are written alike."""
CHANGES = {
    "neurons": "changing the activations by {} of their norm",
    "head weights": "editing the head by {} of its norm",
    "logits": "shifting the logits by {} of their length",
    "input": "changing the input embeddings by {} of their norm",
}
"""Space → what is done there, with the size left open."""


class Found(NamedTuple):
    """The smallest change found in one space."""

    space: str
    size: str
    does: str
    order: tuple[int, float]
    """Bits before shares: a few bits are the least change there is."""


def cheapest(result: Result) -> Row | None:
    """The smallest change found that redirects half of the examples, or halves the accuracy."""
    found = sorted((*_bits(result), *_relative(result)), key=lambda one: one.order)
    if not found:
        return _none(result)
    first, rest = found[0], found[1:]
    others = prose.listing([f"{one.space} {one.size}" for one in rest])
    bound = _impossible(result)
    return Row(
        label="cheapest tampering",
        question="What breaks it most cheaply?",
        answer=f"{_sentence(first)}{f' Elsewhere: {others}.' if others else ''}{bound}",
        figure=f"{first.size} or less",
        evidence=joined(examples(result), "smallest of those tried"),
        link="faults" if first.space == BITS else "profile",
        brief=_clause(first),
    )


def _clause(one: Found) -> str:
    """What is done, and what it does."""
    done = CHANGES.get(one.space, f"changing {one.space} by {{}}").format(one.size)
    return f"{one.size if one.space == BITS else done} {one.does}"


def _sentence(one: Found) -> str:
    said = _clause(one)
    return f"{said[:1].upper()}{said[1:]}."


def _none(result: Result) -> Row | None:
    if not len(saved.frame(result, "profile", "reach", REACH).dropna(subset=["level"])):
        return None
    nothing = "nothing tried redirects half of the other examples to any class"
    return Row(
        label="cheapest tampering",
        question="What breaks it most cheaply?",
        answer=f"{nothing[:1].upper()}{nothing[1:]}.{_impossible(result)}",
        figure="",
        evidence=examples(result),
        link="profile",
        brief=nothing,
    )


def _relative(result: Result) -> Iterator[Found]:
    """Per space the smallest relative change that redirects half, with every class it reaches."""
    table = saved.frame(result, "profile", "reach", REACH)
    table = table[(table["level"] == HALF) & (table["unit"] == RELATIVE)].dropna(subset=["budget"])
    for space, rows in table.groupby("space", sort=False):
        least = float(rows["budget"].min())
        near = rows[rows["budget"] <= least + TINY]
        targets = [prose.quoted(name) for name in dict.fromkeys(near["target"])]
        does = f"sends half of the other examples to {_any_of(targets)}"
        yield Found(space_name(space), prose.percent(least, 2), does, (1, least))


def _any_of(names: list[str]) -> str:
    if len(names) > MOST:
        return f"any of {len(names)} classes"
    return " or ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]


def _bits(result: Result) -> Iterator[Found]:
    """The fewest searched bits that take half of the accuracy above chance, over formats."""
    formats = saved.dig(result.summary, "faults", "halving_bits")
    known = {
        str(name): saved.estimate(figure).value
        for name, figure in (formats.items() if isinstance(formats, Mapping) else ())
        if isinstance(figure, Mapping) and saved.estimate(figure).known
    }
    if not known:
        return
    fewest = min(known.values())
    where = prose.listing([prose.plain(name) for name, n in known.items() if n == fewest])
    verb = "takes" if fewest == 1 else "take"
    does = f"of the head ({where}) {verb} half of the accuracy above chance"
    yield Found(BITS, prose.plural(int(fewest), "flipped bit"), does, (0, fewest))


def _impossible(result: Result) -> str:
    """Below which size no single edit of the head can redirect half, whatever it is."""
    floor = saved.frame(result, "vulnerability", "floor", CEILING)
    floor = floor.dropna(subset=["bound_all_rows", "budget"])
    below = floor[floor["bound_all_rows"] < HALF]
    if not len(below):
        return ""
    possible = floor[floor["bound_all_rows"] >= HALF]
    limit = pd.concat([possible["budget"], floor["budget"].tail(1)]).min()
    safe = below.loc[below["budget"] < limit, "budget"]
    if not len(safe):
        return ""
    return (
        f" No edit of the head up to {prose.percent(safe.max(), 2)} of its norm can redirect half "
        "(proved for these examples)."
    )
