"""The first screen: one verdict, a handful of answers, and what to do next.

In: a saved run. Out: :class:`~synapse_audit.report.kit.contents.Cover`. A new answer is one
function and one line of :data:`ROWS`; the terminal shows some of the same rows when a run ends.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from synapse_audit.report.cover.advised import advised
from synapse_audit.report.cover.guarantees import guaranteed
from synapse_audit.report.cover.label_sets import (
    fragile_label,
    label_guaranteed,
    label_spare,
    labelled,
    switched,
)
from synapse_audit.report.cover.model import accurate, alarms, fragile, spare
from synapse_audit.report.cover.steps import steps
from synapse_audit.report.cover.tampering import cheapest
from synapse_audit.report.cover.trust import trusted
from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Cover, Result, Row
from synapse_audit.report.quoted.names import data_name

__all__ = ["ROWS", "cover"]

ROWS: dict[str, Callable[[Result], Row | None]] = {
    "accurate": accurate,
    "alarms": alarms,
    "spare": spare,
    "fragile": fragile,
    "cheapest": cheapest,
    "guaranteed": guaranteed,
    "advised": advised,
    "trusted": trusted,
}
"""Name → the row, or None where the question was not asked of this run; in reading order."""

SET_ROWS: dict[str, Callable[[Result], Row | None]] = {
    "accurate": labelled,
    "spare": label_spare,
    "fragile": fragile_label,
    "cheapest": switched,
    "guaranteed": label_guaranteed,
    "trusted": trusted,
}
"""The same of a run with several labels per example."""

VERDICT = ("accurate", "fragile", "cheapest")
"""Rows whose short answers make the verdict."""


def cover(result: Result) -> Cover:
    """Facts, verdict, rows and next steps of a run, as far as it holds them."""
    table = SET_ROWS if saved.several(result) else ROWS
    built = {name: row(result) for name, row in table.items()}
    rows = {name: row for name, row in built.items() if row is not None}
    return Cover(_facts(result), _verdict(rows), tuple(rows.values()), steps(result))


def _verdict(rows: dict[str, Row]) -> str:
    said = [rows[name].brief for name in VERDICT if name in rows and rows[name].brief]
    line = "; ".join(said)
    return f"{line[:1].upper()}{line[1:]}." if line else "This run holds no figures yet."


def _facts(result: Result) -> tuple[str, ...]:
    facts = (_shape(result), _data(result), _date(result), _version(result), _preset(result))
    return tuple(fact for fact in facts if fact)


def _shape(result: Result) -> str:
    model = saved.dig(result.manifest, "model") or {}
    family, layers = saved.dig(model, "family"), saved.dig(model, "layers")
    hidden = saved.dig(model, "hidden_size")
    parts = [prose.plain(family)] if family else []
    parts += [prose.plural(layers, "block")] if isinstance(layers, int) else []
    parts += [f"{prose.whole(hidden)} neurons each"] if hidden else []
    return ", ".join(parts)


def _data(result: Result) -> str:
    name, n = data_name(result), saved.dig(result.summary, "n_evaluate")
    classes = saved.classes(result)
    words = ("label",) if saved.several(result) else ("class", "classes")
    counted = [prose.plural(len(classes), *words)] if classes else []
    counted += [f"{prose.whole(n)} examples evaluated"] if n else []
    return f"{name}: {', '.join(counted)}" if name and counted else name or ", ".join(counted)


def _date(result: Result) -> str:
    """When the run finished; runs of earlier versions do not say."""
    try:
        found = datetime.fromisoformat(str(saved.dig(result.manifest, "finished")))
    except ValueError:
        return ""
    return f"{found.day} {found:%B %Y}"


def _version(result: Result) -> str:
    version = saved.dig(result.manifest, "versions", "synapse-audit")
    return f"synapse-audit {prose.plain(version)}" if version else ""


def _preset(result: Result) -> str:
    preset = saved.facts(result).preset
    return f"preset {prose.plain(preset)}" if preset else ""
