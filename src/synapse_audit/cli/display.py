"""How progress looks: a bar per stage and one for the whole run, or one line per stage.

In: stages with their amount of work. Out: lines on stderr, so that stdout stays clean for results.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from synapse_audit.cli.printing import printable
from synapse_audit.progress import Advance

STAGES: dict[str, float] = {
    "clean pass": 3,
    "probes": 2,
    "rankings": 3,
    "attributions": 3,
    "choosing bits": 2,
    "checking routes": 8,
    "sufficient sets": 3,
    "ranking stability": 2,
    "exact cells": 20,
    "first phase": 14,
    "pilot": 3,
    "second phase": 17,
    "effects": 8,
    "findings": 10,
    "report": 2,
}
"""Stages in order, and about how much of a run each takes; stages that are skipped count as done.

The bar of the whole run is a guess from these shares, and so never says a time.
"""

SPANS = {"interventions": ("exact cells", "first phase", "pilot", "second phase")}
"""A stage that stands for several."""

WHOLE = "whole run"


class RateColumn(ProgressColumn):
    """Units of work per second, over the whole stage."""

    def render(self, task: Task) -> Text:
        """The rate, once there is one."""
        if task.description == WHOLE or not task.elapsed or (task.total or 0) <= 1:
            return Text("")
        return Text(f"{task.completed / task.elapsed:,.0f}/s")


class LeftColumn(ProgressColumn):
    """Time left at the mean pace of the stage so far: steady, whatever the last seconds did."""

    def render(self, task: Task) -> Text:
        """Minutes and seconds, once some work is done."""
        seconds = seconds_left(task.elapsed, task.completed, task.total)
        unknown = seconds is None or task.description == WHOLE
        return Text("" if unknown or seconds is None else f"{clock(seconds)} left")


def seconds_left(
    elapsed: float | None, done: int | float, total: int | float | None
) -> float | None:
    """What is left at the pace so far; None before anything is done.

    >>> seconds_left(30.0, 25, 100)
    90.0
    """
    if not elapsed or not total or done <= 0:
        return None
    return elapsed * max(total - done, 0) / done


def clock(seconds: int | float) -> str:
    """``45 s``, ``2 min 05 s``, ``1 h 10 min``.

    >>> clock(45), clock(125), clock(4200)
    ('45 s', '2 min 05 s', '1 h 10 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Terminal:
    """Draws every stage on stderr; ``seeds`` is how many audits the bar of the whole run spans."""

    def __init__(self, seeds: int = 1) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.seeds = seeds
        self._seed = 0
        self._last = ""

    @contextmanager
    def stage(self, title: str, total: int | float) -> Iterator[Advance]:
        """One line per stage; it stays when the stage is done."""
        self._enter(title)
        if self.console.is_terminal:
            with self._bars(title, total) as advance:
                yield advance
            return
        start = time.perf_counter()
        yield lambda done: None
        self.note(f"{title:<18} {clock(time.perf_counter() - start)}")

    def note(self, text: str) -> None:
        """One line."""
        self.console.print(printable(text), markup=False, soft_wrap=not self.console.is_terminal)

    def _enter(self, title: str) -> None:
        """Notices where the next seed's audit begins: its stages start over."""
        order, name = list(STAGES), SPANS.get(title, (title,))[0]
        if name not in STAGES:
            return
        if self._last and order.index(name) <= order.index(self._last):
            self._seed = min(self._seed + 1, self.seeds - 1)
        self._last = name

    @contextmanager
    def _bars(self, title: str, total: int | float) -> Iterator[Advance]:
        columns = (
            TextColumn("{task.description:<18}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            RateColumn(),
            TimeElapsedColumn(),
            LeftColumn(),
        )
        with Progress(*columns, console=self.console) as bars:
            task = bars.add_task(title, total=total)
            before, share = self._shares(title)
            whole = bars.add_task(WHOLE, total=1.0, visible=bool(share))
            bars.advance(whole, before)

            def advance(amount: int | float) -> None:
                bars.advance(task, amount)
                bars.advance(whole, share * amount / max(total, 1))

            yield advance
            bars.remove_task(whole)

    def _shares(self, title: str) -> tuple[float, float]:
        """How much of all seeds' work lies before a stage, and in it; no share if unknown."""
        names = SPANS.get(title, (title,))
        if names[0] not in STAGES:
            return 0.0, 0.0
        one = sum(STAGES.values())
        before = sum(STAGES[name] for name in list(STAGES)[: list(STAGES).index(names[0])])
        share = sum(STAGES[name] for name in names)
        return (self._seed * one + before) / (one * self.seeds), share / (one * self.seeds)
