"""A section for a model card, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from synapse_audit.evidence.mapping import CLAUSES, PARAPHRASED, Clause
from synapse_audit.evidence.provenance import command, facts, table_hashes
from synapse_audit.report.kit import prose
from synapse_audit.report.kit.markdown import code, escaped
from synapse_audit.store import AuditResult
from synapse_audit.summary import Entry, Figure, Keys, dotted, entry_of, fits, walk

SHOWN = (
    *("clean.accuracy", "clean.macro_f1", "clean.recall.<class>", "clean.precision.<class>"),
    *("calibration.ece", "detection.missed_alarm", "detection.false_alarm"),
    *("slices.<column>.<value>.accuracy", "slices.<column>.<value>.recall.<class>"),
    "worst_slice.<column>.accuracy",
    *("redundancy.plateau", "redundancy.half_point", "silenced.accuracy.<share>"),
    *("vulnerability.<class>.redirect.<budget>", "certificates.l2.<budget>"),
    *("labels.micro_f1", "labels.macro_f1", "labels.subset_accuracy", "labels.hamming_loss"),
    *("label_removal.plateau", "label_certificates.on.<label>"),
)
"""Entries of the card's table."""

INTERVALS = {
    "sample": "95 % interval",
    "fact": "a fact of the run",
    "picked": "the largest or smallest of several; no interval of its own",
    "none": "no interval",
}
NO_CLAIM = (
    "This section states measurements. It does not claim conformity with any standard, law or "
    "framework; whether a measurement is enough for a use is for its reader to judge."
)


def model_card(run: AuditResult) -> str:
    """Figures with intervals, what they speak to, hashes, the command, a line to sign."""
    figures = dict(walk(run.summary))
    lines = [
        "## Internal robustness (synapse-audit)",
        "",
        NO_CLAIM,
        "",
        *_table(("Figure", "Meaning", "Value", "Interval"), _figures(figures)),
        "",
        "### What these figures speak to",
        "",
        PARAPHRASED,
        "",
        *_table(("Document", "Asks about (paraphrased)", "Figures", "Limits"), _clauses(figures)),
        "",
        "### Provenance",
        "",
        *_table(("What", "Value"), _escaped(facts(run))),
        "",
        *_table(("File of the run", "sha256"), _escaped(table_hashes(run))),
        "",
        "Repeated by (settings that only a TOML file sets are in the manifest):",
        "",
        f"    {prose.plain(command(run))}",
        "",
        "Reviewed by: ____________________  Date: ____________  Signature: ____________________",
        "",
    ]
    return "\n".join(lines)


def shown(figures: Mapping[Keys, Figure]) -> Iterator[tuple[Keys, Figure, Entry]]:
    """The figures of ``SHOWN`` that are known, with their entries, in the summary's order."""
    for keys, figure in figures.items():
        entry = entry_of(keys)
        if entry is not None and figure.known and any(fits(path, keys) for path in SHOWN):
            yield keys, figure, entry


def _figures(figures: Mapping[Keys, Figure]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for keys, figure, entry in shown(figures):
        bounded = prose.span(figure.low, figure.high)
        interval = bounded if entry.interval == "sample" else INTERVALS[entry.interval]
        name, meaning = code(dotted(keys), cell=True), escaped(entry.meaning)
        rows.append((name, meaning, prose.number(figure.value), interval))
    return rows


def _escaped(facts: Mapping[str, str]) -> list[tuple[str, ...]]:
    return [(escaped(name), escaped(value)) for name, value in facts.items()]


def _clauses(figures: Mapping[Keys, Figure]) -> list[tuple[str, ...]]:
    return [
        (escaped(c.document), escaped(c.asks), _covered(c, figures), escaped(c.limits))
        for c in CLAUSES
    ]


def _covered(clause: Clause, figures: Mapping[Keys, Figure]) -> str:
    """The figures that the run has for a clause, or that it is not covered."""
    if not clause.figures:
        return "**not covered**"
    known = [keys for keys, figure in figures.items() if figure.known]
    parts = []
    for path in clause.figures:
        n = sum(fits(path, keys) for keys in known)
        parts.append(f"{code(path, cell=True)} ({n or 'not in this run'})")
    return ", ".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of Markdown: what comes from the run is escaped already."""
    return [
        f"| {' | '.join(head)} |",
        "|" + "---|" * len(head),
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
