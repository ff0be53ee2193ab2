"""Seven chapters of what ran, and one line for what did not.

In: the table of sections and a run. Out: :class:`~synapse_audit.report.kit.contents.Chapter`
records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.commands import run_command
from synapse_audit.report.kit.contents import Chapter, Missing, Result, Section

CHAPTERS = {
    "performance": "Performance and calibration",
    "redundancy": "Redundancy",
    "fragile": "Fragile classes",
    "tampering": "Tampering",
    "guarantees": "Guarantees",
    "advice": "Advice and guards",
    "trust": "Method and trust",
}
"""Anchor → title, in reading order."""

OF_LABELS = {"fragile": "Fragile labels"}
"""What is called otherwise where every example has a set of labels."""

LAST = "trust"
"""The chapter that says what an audit leaves out."""


@dataclass(frozen=True)
class Entry:
    """A section, where it stands, and what adds it to a run that lacks it."""

    chapter: str
    build: Callable[[Result], Section]
    adds: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the configuration, with the value that adds the section."""
    trimmed: str = ""
    """The group of cells that a time budget leaves out and the section needs."""
    kind: str = ""
    """The one kind of input that it is about; empty where it is about any."""

    def __call__(self, result: Result) -> Section:
        """The section itself."""
        return self.build(result)


def chapters(entries: Mapping[str, Entry], result: Result) -> dict[str, Chapter]:
    """Every chapter with the sections that ran, and the others with what adds them.

    A chapter of which this kind of run can have nothing is left out.
    """
    built = {name: entry(result) for name, entry in entries.items()}
    titles = CHAPTERS | (OF_LABELS if saved.several(result) else {})
    found = {
        key: Chapter(
            title,
            {n: built[n] for n, e in entries.items() if e.chapter == key and built[n].ran},
            tuple(
                missing(entry, built[name], result)
                for name, entry in entries.items()
                if entry.chapter == key and not built[name].ran and _may(entry, result)
            )
            + (_not_covered(result) if key == LAST else ()),
        )
        for key, title in titles.items()
    }
    return {key: one for key, one in found.items() if one.sections or one.missing}


NOT_COVERED = "not covered for several labels together"


def _not_covered(result: Result) -> tuple[Missing, ...]:
    """What this kind of audit leaves out, one line each."""
    lines = result.manifest.get("not_covered")
    if not isinstance(lines, list):
        return ()
    command = run_command(result, label="NAME")
    return tuple(Missing(prose.plain(line), NOT_COVERED, command) for line in lines)


def _may(entry: Entry, result: Result) -> bool:
    """Whether a run on such inputs can have the section."""
    kind = saved.dig(result.manifest, "data", "kind")
    return not entry.kind or kind is None or kind == entry.kind


def missing(entry: Entry, section: Section, result: Result) -> Missing:
    """Why a section has nothing to show, and the command that changes it."""
    left_out = entry.trimmed and entry.trimmed in (saved.dig(result.manifest, "left_out") or ())
    if left_out:
        return Missing(section.label, "left out for the time budget", _unhurried(result))
    asked = {name: _current(result, name) for name in entry.adds}
    if not entry.adds or asked == dict(entry.adds):
        return Missing(section.label, _reason(section), "")
    return Missing(section.label, "", run_command(result, **entry.adds))


def _unhurried(result: Result) -> str:
    """The same run without its time budget."""
    return run_command(result, time_budget=None)


def _current(result: Result, name: str) -> Any:
    config = saved.dig(result.manifest, "config")
    found = saved.dig(config, name)
    return saved.dig(config, "grid", name) if found is None else found


def _reason(section: Section) -> str:
    """What the section itself says, without the opening that all empty ones share."""
    return prose.plain(" ".join(section.answer)).removeprefix("This section is empty: ")
