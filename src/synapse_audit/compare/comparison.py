"""Several runs beside each other: what is paired, what is not, and what is not compared at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from synapse_audit.compare.comparable import Comparable, comparable
from synapse_audit.compare.figures import Row, rows_of
from synapse_audit.compare.paired import Change, Flips, changes, flips
from synapse_audit.compare.saved_answers import answers
from synapse_audit.store import AuditResult
from synapse_audit.summary import entry_of, fits, walk

NORMALISED = (
    *("redundancy.plateau", "redundancy.half_point", "calibration.ece"),
    *("calibration.overconfidence", "clean.margin", "asymmetry.fragility.<class>"),
    *("certificates.l2.<budget>", "detection.missed_alarm", "detection.false_alarm"),
    *("certificates.fewest_silenced.<operator>", "vulnerability.<class>.redirect.<budget>"),
    "silenced.accuracy.<share>",
)
"""Entries that are compared: shares, and sizes relative to the model's own."""

FREE_OF_TASK = (
    *("redundancy.plateau", "redundancy.half_point", "calibration.ece"),
    "certificates.l2.<budget>",
)
"""Those that mean the same for other classes too."""


class Pair(NamedTuple):
    """A later run against the first."""

    name: str
    common: Comparable
    changes: tuple[Change, ...]
    """Empty where the runs are not paired."""
    flips: tuple[Flips, ...]


class Comparison(NamedTuple):
    """Two or more runs; the first is what the others are compared with."""

    names: tuple[str, ...]
    runs: tuple[AuditResult, ...]
    pairs: tuple[Pair, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    """What is not compared, and why."""


def compare(runs: Sequence[AuditResult]) -> Comparison:
    """Compares every run with the first, from saved tables alone."""
    names = _names(runs)
    pairs = tuple(
        _pair(name, runs[0], other) for name, other in zip(names[1:], runs[1:], strict=True)
    )
    return Comparison(names, tuple(runs), pairs, tuple(_rows(runs, pairs)), tuple(_notes(pairs)))


def _names(runs: Sequence[AuditResult]) -> tuple[str, ...]:
    short = [Path(run.folder).resolve().name for run in runs]
    distinct = len(set(short)) == len(short)
    return tuple(short if distinct else (str(run.folder) for run in runs))


def _pair(name: str, first: AuditResult, other: AuditResult) -> Pair:
    common = comparable(first, other)
    if not common.paired:
        return Pair(name, common, (), ())
    both = answers(first, other)
    return Pair(name, common, tuple(changes(both)), tuple(flips(both)))


def _rows(runs: Sequence[AuditResult], pairs: Sequence[Pair]) -> list[Row]:
    """Figures that all runs have and that mean the same in all of them."""
    figures = [dict(walk(run.summary)) for run in runs]
    same_classes = not any("classes" in pair.common.different for pair in pairs)
    wanted = NORMALISED if same_classes else FREE_OF_TASK
    kept = [
        (keys, entry)
        for keys, figure in figures[0].items()
        if (entry := entry_of(keys)) is not None and any(fits(path, keys) for path in wanted)
        if figure.known and all(keys in other and other[keys].known for other in figures[1:])
    ]
    return rows_of(runs, kept, [pair.common.paired for pair in pairs])


def _notes(pairs: Sequence[Pair]) -> list[str]:
    found = []
    for pair in pairs:
        if not pair.common.paired:
            found.append(
                f"{pair.name}: no answers are paired and no class is compared, as "
                f"{pair.common.why_not_paired()}"
            )
        if grid := pair.common.different.get("grid"):
            found.append(
                f"{pair.name}: figures of experiments come from other settings, as {grid}; only "
                "those that both runs have are listed"
            )
    return found
