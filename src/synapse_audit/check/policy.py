"""A policy as read from its TOML file, each rule with its line."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from synapse_audit.errors import UsageError, choices
from synapse_audit.summary import UNITS, Keys, dotted, entry_of, keys_of

OnNotShown = Literal["fail", "warn"]
BOUNDS = ("at_least", "at_most", "max_regression")
BASELINE = "baseline"
"""First key of figures that compare the run with a baseline."""
RULE_HEADER = re.compile(r"\s*\[\[\s*(?:rule|'rule'|\"rule\")\s*\]\]")


class Rule(BaseModel):
    """One bound on one figure."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    figure: str
    """Dotted path of a figure of ``summary.json``, or of the comparison: ``baseline.flip_rate``."""
    at_least: float | None = None
    at_most: float | None = None
    max_regression: float | None = Field(default=None, ge=0)
    """How much worse than the baseline's it may be, in the figure's own unit."""
    tests: bool = False
    """Asks for a run with tests (preset ``standard``): others answer not shown."""
    on_not_shown: OnNotShown | None = None
    """None: as the policy says."""
    name: str | None = None
    """Shown instead of the figure's path."""

    @property
    def keys(self) -> Keys:
        """The path as keys."""
        return keys_of(self.figure)

    @property
    def bound(self) -> tuple[str, float]:
        """Which of ``BOUNDS`` the rule sets, and its value."""
        return next((n, value) for n in BOUNDS if (value := getattr(self, n)) is not None)

    @property
    def title(self) -> str:
        """The rule in words."""
        kind, value = self.bound
        said = {
            "at_least": "at least",
            "at_most": "at most",
            "max_regression": "no worse by more than",
        }
        return self.name or f"{self.figure} {said[kind]} {value:g}"

    @property
    def needs_baseline(self) -> bool:
        """Whether another run is needed to decide it."""
        return self.max_regression is not None or self.keys[0] == BASELINE


class Policy(NamedTuple):
    """Rules in the order of their file."""

    rules: tuple[Rule, ...]
    lines: tuple[int, ...]
    """Line of each rule, from 1."""
    on_not_shown: OnNotShown
    path: Path

    def fails_when_not_shown(self, rule: Rule) -> bool:
        """Whether an answer that the run cannot give fails the check."""
        return (rule.on_not_shown or self.on_not_shown) == "fail"


def read_policy(path: str | Path) -> Policy:
    """Reads and checks a policy.

    Raises:
        UsageError: it cannot be read, is no TOML, has unknown keys, wrong types, duplicate rules or
            bounds that the figure cannot reach.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
        found = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"policy '{file}' cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"policy '{file}' is not TOML: {error}") from error
    for key in found:
        if key not in ("rule", "on_not_shown"):
            raise UsageError(f"policy key '{key}' given; {choices(key, ['rule', 'on_not_shown'])}")
    rules = found.get("rule")
    if not isinstance(rules, list) or not rules:
        raise UsageError(f"policy '{file}' holds no rule; expected at least one [[rule]]")
    lines = _lines(text, len(rules))
    overall = found.get("on_not_shown", "fail")
    if overall not in ("fail", "warn"):
        raise UsageError(f"on_not_shown '{overall}' given; {choices(overall, ['fail', 'warn'])}")
    read = tuple(_rule(one, f"{file}:{line}") for one, line in zip(rules, lines, strict=True))
    _refuse_duplicates(read, lines, file)
    return Policy(read, lines, overall, file)


def _rule(given: Any, where: str) -> Rule:
    if not isinstance(given, dict):
        raise UsageError(f"{where}: {given!r} given; expected a table [[rule]]")
    for key in given:
        if key not in Rule.model_fields:
            raise UsageError(f"{where}: key '{key}' given; {choices(key, list(Rule.model_fields))}")
    try:
        # TOML writes 1 where 1.0 is meant.
        rule = Rule.model_validate({k: _number(v) for k, v in given.items()})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "rule"
        raise UsageError(f"{where}: {name}: {first['msg']} (given {first['input']!r})") from error
    _check_bounds(rule, where)
    return rule


def _number(value: Any) -> Any:
    return float(value) if type(value) is int else value


def _check_bounds(rule: Rule, where: str) -> None:
    set_ones = [name for name in BOUNDS if getattr(rule, name) is not None]
    if len(set_ones) != 1:
        given = " and ".join(set_ones) or "none"
        raise UsageError(
            f"{where}: {given} given for '{rule.figure}'; expected exactly one of "
            f"{', '.join(BOUNDS)}"
        )
    kind, value = rule.bound
    low, high = possible(rule.keys)
    span = high - low if kind == "max_regression" else math.nan
    outside = value > span if kind == "max_regression" else not low <= value <= high
    if outside:
        reach = f"0 to {span:g}" if kind == "max_regression" else f"{low:g} to {high:g}"
        raise UsageError(f"{where}: {kind} = {value:g} given for '{rule.figure}'; expected {reach}")


def possible(keys: Keys) -> tuple[float, float]:
    """Smallest and largest value that a figure can have."""
    if keys[0] == BASELINE:
        return UNITS["share" if keys[1:2] == ("flip_rate",) else "difference of shares"]
    entry = entry_of(keys)
    return UNITS[entry.unit] if entry else (-math.inf, math.inf)


def _refuse_duplicates(rules: Sequence[Rule], lines: Sequence[int], file: Path) -> None:
    seen: dict[tuple[str, str], int] = {}
    for rule, line in zip(rules, lines, strict=True):
        key = (dotted(rule.keys), rule.bound[0])
        if key in seen:
            raise UsageError(
                f"{file}:{line}: {key[1]} given twice for '{key[0]}' (line {seen[key]}); expected "
                "one rule each"
            )
        seen[key] = line


def _lines(text: str, n: int) -> tuple[int, ...]:
    """The line of each ``[[rule]]``; line 1 for all where they are not written as such."""
    found = tuple(_headers(text))
    return found if len(found) == n else (1,) * n


def _headers(text: str) -> Iterator[int]:
    inside = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not inside and RULE_HEADER.match(line):
            yield number
        for quotes in ('"""', "'''"):
            if (not inside or inside == quotes) and line.count(quotes) % 2:
                inside = "" if inside else quotes
