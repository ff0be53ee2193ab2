"""The row about tampering: the smallest change found that breaks the model, over every space.

Sizes of different spaces are not the same effort, so that each stands with its unit. The smallest
of many that seemed enough may seem so by luck: unless it is certain for all tried at once, it is
said to be so in this sample. Beside it stands what is proved impossible.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from synapse_audit.report.cover.evidence import examples, joined
from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Result, Row
from synapse_audit.report.quoted.spaces import HALF, RELATIVE, SPACES, space_name
from synapse_audit.summary import Figure
from synapse_audit.tables.attack_surface import REACH

MOST = 3
"""Classes named in a row."""
BITS = "bits"
TINY = 0.0005
"""Budgets closer than this are written as one."""
QUESTION = "What breaks it most cheaply?"
CHANGES = {
    "neuron": "changing the activations by {} of their norm",
    "weight": "editing the head by {} of its norm",
    "logit": "shifting the logits by {} of their length",
    "input": "changing the input embeddings by {} of their norm",
    BITS: "{}",
}
"""Space → what is done there, with the size left open."""


class Found(NamedTuple):
    """The smallest change found in one space."""

    space: str
    figure: Figure
    does: str
    redirects: bool
    """Whether half is redirected; otherwise half of the accuracy is lost."""

    @property
    def order(self) -> tuple[bool, float]:
        """Bits before shares: a few bits are the least change there is."""
        return self.space != BITS, self.figure.value

    @property
    def size(self) -> str:
        """With its unit."""
        return self.written(self.figure.value)

    def written(self, size: float) -> str:
        """Any size in this space's unit."""
        if self.space == BITS:
            return prose.plural(int(size), "flipped bit")
        return prose.percent(size, 2)

    @property
    def shown(self) -> bool:
        """Whether it is certain, for all experiments of all spaces at once, that this is enough."""
        return self.figure.high <= self.figure.value + TINY

    @property
    def doubt(self) -> str:
        """What the sample leaves open: the smallest of many tried was picked."""
        if self.shown:
            return ""
        if self.figure.high == self.figure.high:
            return f" So in this sample; for certain with {self.written(self.figure.high)}."
        return " So in this sample, not shown beyond it."

    @property
    def clause(self) -> str:
        """What is done, and what it does."""
        return f"{CHANGES[self.space].format(self.size)} {self.does}"


def cheapest(result: Result) -> Row | None:
    """The smallest change found that redirects half of the examples, or halves the accuracy."""
    found = sorted((one for s in SPACES for one in _of_space(result, s)), key=lambda f: f.order)
    if not found:
        return _none(result)
    first, rest = found[0], found[1:]
    others = prose.listing([f"{space_name(one.space)} {one.size}" for one in rest])
    proved = saved.estimate(result.summary, "head_edit").low
    # What is proved is about redirecting half, by edits of the head.
    bound = f", impossible below {prose.percent(proved, 2)}" if comparable(first) else ""
    tried = first.figure.beside.get("tried")
    return Row(
        label="cheapest tampering",
        question=QUESTION,
        answer=f"{_sentence(first.clause)}{first.doubt}"
        f"{f' Smallest found elsewhere: {others}.' if others else ''}{_impossible(proved)}",
        figure=f"{'at most' if first.shown else 'about'} {first.size}"
        f"{bound if proved == proved else ''}",
        evidence=joined(
            examples(result), f"smallest of {prose.whole(tried)} tried{_beside(found)}"
        ),
        link="faults" if first.space == BITS else "profile",
        brief=first.clause if first.shown else f"{first.clause} in this sample",
    )


def _beside(found: list[Found]) -> str:
    """Spaces whose smallest changes it was picked from."""
    return "" if len(found) == 1 else f" in this space, of {len(found)} spaces"


def comparable(found: Found) -> bool:
    """Whether the bound that is proved is about what was found."""
    return found.space == "weight" and found.redirects


def _sentence(clause: str) -> str:
    return f"{clause[:1].upper()}{clause[1:]}."


def _none(result: Result) -> Row | None:
    if saved.dig(result.summary, "weakest") is None:
        return None
    nothing = "nothing tried redirects half of the other examples or takes half of the accuracy"
    proved = saved.estimate(result.summary, "head_edit").low
    return Row(
        label="cheapest tampering",
        question=QUESTION,
        answer=f"{_sentence(nothing)}{_impossible(proved)}",
        figure="",
        evidence=examples(result),
        link="profile",
        brief=nothing,
    )


def _of_space(result: Result, space: str) -> Iterator[Found]:
    """The smaller of what redirects half and what takes half of the accuracy, where one does."""
    redirects, halves = (
        saved.estimate(result.summary, "weakest", space, name) for name in ("redirects", "halves")
    )
    if redirects.known and not halves.value < redirects.value - TINY:
        targets = _any_of(_targets(result, space, redirects))
        verb = "send" if _several(space, redirects) else "sends"
        yield Found(space, redirects, f"{verb} half of the other examples to {targets}", True)
    elif halves.known:
        verb = "take" if _several(space, halves) else "takes"
        yield Found(space, halves, f"{verb} half of the accuracy above chance", False)


def _several(space: str, found: Figure) -> bool:
    """Whether the size is a count of more than one."""
    return space == BITS and found.value > 1


def _targets(result: Result, space: str, found: Figure) -> list[str]:
    """Every class that is reached with the smallest change, not only the first one."""
    table = saved.frame(result, REACH)
    rows = table[(table["level"] == HALF) & (table["unit"] == found.beside.get("unit", RELATIVE))]
    near = rows[(rows["space"] == space) & (rows["budget"] <= found.value + TINY)]
    named = [str(name) for name in dict.fromkeys(near["target"])]
    return named or [str(found.beside.get("aimed"))]


def _any_of(names: list[str]) -> str:
    if len(names) > MOST:
        return f"any of {len(names)} classes"
    return prose.alternatives([prose.quoted(name) for name in names])


def _impossible(proved: float) -> str:
    """Up to which size no edit of the head can redirect half, whatever it is."""
    if proved != proved:
        return ""
    return (
        f" No edit of the head up to {prose.percent(proved, 2)} of its norm can redirect half "
        "(proved for these examples)."
    )
