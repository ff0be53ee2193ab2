"""Slices: how accurate, calibrated and fragile the model is on parts of the data.

In: the value of each example in the slice columns. Out: one row per slice, recalls per slice and
class, and the figures ``slices`` and ``worst_slice``.

Every slice was named beforehand, so its own interval is the ordinary one. What is said of several
at once (which differ from the rest, which is the worst) has intervals that hold for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from synapse_audit.artifacts import Evidence, Finding
from synapse_audit.effects import calibration as measures
from synapse_audit.effects import untouched
from synapse_audit.effects.curves import headline
from synapse_audit.effects.estimates import proportion
from synapse_audit.effects.parts import PartMeans, groups_of, part_means
from synapse_audit.effects.selection import Candidates, difference, largest, smallest, widened
from synapse_audit.effects.two_phase import phases
from synapse_audit.statistics import Interval
from synapse_audit.summary import Figure
from synapse_audit.tables.slices import RECALLS, SLICES

LEAST, LEAST_GROUPS, LEAST_OF_CLASS = 20, 5, 5
"""Evaluated examples and groups of a slice, and examples of a class in it, below which nothing is
said."""

MEASURES = ("accuracy", "difference", "fragility", "ece", "overconfidence")
NO_SLICES = "no slice column was named (--slice-columns COLUMN,COLUMN)"
NO_CURVE = "no removal curve (operator mean, top, all layers, pooled) was run"
NO_OTHERS = "no example is outside of the slice"


class Slice(NamedTuple):
    """The examples of one value of one column."""

    column: str
    value: str
    members: Bool[np.ndarray, " examples"]
    groups: int | None
    """How many groups they are of; None where no groups were given."""

    @property
    def n(self) -> int:
        """Number of examples."""
        return int(self.members.sum())

    @property
    def reason(self) -> str:
        """Why nothing is said of it, and what would change that; empty where enough is there."""
        if self.n < LEAST:
            return f"{self.n} evaluated examples; at least {LEAST} needed: {LEAST - self.n} more"
        if self.groups is not None and self.groups < LEAST_GROUPS:
            more = LEAST_GROUPS - self.groups
            return f"{self.groups} evaluated groups; at least {LEAST_GROUPS} needed: {more} more"
        return ""


def slices(evidence: Evidence) -> Finding:
    """Accuracy, recall, calibration and fragility per slice, and the worst of each column."""
    parts = slices_of(evidence)
    table = slices_table(evidence, parts)
    recalls = recalls_table(evidence, [part for part in parts if not part.reason])
    tables = {"slices": table, "recalls": recalls}
    if not evidence.slices:
        return Finding(
            "slices", tables, dict.fromkeys(("slices", "worst_slice"), Figure.unknown(NO_SLICES))
        )
    worst = {name: _worst(evidence, [p for p in parts if p.column == name])
             for name in evidence.slices}  # fmt: skip
    return Finding("slices", tables, {"slices": _figures(table, recalls), "worst_slice": worst})


def slices_of(evidence: Evidence) -> list[Slice]:
    """Every value of every column, those without an evaluated example included."""
    found = []
    for column, values in evidence.slices.items():
        for code, value in enumerate(values.categories):
            members = np.asarray(values.codes == code)
            found.append(Slice(column, str(value), members, groups_of(evidence, members)))
    return found


# ---- tables --------------------------------------------------------------------------------------


def slices_table(evidence: Evidence, parts: list[Slice]) -> pd.DataFrame:
    """One row per slice; numbers are null where there is a reason."""
    table = pd.DataFrame(
        [(p.column, p.value, p.n, p.groups, p.reason) for p in parts], columns=SLICES.names[:5]
    ).reindex(columns=SLICES.names)
    types = dict.fromkeys(SLICES.names[5:], "float64") | dict.fromkeys(("column", "value"), "str")
    table = table.astype(types | {"reason": "str", "n": "int64", "groups": "Int64"})
    kept = [place for place, part in enumerate(parts) if not part.reason]
    if kept:
        for name, column in _columns(evidence, _members([parts[i] for i in kept])).items():
            table.loc[kept, name] = column
    return table


def _members(parts: list[Slice]) -> Bool[np.ndarray, "slices examples"]:
    return np.array([part.members for part in parts], dtype=bool)


def _columns(
    evidence: Evidence, members: Bool[np.ndarray, "slices examples"]
) -> dict[str, Float[np.ndarray, " slices"]]:
    right = _right(evidence)
    clean = evidence.predictions
    sure = measures.answers(clean.model_logits, shift=clean.shift).confidence
    accuracy = part_means(evidence, right, members)
    over = part_means(evidence, sure - right, members)
    lost = _lost(evidence)
    found: dict[str, Iterable[np.ndarray]] = {
        "accuracy": (accuracy.inside.value, *_shares(evidence, right, members)),
        "difference": accuracy.difference,
        "overconfidence": (over.inside.value, *over.interval),
    }
    if lost is not None:
        fragile = part_means(evidence, lost, members)
        found["fragility"] = (fragile.inside.value, *fragile.interval)
    ends = {
        f"{name}{end}": column
        for name, columns in found.items()
        for end, column in zip(("", "_low", "_high"), columns, strict=True)
    }
    return ends | _calibration(evidence, sure, members)


def _shares(
    evidence: Evidence,
    right: Bool[np.ndarray, " examples"],
    among: Bool[np.ndarray, "parts examples"],
) -> Interval:
    """Interval of the share of right answers in each part.

    With groups the wider one of the usual interval and of one that counts groups: parts of ten
    groups have percentiles that miss in 9 % of simulated audits.
    """
    everyone = untouched(
        evidence.predictions, evidence.weights, evidence.resampled, len(evidence.classes)
    )
    found = proportion(everyone, right & among, among)
    if evidence.groups is None:
        return Interval(found.low, found.high)
    low, high = part_means(evidence, right, among).interval
    return Interval(
        np.minimum(found.low, np.maximum(low, 0.0)), np.maximum(found.high, np.minimum(high, 1.0))
    )


def _calibration(
    evidence: Evidence,
    sure: Float[np.ndarray, " examples"],
    members: Bool[np.ndarray, "slices examples"],
) -> dict[str, Float[np.ndarray, " slices"]]:
    right, rows = _right(evidence), []
    for inside in members:
        said, hits = sure[None, inside], right[None, inside]
        bins = measures.equal_width(said)
        own = evidence.weights[inside].astype(np.float64)
        error = measures.calibration_error(said, hits, bins, own[:, None])[:, 0]
        again = measures.calibration_error(said, hits, bins, evidence.resampled[inside])
        ends = measures.reflected(error, again.astype(np.float64))
        chance = measures.chance_error(said, bins, own)
        rows.append([float(one[0]) for one in (error, *ends, chance)])
    names = ("ece", "ece_low", "ece_high", "chance_ece")
    return dict(zip(names, np.array(rows).T, strict=True))


def recalls_table(evidence: Evidence, parts: list[Slice]) -> pd.DataFrame:
    """One row per slice and class that occurs in it; unknown below ``LEAST_OF_CLASS`` examples."""
    labels, right, rows = evidence.predictions.labels, _right(evidence), []
    for part in parts:
        counts = np.bincount(labels[part.members], minlength=len(evidence.classes))
        present = np.flatnonzero(counts)
        among = part.members & (labels == present[:, None])
        value = part_means(evidence, right, among).inside.value
        ends = np.stack([value, *_shares(evidence, right, among)], axis=1)
        ends[counts[present] < LEAST_OF_CLASS] = np.nan
        rows += [
            (part.column, part.value, evidence.classes[c], int(counts[c]), *row)
            for c, row in zip(present, ends.tolist(), strict=True)
        ]
    types = dict.fromkeys(RECALLS.names[:3], "str") | dict.fromkeys(RECALLS.names[4:], "float64")
    return pd.DataFrame(rows, columns=RECALLS.names).astype(types | {"support": "int64"})


def _right(evidence: Evidence) -> Bool[np.ndarray, " examples"]:
    return np.asarray(evidence.predictions.predicted == evidence.predictions.labels)


def _lost(evidence: Evidence) -> Float[np.ndarray, " examples"] | None:
    """How much of being right each example loses, mean over the headline curve."""
    curve = headline(evidence)
    if curve.empty:
        return None
    rows, labels = evidence.outcomes.rows(list(curve["action"])), evidence.predictions.labels
    silenced = phases(evidence.outcomes, rows).of(lambda predicted: predicted == labels)
    return np.asarray(_right(evidence) - silenced.mean(axis=0), dtype=np.float64)


# ---- figures -------------------------------------------------------------------------------------


def _figures(table: pd.DataFrame, recalls: pd.DataFrame) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for row in table.to_dict("records"):
        of = found.setdefault(row["column"], {})
        of[row["value"]] = Figure.unknown(row["reason"]) if row["reason"] else _slice_figures(row)
    for row in recalls.to_dict("records"):
        of = found[row["column"]][row["value"]].setdefault("recall", {})
        few = f"{row['support']} evaluated examples; at least {LEAST_OF_CLASS} needed"
        of[row["class"]] = _figure(row, "recall", n=row["support"], reason=few)
    return found


def _slice_figures(row: dict[Any, Any]) -> dict[str, Any]:
    reasons = {"difference": NO_OTHERS, "fragility": NO_CURVE}
    known = {m: _figure(row, m, n=row["n"], reason=reasons.get(m, "")) for m in MEASURES}
    return known | {"chance_ece": Figure(row["chance_ece"])}


def _figure(row: dict[Any, Any], name: str, *, n: int, reason: str) -> Figure:
    value, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return Figure.unknown(reason) if np.isnan(value) else Figure(value, low, high, n=n)


def _worst(evidence: Evidence, parts: list[Slice]) -> dict[str, Figure]:
    """Lowest accuracy, largest fragility and the gap of one column's slices."""
    kept = [part for part in parts if not part.reason]
    names = ("accuracy", "fragility", "gap")
    if len(kept) < 2:
        return dict.fromkeys(names, Figure.unknown("fewer than two slices have enough examples"))
    members, right, lost = _members(kept), _right(evidence), _lost(evidence)
    accuracy = part_means(evidence, right, members)
    own = _shares(evidence, right, members)
    left_out = [part.value for part in parts if part.reason]
    found = {
        "accuracy": _extreme(kept, accuracy, own, pick=smallest, left_out=left_out),
        "fragility": Figure.unknown(NO_CURVE),
        "gap": _gap(accuracy.inside, left_out),
    }
    if lost is not None:
        fragile = part_means(evidence, lost, members)
        ends = fragile.interval
        found["fragility"] = _extreme(kept, fragile, ends, pick=largest, left_out=left_out)
    return found


def _extreme(
    kept: list[Slice],
    means: PartMeans,
    ends: Interval,
    *,
    pick: Callable[[Candidates], Any],
    left_out: list[str],
) -> Figure:
    """The value of the worst slice, whichever it is, and its name where no other may be it.

    Where intervals of all slices hold at once, so does that from the least (largest) of their lower
    ends to the least (largest) of their upper ends for the least (largest) value.
    """
    end = np.min if pick is smallest else np.max
    wide = widened(means.inside.value, *ends, among=len(kept))
    found, values = pick(means.inside), [part.value for part in kept]
    worst = {"slice": values[found.place]} if found.alone else {"slice": None}
    tied = [value for value, there in zip(values, found.tied, strict=True) if there]
    beside = worst | ({} if found.alone else {"tied": tied}) | {"left_out": left_out}
    low, high = (float(np.clip(end(side), -1.0, 1.0)) for side in wide)
    low, high = (max(low, 0.0), high) if pick is smallest else (low, high)
    reason = ""
    if left_out:  # one of them may be worse
        reason = f"{len(left_out)} slices have too few examples to be counted"
        low, high = (np.nan, high) if pick is smallest else (low, np.nan)
    return Figure(float(means.inside.value[found.place]), low, high, reason=reason, beside=beside)


def _gap(given: Candidates, left_out: list[str]) -> Figure:
    """Highest minus lowest; what holds for all pairs at once holds for the widest one."""
    count = len(given.value)
    pairs = [difference(given, i, j) for i in range(count) for j in range(count) if i != j]
    value, low, high = (max(one[k] for one in pairs) for k in range(3))
    if left_out:
        reason = f"{len(left_out)} slices have too few examples to be counted"
        return Figure(value, max(low, 0.0), np.nan, reason=reason)
    return Figure(value, max(low, 0.0), min(high, 1.0))
