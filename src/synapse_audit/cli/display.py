"""How progress looks in a terminal: stage, bar, rate, time left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from synapse_audit.cli.printing import printable
from synapse_audit.progress import Advance


class RateColumn(ProgressColumn):
    """Units of work per second."""

    def render(self, task: Task) -> Text:
        """The rate, once there is one."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None or (task.total or 0) <= 1 else f"{speed:,.0f}/s")


class Terminal:
    """Draws every stage on stderr, so that stdout stays clean for results."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)

    @contextmanager
    def stage(self, title: str, total: int | float) -> Iterator[Advance]:
        """One line per stage; it stays when the stage is done."""
        columns = (
            TextColumn("{task.description:<18}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            RateColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console) as bars:
            task = bars.add_task(title, total=total)
            yield lambda done: bars.advance(task, done)

    def note(self, text: str) -> None:
        """One line."""
        self.console.print(printable(text), markup=False)
