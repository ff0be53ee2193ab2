"""A rule and a figure → supported, contradicted or not shown, by the bounds and never the point."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from synapse_audit.summary import Entry, Figure

Verdict = Literal["supported", "contradicted", "not shown"]

WHY_NO_INTERVAL = {
    "picked": "it was picked as the largest or smallest of several, so its interval is not its own",
    "none": "it has no interval",
}


class Decision(NamedTuple):
    """An answer and its reason."""

    verdict: Verdict
    why: str


def decide(
    figure: Figure, entry: Entry | None, *, kind: str, bound: float, n: int, of: str
) -> Decision:
    """Whether the figure is on the right side of the bound.

    The 95 % interval is two-sided: where the truth lies on the bound, either wrong answer comes
    with a chance of at most 2.5 %, for each rule on its own.

    Args:
        kind: ``at_least`` or ``at_most``.
        n: examples that the figure rests on, where it does not say.
        of: whose examples those are, for the reader.
    """
    if not figure.known:
        return Decision("not shown", figure.reason or "the figure is unknown")
    if entry is not None and entry.interval == "fact":
        figure = Figure(figure.value, figure.value, figure.value)
    elif entry is not None and entry.interval in WHY_NO_INTERVAL:
        return Decision("not shown", WHY_NO_INTERVAL[entry.interval])
    # Turned so that more is always better.
    turned, least = (figure, bound) if kind == "at_least" else (-figure, -bound)
    if turned.low >= least:
        return Decision("supported", _ends(figure))
    if turned.high < least:
        return Decision("contradicted", _ends(figure))
    if math.isnan(turned.low) or math.isnan(turned.high):
        return Decision("not shown", figure.reason or "one end of its interval is unknown")
    return Decision("not shown", f"{_ends(figure)}; {_what_would(turned, least, n, of)}")


def examples_needed(figure: Figure, least: float, n: int) -> int | None:
    """About how many examples would settle it if the figure stayed; None where it lies on it.

    Half widths shrink with the root of the number of examples.
    """
    distance = abs(figure.value - least)
    if distance < 1e-9:
        return None
    width = figure.value - figure.low if figure.value >= least else figure.high - figure.value
    needed = n * (width / distance) ** 2
    if needed > 1e9:
        return None
    digits = max(0, len(str(math.ceil(needed))) - 2)
    return int(math.ceil(needed / 10**digits) * 10**digits)


def _what_would(turned: Figure, least: float, n: int, of: str) -> str:
    rests = turned.n or n
    needed = examples_needed(turned, least, rests)
    if needed is None:
        return (
            "it was measured on the bound itself, so how many examples would settle it is unknown"
        )
    side = "supported" if turned.value >= least else "contradicted"
    return f"about {needed:,} examples{of} would show it {side} ({rests:,} now)"


def _ends(figure: Figure) -> str:
    if figure.low == figure.high:
        return f"{figure.value:.4g}"
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
