"""A finished run, read from its folder: everything a report or a later analysis needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from synapse_audit.artifacts import MOST_CLASSES, Direct, Outcomes
from synapse_audit.errors import RunFolderError, UsageError, choices
from synapse_audit.report import sections_of
from synapse_audit.report.kit.csv_export import csv_text
from synapse_audit.report.kit.plotting import find_figure, plotly_figure
from synapse_audit.store.atomic import write_text
from synapse_audit.store.folder import MANIFEST, RunFolder
from synapse_audit.store.reading import refused

if TYPE_CHECKING:
    import plotly.graph_objects as go

FINDINGS, SUMMARY = "findings", "summary.json"

FIELDS = ("predicted", "probability", "margin", "kl", "confidence")
"""Arrays of ``outcomes/``: (actions, examples); ``benign`` too where a benign class was named."""

DIRECT_FIELDS = ("design_weight", "predicted", "kl", "disagreement", "error")
"""Arrays ``outcomes/direct_*`` of a two-phase sweep."""


TABLES = ("effects", "class_effects", "predictions", "splits", "probes", "rankings")
"""Tables of every run, beside those of its findings."""

SET_TABLES = (
    *("effects", "class_effects", "set_predictions", "splits", "probes", "label_probes"),
    "rankings",
)
"""The same of runs with several labels per example."""


@dataclass(frozen=True, repr=False)
class AuditResult:
    """Tables are read when first asked for; nothing needs the model."""

    folder: Path

    @classmethod
    def load(cls, folder: str | Path) -> AuditResult:
        """Opens a finished run.

        Raises:
            RunFolderError: there is no run in that folder, or it is not finished.
        """
        path = Path(folder)
        if not (path / MANIFEST).is_file():
            raise RunFolderError(f"run '{path}' given; expected a folder with {MANIFEST}")
        run = RunFolder(path)
        if not (path / SUMMARY).is_file() or (run.hashes and SUMMARY not in run.hashes):
            raise RunFolderError(
                f"run '{path}' is not finished; expected a finished one: repeat its command"
            )
        return cls(path)

    def __repr__(self) -> str:
        return f"<AuditResult of {str(self.summary['model'])!r} in '{self.folder}'>"

    def _repr_html_(self) -> str:
        """The figures of the summary, for notebooks; numbers and names only."""
        model, folder = escape(str(self.summary["model"])), escape(str(self.folder))
        head = f"<b>{model}</b>, {self.summary['n_evaluate']:,} examples, <code>{folder}</code>"
        figures = self.summary_frame().fillna({"reason": ""})
        return (
            f"<p>{head}</p>{figures.to_html(index=False, na_rep='', float_format='{:.3g}'.format)}"
        )

    @property
    def tables(self) -> tuple[str, ...]:
        """Names that :meth:`table` takes: ``effects``, ``redundancy.removal`` and so on."""
        found = sorted(file.stem for file in (self.folder / FINDINGS).glob("*.parquet"))
        return (*self._of_run, *found)

    def table(self, name: str) -> pd.DataFrame:
        """A table of the run by its name; see :attr:`tables`.

        Raises:
            UsageError: there is none of that name; the message names those that there are.
        """
        if name not in self.tables:
            raise UsageError(f"table '{name}' given; {choices(name, self.tables)}")
        return self._table(name if name in self._of_run else f"{FINDINGS}/{name}")

    @property
    def _of_run(self) -> tuple[str, ...]:
        return SET_TABLES if self.several else TABLES

    @property
    def several(self) -> bool:
        """Whether every example has a set of labels, each decided by itself."""
        decision = self.manifest.get("decision")
        return isinstance(decision, dict) and bool(decision.get("several"))

    def summary_frame(self) -> pd.DataFrame:
        """One row per figure of the summary.

        Columns: figure (dotted path), value (a number, or a name), low, high (null where there is
        no interval), reason (why a value is unknown).
        """
        rows = [
            (path, node["value"], node.get("low"), node.get("high"), node.get("reason"))
            for path, node in _figures(self.summary)
        ]
        table = pd.DataFrame(rows, columns=["figure", "value", "low", "high", "reason"])
        return table.astype({"value": object, "low": "float64", "high": "float64"})

    def to_csv(self, folder: str | Path) -> list[Path]:
        """Writes every table as ``NAME.csv`` and the summary as ``summary.csv``.

        Text that a spreadsheet would run as a formula gets a leading apostrophe.

        Returns:
            The files, in the order written.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        tables = {name: self.table(name) for name in self.tables}
        written = []
        for name, table in {"summary": self.summary_frame(), **tables}.items():
            written.append(target / f"{name}.csv")
            write_text(written[-1], csv_text(table))
        return written

    def figure(
        self, section: str, *, group: str | None = None, title: str | None = None
    ) -> go.Figure:
        """A figure of the report as a Plotly figure, in light colours.

        Args:
            section: anchor of the report's section, such as ``removal``; see ``SECTIONS``.
            group: heading above some of the section's figures; any where None.
            title: heading of the figure; the first where None.

        Raises:
            UsageError: no such section, group or figure, or the run has nothing to draw there.
        """
        return plotly_figure(
            find_figure(self, sections_of(self), section, group=group, title=title)
        )

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Provenance: configuration, hashes, versions, split sizes, times."""
        return self._run.manifest

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The headline figures, each {value, low, high}."""
        found = self._run.read_json("summary")
        names = found.get("classes", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise refused(self.folder / SUMMARY, "has 'classes' that is no list of names")
        if len(names) > MOST_CLASSES:
            raise refused(self.folder / SUMMARY, f"has {len(names):,} classes")
        return found

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """Clean predictions of all examples, with their logits.

        Raises:
            RunFolderError: the examples have several labels each: ``table("set_predictions")``.
        """
        if self.several:
            raise RunFolderError(
                f"run '{self.folder}' has several labels per example; expected a run with one "
                "class per example, or of one label (--label NAME)"
            )
        table = self._table("predictions")
        classes = len(self.summary.get("classes", ()))
        for column in ("label", "predicted"):
            most = table[column].max() if len(table) else 0
            if classes and most >= classes:
                reason = f"column '{column}' has class {most:g}; {SUMMARY} names {classes}"
                raise refused(self.folder / "predictions.parquet", reason)
        return table

    @cached_property
    def splits(self) -> pd.DataFrame:
        """Which example is in which split."""
        return self._table("splits")

    @cached_property
    def probes(self) -> pd.DataFrame:
        """Probe accuracies per scope."""
        return self._table("probes")

    @cached_property
    def label_probes(self) -> pd.DataFrame:
        """What each label's own probe reads, where examples have several labels."""
        return self._table("label_probes")

    @cached_property
    def rankings(self) -> pd.DataFrame:
        """Scores and ranks of every neuron."""
        return self._table("rankings")

    @cached_property
    def effects(self) -> pd.DataFrame:
        """One row per cell."""
        return self._table("effects")

    @cached_property
    def class_effects(self) -> pd.DataFrame:
        """One row per cell and class."""
        return self._table("class_effects")

    @cached_property
    def findings(self) -> dict[str, dict[str, pd.DataFrame]]:
        """finding → table name → table."""
        found: dict[str, dict[str, pd.DataFrame]] = {}
        for name in self._finding_tables():
            finding, _, table = name.partition(".")
            found.setdefault(finding, {})[table] = self._table(f"{FINDINGS}/{name}")
        return found

    def _finding_tables(self) -> list[str]:
        """Names of the tables that this run wrote, not those that an older one left."""
        files: Iterable[str] = self._run.written(FINDINGS)
        if not self._run.hashes:
            files = (file.name for file in (self.folder / FINDINGS).glob("*.parquet"))
        return sorted(PurePath(file).stem for file in files)

    @cached_property
    def outcomes(self) -> Outcomes:
        """Per distinct action and ``evaluate`` example; memory-mapped."""
        run = self._run
        actions = tuple(run.read_table("outcomes/actions")["action"])
        names = (*FIELDS, *(["benign"] if self._holds("benign") else []))
        fields: dict[str, Any] = {n: self._outcome(n, len(actions)) for n in names}
        if not self._holds("direct_design_weight"):
            return Outcomes(actions, **fields)
        direct: dict[str, Any] = {
            n: self._outcome(f"direct_{n}", len(actions)) for n in DIRECT_FIELDS
        }
        if self._holds("direct_sample"):
            direct |= self._samples(len(actions), direct["predicted"].shape[1])
        return Outcomes(actions, **fields, direct=Direct(**direct))

    def _samples(self, actions: int, examples: int) -> dict[str, np.ndarray]:
        """Which action ran on which sample, and the strata of every example in each."""
        sample = self._outcome("direct_sample", actions)
        found = {"sample": sample}
        whole = ("whole",) if self._holds("direct_whole") else ()  # older runs have none
        for name in ("strata", "inclusion", *whole):
            array = np.asarray(self._run.read_array(f"outcomes/direct_{name}"))
            wide = array.ndim == 2 and array.shape[1] == examples
            if not wide or sample.max(initial=-1) >= len(array):
                reason = f"has shape {array.shape}; expected one row per sample of {examples:,}"
                raise refused(self.folder / "outcomes" / f"direct_{name}.npy", reason)
            found[name] = array
        return found

    def _holds(self, name: str) -> bool:
        return (self.folder / "outcomes" / f"{name}.npy").is_file()

    def _outcome(self, name: str, actions: int) -> np.ndarray:
        """An array of (actions, examples), or one value per action."""
        found = self._run.read_array(f"outcomes/{name}")
        if found.ndim not in (1, 2) or len(found) != actions:
            reason = f"has shape {found.shape}; expected one row per action, {actions:,}"
            raise refused(self.folder / "outcomes" / f"{name}.npy", reason)
        return np.asarray(found)

    def _table(self, name: str) -> pd.DataFrame:
        return self._run.read_table(name)

    @cached_property
    def _run(self) -> RunFolder:
        return RunFolder(self.folder)


def _figures(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Nodes that have a value, with their dotted path; items of lists are numbered from 0."""
    for name, node in tree.items():
        here = f"{path}.{name}" if path else name
        if isinstance(node, list):
            node = {str(i): one for i, one in enumerate(node)}
        if isinstance(node, Mapping) and "value" in node:
            yield here, node
        if isinstance(node, Mapping):
            yield from _figures(node, here)
