"""Decision thresholds as they are written on a command line."""

from __future__ import annotations


def thresholds(given: str) -> float | dict[str, float]:
    """A number, or ``CLASS=NUMBER`` with commas between.

    >>> thresholds("0.8"), thresholds("spam=0.8, scam=0.3")
    (0.8, {'spam': 0.8, 'scam': 0.3})

    Raises:
        ValueError: something else; the message says what was expected.
    """
    if "=" not in given:
        return _number(given)
    found: dict[str, float] = {}
    for part in given.split(","):
        name, _, value = part.rpartition("=")
        found[name.strip()] = _number(value)
    if len(found) < given.count(",") + 1 or "" in found:
        raise ValueError("expected each class once, as CLASS=NUMBER with commas between")
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("expected a probability, or CLASS=NUMBER with commas between") from None
