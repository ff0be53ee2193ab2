"""What is known of a figure beforehand, whatever its value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from synapse_audit.summary.paths import Keys

Better = Literal["higher", "lower", "neither"]

Interval = Literal["sample", "fact", "picked", "none"]
"""Where ``low`` and ``high`` come from.

| interval | meaning |
|---|---|
| sample | 95 %, over resampled examples: what other examples of the same kind would give |
| fact | needs none: a size, a count or a setting of this run |
| picked | the largest or smallest of several; an interval holds for all of them at once |
| none | an estimate without interval, or with the band of random draws |
"""

UNITS: dict[str, tuple[float, float]] = {
    "share": (0.0, 1.0),
    "difference of shares": (-1.0, 1.0),
    "correlation": (-1.0, 1.0),
    "count": (0.0, math.inf),
    "nats": (0.0, math.inf),
    "logits": (-math.inf, math.inf),
    "relative norm": (0.0, math.inf),
    "neurons": (0.0, math.inf),
    "bits": (0.0, math.inf),
    "temperature": (0.0, math.inf),
    "size": (0.0, math.inf),
    "standard deviations": (-math.inf, math.inf),
}
"""Unit → smallest and largest value possible."""


class Entry(NamedTuple):
    """What is known of a figure beforehand."""

    path: str
    """Dotted; keys in angle brackets stand for any."""
    meaning: str
    unit: str
    better: Better = "neither"
    interval: Interval = "sample"

    @property
    def keys(self) -> Keys:
        """The path as keys."""
        return tuple(self.path.split("."))

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest value possible."""
        return UNITS[self.unit]

    def matches(self, keys: Sequence[str]) -> bool:
        """Whether this is the entry of the figure with these keys."""
        return fits(self.path, keys)


def fits(path: str, keys: Sequence[str]) -> bool:
    """Whether keys are those of a dotted path, of which some may stand for any.

    >>> fits("certificates.l2.<budget>", ("certificates", "l2", "0.1"))
    True
    """
    pattern = path.split(".")
    return len(pattern) == len(keys) and starts(pattern, keys)


def is_any(key: str) -> bool:
    """Whether a key of an entry's path stands for any name."""
    return key.startswith("<")


def starts(pattern: Sequence[str], keys: Sequence[str]) -> bool:
    """Whether keys and pattern agree as far as the shorter of them goes."""
    return all(is_any(own) or own == key for own, key in zip(pattern, keys, strict=False))
