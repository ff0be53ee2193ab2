"""Several runs beside each other: what is paired, what is not, and what is not compared at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from synapse_audit.compare.comparable import Comparable, comparable
from synapse_audit.compare.figures import Row, rows_of
from synapse_audit.compare.paired import Change, Flips, changes, flips
from synapse_audit.compare.saved_answers import answers
from synapse_audit.compare.task_free import HELD, LEFT, task_free
from synapse_audit.report.kit import prose
from synapse_audit.store import AuditResult
from synapse_audit.summary import Entry, Figure, Keys, dotted, entry_of, fits, walk

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
    *(LEFT.path, HELD.path),
)
"""Those that mean the same for other classes too, and what is made of a run for that."""

LISTED = 4
"""Figures named where they are not compared; a run may lack many for one reason."""

Known = Mapping[Keys, tuple[Figure, Entry]]
"""Figures of one run with what is known of them beforehand."""


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

    @property
    def same_task(self) -> bool:
        """Whether all runs have the classes of the first."""
        return same_task(self.pairs)


def compare(runs: Sequence[AuditResult]) -> Comparison:
    """Compares every run with the first, from saved tables alone."""
    names = _names(runs)
    pairs = tuple(
        _pair(name, runs[0], other) for name, other in zip(names[1:], runs[1:], strict=True)
    )
    same = same_task(pairs)
    figures = [_figures(run, own=not same) for run in runs]
    wanted = _wanted(figures, NORMALISED if same else FREE_OF_TASK)
    kept = {keys: entry for keys, entry in wanted.items() if _everywhere(figures, keys)}
    rows = rows_of(
        runs,
        [{keys: each[keys][0] for keys in kept} for each in figures],
        list(kept.items()),
        [pair.common for pair in pairs],
    )
    notes = (*_notes(pairs, rows), *_left_out(names, figures, [k for k in wanted if k not in kept]))
    return Comparison(names, tuple(runs), pairs, tuple(rows), notes)


def same_task(pairs: Sequence[Pair]) -> bool:
    """Whether all runs have the classes of the first."""
    return not any("classes" in pair.common.different for pair in pairs)


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


def _figures(run: AuditResult, *, own: bool) -> Known:
    """Figures of a run with their entries, those made for other tasks included."""
    found = {
        keys: (figure, entry)
        for keys, figure in walk(run.summary)
        if (entry := entry_of(keys)) is not None
    }
    return found | (dict(task_free(run)) if own else {})


def _wanted(figures: Sequence[Known], paths: Sequence[str]) -> dict[Keys, Entry]:
    """What is compared, as far as any run has it."""
    return {
        keys: entry
        for each in figures
        for keys, (figure, entry) in each.items()
        if figure.known and any(fits(path, keys) for path in paths)
    }


def _everywhere(figures: Sequence[Known], keys: Keys) -> bool:
    return all(keys in each and each[keys][0].known for each in figures)


def _left_out(
    names: Sequence[str], figures: Sequence[Known], keys: Sequence[Keys]
) -> Iterator[str]:
    """Figures that some runs have and others lack, by the run that lacks them and the reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in keys:
        for name, each in zip(names, figures, strict=True):
            if one not in each or not each[one][0].known:
                reason = each[one][0].reason if one in each else ""
                found.setdefault((name, reason), []).append(dotted(one))
    for (name, reason), some in found.items():
        why = f"{name} has none{f': {reason}' if reason else ''}"
        yield f"{prose.some(some, LISTED)} not compared, as {why}"


def _notes(pairs: Sequence[Pair], rows: Sequence[Row]) -> list[str]:
    found = []
    for later, pair in enumerate(pairs):
        if not pair.common.paired:
            found.append(
                f"{pair.name}: no answers are paired and no class is compared, as "
                f"{pair.common.why_not_paired()}"
            )
        marked = dict.fromkeys(row.settings[later] for row in rows if row.settings[later])
        if marked:
            found.append(
                f"{pair.name}: some figures come from other settings ({'; '.join(marked)}); they "
                "are marked"
            )
    return found
