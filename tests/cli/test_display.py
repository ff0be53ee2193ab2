"""Progress and the last lines of a run."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from synapse_audit.cli.closing import closing_lines
from synapse_audit.cli.display import SPANS, STAGES, Terminal, clock, seconds_left
from synapse_audit.report.kit.contents import Chapter, Contents, Cover, Missing, Row


@pytest.mark.parametrize(
    ("elapsed", "done", "total", "left"),
    [
        (30.0, 25.0, 100.0, 90.0),
        (10.0, 9.0, 9.0, 0.0),
        (5.0, 0.0, 9.0, None),
        (None, 1.0, 2.0, None),
    ],
)
def test_time_left_is_at_the_pace_so_far(
    elapsed: float | None, done: float, total: float, left: float | None
) -> None:
    assert seconds_left(elapsed, done, total) == left


def test_times_read_as_one_says_them() -> None:
    said = [clock(s) for s in (0.4, 59.4, 60.0, 125.0, 3599.6, 4200.0)]
    assert said == ["0 s", "59 s", "1 min 00 s", "2 min 05 s", "1 h 00 min", "1 h 10 min"]


def terminal(seeds: int, *, interactive: bool) -> tuple[Terminal, io.StringIO]:
    made, out = Terminal(seeds), io.StringIO()
    made.console = Console(file=out, force_terminal=interactive, width=120, highlight=False)
    return made, out


def test_without_a_terminal_every_stage_is_one_line() -> None:
    made, out = terminal(1, interactive=False)
    for name in ("clean pass", "probes"):
        with made.stage(name, 10) as advance:
            advance(10)
    lines = out.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == ["clean pass", "probes"]


def test_in_a_terminal_the_whole_run_has_a_bar_while_a_stage_runs() -> None:
    made, out = terminal(1, interactive=True)
    with made.stage("clean pass", 2) as advance:
        advance(2)
    assert "clean pass" in out.getvalue()
    assert "whole run" in out.getvalue()
    assert "100%" in out.getvalue()


def shares(made: Terminal, *stages: str) -> list[tuple[float, float]]:
    found = []
    for name in stages:
        made._enter(name)
        found.append(made._shares(name))
    return found


def test_the_bar_of_the_whole_run_only_grows_and_ends_full() -> None:
    made, _ = terminal(2, interactive=False)
    order = [*STAGES]
    ends = [before + share for before, share in shares(made, *order, *order)]
    assert ends == sorted(ends)
    assert ends[-1] == pytest.approx(1.0)


def test_one_sweep_counts_for_all_its_phases() -> None:
    made, _ = terminal(1, interactive=False)
    ((before, share),) = shares(made, "interventions")
    ((after, _),) = shares(made, "effects")
    assert before + share == pytest.approx(after)
    assert set(SPANS["interventions"]) <= set(STAGES)


def test_a_stage_that_nobody_knows_moves_nothing() -> None:
    made, _ = terminal(1, interactive=False)
    assert shares(made, "something new") == [(0.0, 0.0)]


def test_a_run_ends_with_what_the_cover_says() -> None:
    row = Row("accuracy", "?", "", "", "", "clean", "accuracy 0.9")
    silent = Row("fragile class", "?", "", "", "", "classes", "")
    chapter = Chapter("T", {}, (Missing("Alarms", "", "x"), Missing("Seeds", "", "y")))
    found = Contents("m", Cover((), "v", (row, silent), ()), {"t": chapter})
    assert closing_lines(found, seconds=75.0) == [
        "accuracy:           accuracy 0.9",
        "not in this run:    alarms, seeds",
        "time:               1 min 15 s",
    ]
