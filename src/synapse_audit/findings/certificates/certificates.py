"""Certificates: accuracy that no change within a budget can undercut.

In: the clean logits, the head, its inputs, the final pooled state; the measured cells. Out: curves
of guaranteed accuracy against budget, distances per class, the fewest silenced inputs that matter,
and a check of every measured cell against its guarantee.

Guaranteed accuracy at budget ε is the weighted share of examples that are right and that no change
of size ε can move (:mod:`synapse_audit.findings.certificates.guarantees`). The guarantee holds for
each example separately, so *any single* change within the budget, however it was found, leaves at
least that accuracy on these examples. The interval says how the share varies over samples of
examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from synapse_audit.artifacts import Evidence, Finding
from synapse_audit.effects.curves import grid_band, where
from synapse_audit.effects.estimates import bounded
from synapse_audit.findings.certificates.guarantees import Guarantee, guarantees
from synapse_audit.statistics import weighted_quantiles, weighted_shares
from synapse_audit.summary import Figure
from synapse_audit.tables.certificates import CHECKS, CURVES, DISTANCES, FEWEST_SILENCED

EVERYONE: Final = None
"""The ``class`` of rows over all classes: null, since any string may name a class."""

ANY: Final = None
"""The ``target`` of the distance to whichever class is nearest: null likewise."""

KEY = ["place", "change", "rows", "bias"]
SHOWN = {"l2": (0.01, 0.05, 0.1, 0.2, 0.5), "zero": (1, 2, 5, 10), "mean": (1, 2, 5, 10)}
SHOWN["linf"] = SHOWN["l2"]
"""Sizes of the figures in ``summary.json``."""


class Group(NamedTuple):
    """Examples of one true class, or all."""

    name: str | None
    members: Bool[np.ndarray, " examples"]


def certificates(evidence: Evidence) -> Finding:
    """Guaranteed accuracy by kind and size of change, and what it rests on."""
    found = guarantees(evidence)
    curves = curves_table(evidence, found.found)
    checks = checks_table(evidence, found.found)
    tables = {
        "curves": curves,
        "distances": distances_table(evidence, found.found),
        "fewest_silenced": fewest_silenced_table(evidence, found.found),
        "checks": checks,
        "missing": pd.DataFrame(list(found.missing.items()), columns=["place", "reason"]),
    }
    summary = _summary(curves, found.missing) | {"fewest_silenced": _medians(evidence, found.found)}
    summary["check"] = {
        "cells": int(checks["cell"].nunique()),
        "examples": int(checks["examples"].sum()),
        "changed": int(checks["changed"].sum()),
    }
    return Finding("certificates", tables, {"certificates": summary})


# ---- tables --------------------------------------------------------------------------------------


def curves_table(evidence: Evidence, found: Sequence[Guarantee]) -> pd.DataFrame:
    """Guaranteed accuracy at every budget: of all examples, and of each true class (its recall)."""
    parts = []
    safe = np.concatenate([_safe(evidence, one) for one in found])
    for group in _groups(evidence):
        accuracy, low, high = _shares(evidence, safe, group.members)
        rows = pd.concat([_frame(one, {"budget": one.budgets}) for one in found])
        rows["accuracy"], rows["accuracy_low"], rows["accuracy_high"] = accuracy, low, high
        parts.append(rows.assign(**{"class": group.name}))
    return pd.concat(parts, ignore_index=True)[CURVES.names]


def distances_table(evidence: Evidence, found: Sequence[Guarantee]) -> pd.DataFrame:
    """5th percentile and median of the distances of right examples, by class and target.

    ``never`` is the share that no change of this kind moves; ``attained`` the share whose distance
    is known to be exact.
    """
    rows = []
    for one in found:
        for target, distance, attained in _targets(evidence, one):
            for group in _groups(evidence):
                members = group.members & _right(evidence) & ~np.isnan(distance)
                row = _distances(distance[members], evidence.weights[members], attained[members])
                rows.append(_names(one) | row | {"class": group.name, "target": target})
    return pd.DataFrame(rows, columns=DISTANCES.names).astype({"bias": "boolean"})


def fewest_silenced_table(evidence: Evidence, found: Sequence[Guarantee]) -> pd.DataFrame:
    """Share of right examples whose prediction some k silenced inputs of the head change."""
    parts = []
    for one in (one for one in found if one.place == "head_input"):
        for group in _groups(evidence):
            members = group.members & _right(evidence)
            weights = evidence.weights[members].astype(np.float64)
            moved = one.distance[members] <= one.budgets[:, None]
            total = weights.sum()
            share = moved @ weights / total if total > 0 else np.full(len(moved), np.nan)
            rows = pd.DataFrame({"k": one.budgets.astype(np.int64), "share": share})
            parts.append(rows.assign(change=one.change, **{"class": group.name}))
    return pd.concat(parts, ignore_index=True)[FEWEST_SILENCED.names]


def checks_table(evidence: Evidence, found: Sequence[Guarantee]) -> pd.DataFrame:
    """Every measured cell that a guarantee covers: its accuracy beside the guaranteed one.

    ``examples`` counts those that the guarantee covers at this size, ``changed`` those of them
    whose prediction nevertheless changed: anything but 0 is a bug, or rounding at a floor.
    """
    rows = [
        {"place": one.place, "change": one.change} | row
        for one in found
        for row in _checks(evidence, one)
    ]
    return pd.DataFrame(rows, columns=CHECKS.names)


# ---- curves and distances ------------------------------------------------------------------------


def _safe(evidence: Evidence, one: Guarantee) -> Bool[np.ndarray, "sizes examples"]:
    """Right, and beyond reach of the budget; at budget 0 every right example is."""
    kept = (one.distance > one.budgets[:, None]) | (one.budgets[:, None] == 0.0)
    return np.asarray(kept & _right(evidence))


class _Shares(NamedTuple):
    value: Float[np.ndarray, " rows"]
    low: Float[np.ndarray, " rows"]
    high: Float[np.ndarray, " rows"]


def _shares(
    evidence: Evidence,
    safe: Bool[np.ndarray, "rows examples"],
    members: Bool[np.ndarray, " examples"],
) -> _Shares:
    weights = evidence.weights.astype(np.float64)
    value = weighted_shares(safe, weights, members)
    # Groups may leave a resample without an example of the class.
    samples = weighted_shares(safe, evidence.resampled, members)
    inside = weights[members]
    size = np.full_like(value, inside.sum() ** 2 / (inside**2).sum())
    return _Shares(*bounded(value, samples, size))


def _targets(
    evidence: Evidence, one: Guarantee
) -> Iterator[tuple[str | None, Float[np.ndarray, " examples"], Bool[np.ndarray, " examples"]]]:
    """Distances to any class and to each; NaN for examples already predicted as the target."""
    yield ANY, one.distance, np.full(len(one.distance), one.exact)
    if one.toward is None:
        return
    attained = np.ones(one.toward.shape, dtype=bool) if one.attained is None else one.attained
    for target, name in enumerate(evidence.classes):
        there = evidence.predictions.predicted == target
        yield name, np.where(there, np.nan, one.toward[:, target]), attained[:, target]


def _distances(
    distance: Float[np.ndarray, " members"],
    weights: Float[np.ndarray, " members"],
    attained: Bool[np.ndarray, " members"],
) -> dict[str, Any]:
    if not len(distance):
        return {"n": 0, "p05": np.nan, "median": np.nan, "never": np.nan, "attained": np.nan}
    p05, median = weighted_quantiles(distance, weights[:, None].astype(np.float64), (0.05, 0.5))[0]
    share = weights / weights.sum()
    return {
        "n": len(distance),
        "p05": p05 if np.isfinite(p05) else np.nan,
        "median": median if np.isfinite(median) else np.nan,
        "never": float(share @ np.isinf(distance)),
        "attained": float(share @ attained),
    }


# ---- checks --------------------------------------------------------------------------------------


def _checks(evidence: Evidence, one: Guarantee) -> Iterator[dict[str, Any]]:
    cells = _covered(evidence, one)
    if cells.empty:
        return
    right = _right(evidence)
    weights = evidence.weights.astype(np.float64) / evidence.weights.sum()
    after = evidence.outcomes.predicted[evidence.outcomes.rows(list(cells["action"]))]
    for cell, predicted in zip(cells.to_dict("records"), after, strict=True):
        safe = one.distance > cell["budget"]
        yield {name: cell[name] for name in ("cell", "operator", "parameter", "target")} | {
            "budget": cell["budget"],
            "accuracy": cell["accuracy"],
            "guaranteed": float(weights @ (safe & right)),
            "examples": int(safe.sum()),
            "changed": int((safe & (predicted != evidence.predictions.predicted)).sum()),
        }


def _covered(evidence: Evidence, one: Guarantee) -> pd.DataFrame:
    """Measured cells of this kind, with their size in ``budget``; each physical change once."""
    effects = evidence.effects
    if one.place == "head":
        if (one.rows, one.bias) != ("all", True):
            return effects.head(0)
        cells = where(effects, {"space": "weight", "site": "head_weight"})
        weight = np.abs(evidence.head_weight.astype(np.float64))
        size = np.linalg.norm(weight) if one.change == "l2" else weight.max()
        cells = cells.assign(budget=cells[f"budget_{one.change}"] / size)
    else:
        cells = where(effects, _silenced(evidence, one))
        cells = cells.assign(budget=cells["k"].astype("float64"))
    return cells.dropna(subset=["budget"]).drop_duplicates("action")


def _silenced(evidence: Evidence, one: Guarantee) -> dict[str, object]:
    same: dict[str, object] = {"space": "neuron", "operator": one.change, "position": "pooled"}
    same["target"] = None
    if one.place == "state":
        return same | {"site": "block_output", "layers": str(len(evidence.statistics) - 1)}
    # The mean that the sweep used is the one over ``fit``.
    known = one.change == "zero" or evidence.head_mean is not None
    return same | {"site": "head_input" if known else ""}


# ---- figures -------------------------------------------------------------------------------------


def _summary(curves: pd.DataFrame, missing: dict[str, str]) -> dict[str, Any]:
    overall = where(curves, {"class": EVERYONE})
    head = where(where(overall, {"place": "head", "rows": "all"}), {"bias": True})
    state = where(overall, {"place": "state"})
    inputs = where(overall, {"place": "head_input"})
    return {
        **{norm: _sizes(head, norm, missing.get("head", "")) for norm in ("l2", "linf")},
        "silenced": {name: _sizes(inputs, name, "") for name in ("zero", "mean")},
        "state": {name: _sizes(state, name, missing.get("state", "")) for name in SHOWN},
    }


def _sizes(curves: pd.DataFrame, change: str, reason: str) -> dict[str, Any] | Figure:
    """Guaranteed accuracy at the sizes shown; sizes beyond the number of inputs are left out."""
    if reason:
        return Figure.unknown(reason)
    rows = where(curves, {"change": change}).set_index("budget")
    return {
        f"{size:g}": Figure(*rows.loc[size, ["accuracy", "accuracy_low", "accuracy_high"]])
        for size in SHOWN[change]
        if size in rows.index
    }


def _medians(evidence: Evidence, found: Sequence[Guarantee]) -> dict[str, Any]:
    right = _right(evidence)
    weights = evidence.weights.astype(np.float64)[:, None]
    figures = {}
    for one in (one for one in found if one.place == "head_input"):
        if not right.any():
            figures[one.change] = Figure.unknown("no example is right")
            continue
        median = weighted_quantiles(one.distance, weights, (0.5,), right)[0, 0]
        samples = weighted_quantiles(one.distance, evidence.resampled, (0.5,), right)
        low, high = grid_band(samples[:, 0])
        if np.isfinite(median):
            figures[one.change] = Figure(median, float(low), float(high))
        else:
            figures[one.change] = Figure.unknown(
                "no set of inputs changes half of the correctly classified examples"
            )
    return figures


# ---- small things --------------------------------------------------------------------------------


def _groups(evidence: Evidence) -> list[Group]:
    labels = evidence.predictions.labels
    groups = [Group(EVERYONE, np.ones(len(labels), dtype=bool))]
    groups += [Group(name, labels == c) for c, name in enumerate(evidence.classes)]
    return [group for group in groups if group.members.any()]


def _right(evidence: Evidence) -> Bool[np.ndarray, " examples"]:
    return np.asarray(evidence.predictions.predicted == evidence.predictions.labels)


def _names(one: Guarantee) -> dict[str, Any]:
    return {
        "place": one.place,
        "change": one.change,
        "rows": one.rows,
        "bias": one.bias,
        "exact": one.exact,
    }


def _frame(one: Guarantee, columns: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(columns).assign(**_names(one)).astype({"bias": "boolean"})
