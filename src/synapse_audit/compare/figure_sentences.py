"""What a comparison found in figures besides accuracy: better, worse, and how that is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from synapse_audit.compare.comparison import Comparison, Pair
from synapse_audit.compare.figures import Row
from synapse_audit.report.kit import prose
from synapse_audit.summary import dotted

VERDICTS = ("better", "worse", "higher", "lower")
"""In this order; the last two of figures of which neither direction is better."""

LISTED = 4
"""Figures of a verdict that are quoted with numbers and meaning; the tables have all."""


def figure_sentences(found: Comparison, pair: Pair, later: int) -> Iterator[str]:
    """Counts, then the figures that differ, then those that could not be paired and why."""
    name, rows = prose.plain(pair.name), found.rows
    if not rows:
        yield f"No other figure of {name} can be compared."
        return
    differ = {v: [row for row in rows if row.verdict(later) == v] for v in VERDICTS}
    yield _counts(found, name, {v: some for v, some in differ.items() if some})
    for verdict, some in differ.items():
        yield from (f"{verdict.capitalize()}: {_quoted(row, later)}." for row in some[:LISTED])
        if some[LISTED:]:
            names = [prose.plain(dotted(row.keys)) for row in some[LISTED:]]
            yield f"{verdict.capitalize()} too: {prose.some(names)}."
    if pair.flips:
        yield from _unpaired(rows, later)


def _counts(found: Comparison, name: str, differ: dict[str, list[Row]]) -> str:
    first, n = prose.plain(found.names[0]), len(found.rows)
    left = n - sum(map(len, differ.values()))
    parts = [f"{prose.whole(len(some))} {verdict}" for verdict, some in differ.items()]
    parts += [f"{prose.whole(left)} not shown to differ"] if left else []
    return (
        f"{prose.plural(n, 'other figure')} of {name} beside those of {first}: "
        f"{prose.listing(parts)}; intervals and tests are corrected over all of them."
    )


def _quoted(row: Row, later: int) -> str:
    change, other = row.differences[later], bool(row.settings[later])
    return (
        f"{prose.plain(dotted(row.keys))} {prose.number(row.values[0].value)} → "
        f"{prose.number(row.values[later + 1].value)} "
        f"(change {prose.span(change.low, change.high)}{', other settings' * other}), "
        f"{row.entry.meaning}"
    )


def _unpaired(rows: Sequence[Row], later: int) -> Iterator[str]:
    """Of runs on the same examples, which figures took them as independent."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.unpaired[later]:
            reasons.setdefault(row.unpaired[later], []).append(prose.plain(dotted(row.keys)))
    paired = len(rows) - sum(map(len, reasons.values()))
    if not reasons:
        every = "It is" if len(rows) == 1 else "All of them are"
        yield f"{every} paired example by example."
        return
    many = prose.whole(paired) if paired else "None"
    yield f"{many} of them {'is' if paired < 2 else 'are'} paired example by example."
    for reason, names in reasons.items():
        yield (
            f"Not paired, so usually with wider intervals: {prose.some(names, LISTED)} "
            f"({prose.plain(reason)})."
        )
