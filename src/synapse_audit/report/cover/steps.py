"""What to do next, with the command filled in.

A new step is one function and one line of :data:`STEPS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from synapse_audit.report.cover.trust import FEW, small_classes
from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.commands import run_command, run_path
from synapse_audit.report.kit.contents import Result, Step

NO_ALARM = ("benign", "normal", "norm", "legitimate", "legit", "clean", "ham", "safe", "negative")
"""Class names that usually mean no alarm."""
MOST = 4
"""Steps shown."""


def steps(result: Result) -> tuple[Step, ...]:
    """The first few that apply, the most useful first."""
    table = SET_STEPS if saved.several(result) else STEPS
    found = (step(result) for step in table) if result.manifest else ()
    return tuple(step for step in found if step)[:MOST]


def _more_examples(result: Result) -> Step | None:
    few = small_classes(result)
    evaluated = prose.as_float(saved.dig(result.manifest, "splits", "evaluate"))
    used = prose.as_float(saved.dig(result.manifest, "data", "n_used"))
    if not few or not evaluated > 0 or not used > 0:
        return None
    add = {
        name: math.ceil((FEW - n) * used / evaluated / 10) * 10 for name, n in list(few.items())[:3]
    }
    said = [
        f"{prose.quoted(name)} has {prose.plural(few[name], 'evaluated example')}: add about {n}"
        for name, n in add.items()
    ]
    return Step(f"Narrow the widest intervals. {prose.listing(said)}.")


def _one_label(result: Result) -> Step | None:
    text = (
        "Audit one label by itself, with all that is not covered for several together (attacks on "
        "the input, bit flips, guards, certificates of states)."
    )
    return Step(text, run_command(result, label="NAME"))


def _tests_of_sets(result: Result) -> Step | None:
    if saved.facts(result).preset != "quick":
        return None
    text = "Test the comparisons with random controls (--dry-run shows the expected time first)."
    return Step(text, run_command(result, preset="standard"))


def _tests(result: Result) -> Step | None:
    if saved.facts(result).preset != "quick":
        return None
    text = (
        "Test the comparisons with random controls, and add bit flips, attacks on the input and "
        "sites inside blocks (--dry-run shows the expected time first)."
    )
    return Step(text, run_command(result, preset="standard"))


def _alarms(result: Result) -> Step | None:
    if saved.dig(result.manifest, "config", "benign"):
        return None
    harmless = [name for name in saved.classes(result) if name.lower() in NO_ALARM]
    if not harmless:
        return None
    text = f"If {prose.quoted(harmless[0])} means no alarm: see missed and false alarms."
    return Step(text, run_command(result, benign=harmless[0]))


def _budget(result: Result) -> Step | None:
    left_out = saved.dig(result.manifest, "left_out") or ()
    if not left_out:
        return None
    names = prose.some([prose.plain(name) for name in left_out])
    return Step(
        f"The time budget left out: {names}. To run them:", run_command(result, time_budget=None)
    )


def _seeds(result: Result) -> Step | None:
    seeds = saved.dig(result.manifest, "seeds")
    if isinstance(seeds, list) and len(seeds) > 1:
        return None
    text = "See how much depends on splits and random draws."
    return Step(text, run_command(result, seeds=3))


def _guard(result: Result) -> Step | None:
    """Where a remedy of the guard is advised and nobody measured it."""
    advice = result.summary.get("advice") or ()
    waiting = [one for one in advice if "guard RUN" in str(saved.dig(one, "gain", "reason") or "")]
    if not waiting:
        return None
    return Step(
        f"Measure what a guard gains ({prose.plural(len(waiting), 'remedy', 'remedies')} of the "
        "advice).",
        f"synapse-audit guard {run_path(result)} --evaluate",
    )


STEPS: tuple[Callable[[Result], Step | None], ...] = (
    _guard,
    _more_examples,
    _budget,
    _tests,
    _alarms,
    _seeds,
)
"""The most useful first."""

SET_STEPS: tuple[Callable[[Result], Step | None], ...] = (_budget, _tests_of_sets, _one_label)
"""The same of a run with several labels per example."""
