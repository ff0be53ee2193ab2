"""What a comparison found, in sentences, the same in terminal, Markdown and page."""

from __future__ import annotations

from collections.abc import Iterator

from synapse_audit.compare.comparison import Comparison, Pair
from synapse_audit.compare.figure_sentences import figure_sentences
from synapse_audit.compare.paired import Change
from synapse_audit.report.kit import prose

HARDLY = 0.02
"""Accuracy that moves by less hardly moves."""

NOTABLE = 0.05

STILL = "does not change"

HIDES = "Accuracy hides what happens to"


def sentences(found: Comparison) -> tuple[str, ...]:
    """Pair by pair, then what is not compared."""
    said = [text for i, pair in enumerate(found.pairs) for text in _pair(found, pair, i)]
    return (*said, *(f"{note}." for note in found.notes))


def _pair(found: Comparison, pair: Pair, later: int) -> Iterator[str]:
    first = found.names[0]
    if pair.flips:
        yield _flips(pair, first)
        yield from _accuracy(pair)
        yield _classes(pair)
    yield from figure_sentences(found, pair, later)


def _flips(pair: Pair, first: str) -> str:
    every = pair.flips[0]
    rate, p = prose.with_interval(every.rate), _p(every.p)
    weighted = abs(every.rate.value - every.flips / every.n) > 1e-9
    how = ", weighted to the data's class shares" if weighted else ""
    others = every.flips - every.lost - every.won
    rest = f", {others} went from one wrong class to another" if others else ""
    return (
        f"{prose.plain(pair.name)} names another class than {prose.plain(first)} for {rate} of the "
        f"examples{how} ({prose.whole(every.flips)} of {prose.whole(every.n)} evaluated): "
        f"{prose.plural(every.lost, 'right answer')} became wrong, "
        f"{prose.plural(every.won, 'wrong one')} right ({every.test} {p}){rest}."
    )


def _p(value: float) -> str:
    text = prose.p_value(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def _accuracy(pair: Pair) -> Iterator[str]:
    change = next(c for c in pair.changes if c.figure == "accuracy")
    yield f"Accuracy {_moves(change)}."
    notable = [c for c in _surely(pair) if abs(c.difference.value) >= NOTABLE]
    if abs(change.difference.value) < HARDLY and notable:
        worst = max(notable, key=lambda c: abs(c.difference.value))
        yield (
            f"{HIDES} {prose.quoted(worst.name)}: its {worst.figure} goes "
            f"from {prose.number(worst.first)} to {prose.number(worst.second)}."
        )


def _classes(pair: Pair) -> str:
    surely = _surely(pair)
    tested = sum(c.name is not None and c.difference.known for c in pair.changes)
    if not surely:
        return f"No class's recall or precision changes beyond chance ({tested} tests, corrected)."
    listed = [f"{c.figure} of {prose.quoted(c.name)} {_moves(c)}" for c in surely]
    return f"Beyond chance, corrected over classes: {prose.some(listed, 8)}."


def _surely(pair: Pair) -> list[Change]:
    return [c for c in pair.changes if c.name is not None and c.significant]


def _moves(change: Change) -> str:
    drop = -change.difference
    moves = prose.falls(drop.value, drop.low, drop.high)
    if moves == STILL or change.significant:
        return moves
    if moves.startswith(STILL):
        return f"is not shown to change{moves.removeprefix(STILL)}"
    return f"{moves}, which may be chance"
