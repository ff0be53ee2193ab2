"""Numbers and names as the report writes them, so that every section writes them the same way.

Rates, accuracies and drops have three decimals; shares of neurons are percentages; unknown is a
dash, never 0.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from synapse_audit.summary import Figure

UNKNOWN = "–"
SIGNIFICANT = 0.05
"""Adjusted p values at or below it are called significant."""


def as_float(value: Any) -> float:
    """Any cell or JSON value as a float; NaN for what is no number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def number(value: Any, decimals: int = 3) -> str:
    """Fixed decimals, a true minus sign, a dash for unknown.

    >>> number(-0.12345), number(float("nan"))
    ('−0.123', '–')
    """
    given = as_float(value)
    if math.isnan(given):
        return UNKNOWN
    if math.isinf(given):
        return "∞" if given > 0 else "−∞"
    return f"{round(given, decimals) + 0.0:.{decimals}f}".replace("-", "−")


def percent(value: Any, digits: int = 3) -> str:
    """A share as a percentage with so many significant digits.

    >>> percent(0.025), percent(0.5), percent(0.6756, 2), percent(1.0, 2)
    ('2.5%', '50%', '68%', '100%')
    """
    given = as_float(value)
    if not math.isfinite(given):
        return UNKNOWN
    return f"{float(f'{100 * given:.{digits}g}'):g}%".replace("-", "−")


def whole(value: Any) -> str:
    r"""A count, thousands apart by a narrow space that breaks no line.

    >>> whole(12345).replace("\N{NARROW NO-BREAK SPACE}", "_")
    '12_345'
    """
    given = as_float(value)
    return UNKNOWN if not math.isfinite(given) else f"{round(given):,}".replace(",", "\u202f")


def p_value(value: Any) -> str:
    """Three decimals, never a bare zero."""
    given = as_float(value)
    return "< 0.001" if given < 0.001 else number(given)


def p_phrase(value: Any) -> str:
    """``p adj = 0.004`` or ``p adj < 0.001``."""
    text = p_value(value)
    return f"p adj {text}" if text.startswith("<") else f"p adj = {text}"


def digits(low: Any, high: Any) -> int:
    """Decimals that an interval carries: the last one is at most half of its half width.

    Three where there is no interval, and never more.

    >>> digits(0.978, 1.0), digits(0.407, 0.56), digits(0.1, 0.8), digits(None, None)
    (3, 2, 1, 3)
    """
    half = (as_float(high) - as_float(low)) / 2
    if not half > 0 or math.isinf(half):
        return 3
    return min(3, max(1, math.ceil(-math.log10(half / 2) - 1e-9)))


def span(low: Any, high: Any, decimals: int = 3) -> str:
    """An interval; a dash where either end is unknown."""
    if math.isnan(as_float(low)) or math.isnan(as_float(high)):
        return UNKNOWN
    return f"{number(low, decimals)} to {number(high, decimals)}"


def span_of_shares(low: Any, high: Any) -> str:
    """``25% to 50%``."""
    return f"{percent(low)} to {percent(high)}"


def spans(lows: Iterable[Any], highs: Iterable[Any]) -> list[str]:
    """Intervals of two columns."""
    return [span(low, high) for low, high in zip(lows, highs, strict=True)]


def with_interval(estimate: Figure) -> str:
    """``0.914 (0.897 to 0.931)``; no digit that the interval does not carry.

    >>> with_interval(Figure(0.4867, 0.4067, 0.56)), with_interval(Figure(0.4867))
    ('0.49 (0.41 to 0.56)', '0.487')

    What is not all of the examples is never written as 1, nor what is some as 0:

    >>> with_interval(Figure(0.998, 0.95, 1.0))
    '0.998 (0.950 to 1.000)'
    """
    decimals = digits(estimate.low, estimate.high)
    rounded = round(estimate.value, decimals) if estimate.known else 0.5
    if rounded in (0.0, 1.0) and rounded != estimate.value:
        decimals = 3
    bounds = span(estimate.low, estimate.high, decimals)
    text = number(estimate.value, decimals)
    return text if bounds == UNKNOWN else f"{text} ({bounds})"


def falls(drop: Any, low: Any = math.nan, high: Any = math.nan, *, bounds: str = "") -> str:
    """What a rate does that loses ``drop``; the interval of a rise is turned with it.

    Args:
        bounds: what ``low`` and ``high`` are, where they are no interval of the estimate.

    >>> falls(0.027, 0.01, 0.041), falls(-0.27, -0.31, 0.01), falls(0.0)
    ('falls by 0.027 (0.010 to 0.041)', 'rises by 0.27 (−0.01 to 0.31)', 'does not change')
    """
    given, named = as_float(drop), f"{bounds}: " if bounds else ""
    decimals = digits(low, high)
    if math.isnan(given):
        return "changes by an unknown amount"
    if number(given, decimals) == number(0, decimals):
        limits = span(low, high, decimals)
        still = limits in (UNKNOWN, span(0, 0, decimals))
        return "does not change" + ("" if still else f" ({named}drop {limits})")
    verb = "falls" if given > 0 else "rises"
    turned = given < 0
    limits = span(-as_float(high) if turned else low, -as_float(low) if turned else high, decimals)
    size = number(abs(given), decimals)
    return f"{verb} by {size}" + ("" if limits == UNKNOWN else f" ({named}{limits})")


def change(row: Any) -> str:
    """What accuracy does, by the columns drop, drop_low and drop_high of a row."""
    return falls(row["drop"], row["drop_low"], row["drop_high"])


def more(excess: Any, low: Any = math.nan, high: Any = math.nan) -> str:
    """How much more, or less, than something else; the interval of a deficit is turned with it.

    >>> more(0.027), more(-0.027, -0.041, 0.001)
    ('0.027 more', '0.03 (0.00 to 0.04) less')
    """
    given = Figure(as_float(excess), as_float(low), as_float(high))
    if number(given.value).startswith("−"):
        return f"{with_interval(-given)} less"
    return f"{with_interval(given)} more"


def plain(text: Any) -> str:
    """A name from the data without control or direction characters, which could hide text."""
    return "".join(
        "\ufffd" if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else c
        for c in str(text)
    )


def figures(names: Iterable[Any], values: Iterable[Any], decimals: int = 3) -> str:
    """``a 0.100, b 0.200``: what a figure shows, for readers who cannot see it."""
    pairs = zip(names, values, strict=True)
    return ", ".join(f"{short(name)} {number(value, decimals)}" for name, value in pairs)


def short(text: Any, length: int = 22) -> str:
    """A name cut to ``length`` characters, for axes."""
    name = plain(text)
    return name if len(name) <= length else f"{name[: length - 1]}…"


def quoted(text: Any) -> str:
    """A class name inside a sentence."""
    return f"“{short(text, 60)}”"


def listing(names: Sequence[str]) -> str:
    """``a``, ``a and b``, or ``a, b and c``."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def alternatives(names: Sequence[str], most: int = 3) -> str:
    """``a``, ``a, b or c``, or ``a, b, c or 2 more``.

    >>> alternatives("a"), alternatives("abc"), alternatives("abcde")
    ('a', 'a, b or c', 'a, b, c or 2 more')
    """
    more = [f"{len(names) - most} more"] if len(names) > most else []
    shown = [*names[:most], *more]
    return f"{', '.join(shown[:-1])} or {shown[-1]}" if len(shown) > 1 else "".join(shown)


def plural(n: int, noun: str, many: str = "") -> str:
    """``1 class`` or ``5 classes``."""
    return f"{whole(n)} {noun if n == 1 else many or noun + 's'}"


def some(names: Sequence[str], most: int = 6) -> str:
    """A listing that stops after a few: ``a, b and 3 more``."""
    if len(names) <= most:
        return listing(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"
