"""A number of the summary with its interval, as findings write it and everything else reads it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OWN = ("value", "low", "high", "reason", "n")
"""Keys of a figure in JSON; all others are facts beside it."""


@dataclass(frozen=True)
class Figure:
    """A number with its 95 % interval; NaN where unknown, never 0.

    In JSON ``{"value", "low", "high"}``, unknown as null, with ``reason`` and ``n`` where there are
    any and the facts of ``beside`` as further keys.

    >>> Figure(0.5, 0.4).to_json()
    {'value': 0.5, 'low': 0.4, 'high': None}
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    reason: str = ""
    """Why the value or its interval is unknown."""
    n: int | None = None
    """Examples it rests on; None where that is all of ``evaluate``, or nothing was counted."""
    beside: Mapping[str, Any] = field(default_factory=dict)
    """Where it was found and the like: numbers, names, other figures."""

    def __post_init__(self) -> None:
        """Plain floats; what is not finite is unknown."""
        for name in ("value", "low", "high"):
            given = float(getattr(self, name))
            object.__setattr__(self, name, given if math.isfinite(given) else math.nan)

    @classmethod
    def unknown(cls, reason: str) -> Figure:
        """A figure that could not be had, and why."""
        return cls(math.nan, reason=reason)

    @classmethod
    def read(cls, node: object) -> Figure:
        """A figure from JSON; a bare number is one without an interval, all else is unknown."""
        if isinstance(node, Figure):
            return node
        if not isinstance(node, Mapping):
            return cls(_number(node))
        n = node.get("n")
        return cls(
            _number(node.get("value")),
            _number(node.get("low")),
            _number(node.get("high")),
            reason=str(node.get("reason") or ""),
            n=int(n) if isinstance(n, int | float) else None,
            beside={name: part for name, part in node.items() if name not in OWN},
        )

    @property
    def known(self) -> bool:
        """Whether there is a value at all."""
        return not math.isnan(self.value)

    @property
    def bounded(self) -> bool:
        """Whether both ends of the interval are known."""
        return not (math.isnan(self.low) or math.isnan(self.high))

    @property
    def half_width(self) -> float:
        """Half the width of the interval; NaN where there is none."""
        return (self.high - self.low) / 2

    def __neg__(self) -> Figure:
        """The same of the other sign: a drop as a change."""
        return Figure(-self.value, -self.high, -self.low, self.reason, self.n, self.beside)

    def to_json(self) -> dict[str, Any]:
        """As in ``summary.json``."""
        ends = {"value": self.value, "low": self.low, "high": self.high}
        found: dict[str, Any] = {k: None if math.isnan(v) else v for k, v in ends.items()}
        found |= {"reason": self.reason} if self.reason else {}
        found |= {"n": self.n} if self.n is not None else {}
        return found | to_json(self.beside)


@dataclass(frozen=True)
class Choice:
    """An answer that is a name: which of several came out first, and how surely."""

    value: str
    share: float
    """In which share of the resamples the same one came out."""

    def to_json(self) -> dict[str, Any]:
        """As in ``summary.json``; a name has no interval."""
        return {"value": self.value, "low": None, "high": None, "share": self.share}


def to_json(tree: Any) -> Any:
    """Figures and choices of a tree as JSON, numbers that are none as null, the rest as it is.

    >>> to_json({"a": Figure(0.5, beside={"b": math.nan})})
    {'a': {'value': 0.5, 'low': None, 'high': None, 'b': None}}
    """
    if isinstance(tree, Figure | Choice):
        return tree.to_json()
    if isinstance(tree, Mapping):
        return {name: to_json(node) for name, node in tree.items()}
    if isinstance(tree, list | tuple):
        return [to_json(node) for node in tree]
    if isinstance(tree, float) and not math.isfinite(tree):
        return None
    return tree


def _number(node: object) -> float:
    return float(node) if isinstance(node, int | float) else math.nan
