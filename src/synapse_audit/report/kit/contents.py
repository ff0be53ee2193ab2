"""The nouns of a report page: what a section hands to the template.

In: nothing. Out: frozen records that hold plain text and JSON-ready figures. Text is never markup;
the template escapes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pandas as pd


@runtime_checkable
class Result(Protocol):
    """What a report reads of a saved run; any missing table may be an empty frame."""

    @property
    def folder(self) -> Path | None:
        """Where the run lies, as it was given; None where it is in no folder."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Config, versions, hashes, split sizes, times."""

    @property
    def summary(self) -> Mapping[str, Any]:
        """The figures of ``summary.json``."""

    @property
    def predictions(self) -> pd.DataFrame:
        """Clean predictions, one row per example."""

    @property
    def probes(self) -> pd.DataFrame:
        """One row per probe scope."""

    @property
    def rankings(self) -> pd.DataFrame:
        """One row per method, class, layer and neuron."""

    @property
    def effects(self) -> pd.DataFrame:
        """One row per cell."""

    @property
    def findings(self) -> Mapping[str, Mapping[str, pd.DataFrame]]:
        """Finding → table name → table."""


@dataclass(frozen=True)
class Swatch:
    """One entry of a legend."""

    name: str
    color: str
    """Token of theme.py, such as ``@top``."""
    dash: str
    """Plotly dash, or ``none`` for markers only."""
    symbol: str
    """Plotly marker symbol, or ``none``."""
    band: bool = False
    """Whether a shaded band belongs to the line."""


@dataclass(frozen=True)
class Plot:
    """One panel, drawn by the page's script from ``spec``."""

    title: str
    alt: str
    """What the figure shows, in words, for readers who cannot see it."""
    spec: Mapping[str, Any]
    """Plotly ``data`` and ``layout``; colours are tokens."""
    height: int
    """Pixels."""
    min_width: int = 0
    """Pixels; narrower screens scroll sideways."""


@dataclass(frozen=True)
class Group:
    """Panels that share one legend."""

    title: str
    figures: tuple[Plot, ...]
    legend: tuple[Swatch, ...] = ()
    note: str = ""
    columns: int = 2
    """Panels side by side where there is room."""


@dataclass(frozen=True)
class Table:
    """Rows behind a figure, already formatted."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: frozenset[int] = frozenset({0})
    """Positions aligned as text; all others are numbers."""
    csv: str = ""
    """The same rows with unrounded numbers, safe to open in a spreadsheet."""
    source: str = ""
    """File of the run folder that holds all rows; empty where there is no one file."""


@dataclass(frozen=True)
class Section:
    """One question and its answer."""

    label: str
    """Short form for the table of contents."""
    heading: str
    answer: tuple[str, ...]
    """Sentences generated from the numbers, or why the section is empty."""
    groups: tuple[Group, ...] = ()
    tables: tuple[Table, ...] = ()
    reading: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    @property
    def ran(self) -> bool:
        """Whether the run has anything to show here."""
        return bool(self.groups or self.tables)


@dataclass(frozen=True)
class Row:
    """One line of the cover: a question, and what the audit says about it."""

    label: str
    """Two or three words, for the terminal."""
    question: str
    answer: str
    """In words; "not shown" and "not measured" are answers."""
    figure: str
    """The number with its interval or bound; empty where there is none."""
    evidence: str
    """What the answer rests on: examples, draws, tested or not."""
    link: str
    """Anchor of the section with the details."""
    brief: str
    """The answer as a clause, for the verdict and the terminal; empty where it has none."""


@dataclass(frozen=True)
class Step:
    """What to do next, and the command that does it."""

    text: str
    command: str = ""


@dataclass(frozen=True)
class Cover:
    """The first screen."""

    facts: tuple[str, ...]
    """Data, size, date, version, preset."""
    verdict: str
    """One sentence."""
    rows: tuple[Row, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Missing:
    """A section that the run has nothing for."""

    label: str
    why: str
    """Empty where the run was simply not asked for it."""
    command: str
    """What adds it; empty where no option does."""


@dataclass(frozen=True)
class Chapter:
    """Sections that answer one kind of question."""

    title: str
    sections: Mapping[str, Section]
    """Anchor → section, of what ran."""
    missing: tuple[Missing, ...]


@dataclass(frozen=True)
class Contents:
    """Everything that a report says, whatever it is written as."""

    title: str
    cover: Cover
    chapters: Mapping[str, Chapter]
    """Anchor → chapter."""
