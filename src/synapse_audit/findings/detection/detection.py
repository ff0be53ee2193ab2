"""The detection view: one class means no alarm, every other class an alarm.

In: the probability of the benign class, clean and under every cell. Out: ROC-AUC, equal error
rate, attacks caught at fixed and at re-fitted thresholds, false and missed alarms, and whether
cells fail silently or loudly. Empty where no benign class was named.

Cells that were estimated in two phases are read on their exact examples only. The fixed thresholds
are quantiles of the clean scores of the ``evaluate`` examples themselves, so the clean rates are
near their nominal values by construction, and the intervals leave out the threshold's own error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.special import softmax

from synapse_audit.artifacts import SILENCING, Evidence, Finding
from synapse_audit.effects.curves import headline_cells, where
from synapse_audit.effects.detection import roc
from synapse_audit.effects.exact_subsample import (
    NAMES,
    Sample,
    drawn,
    removal_curves,
    samples,
    whole,
)
from synapse_audit.effects.selection import widened
from synapse_audit.findings.detection.alarms import (
    CURVE,
    FAILURES,
    LIMITS,
    RATES,
    AlarmScores,
    Rates,
    benign_size,
    columns_of,
    in_blocks,
    rates_of,
    set_thresholds,
)
from synapse_audit.findings.detection.alarms import NAMES as MEASURED
from synapse_audit.memory import paced
from synapse_audit.summary import Figure
from synapse_audit.tables.detection import (
    CELLS,
    FAILURE_COUNTS,
    REMOVAL,
    ROC,
    TABLES,
    THRESHOLDS,
)

SPREAD = ("auc", "tpr_1", "false_alarm", "missed_alarm", "fixed_tpr_1", "fixed_fpr_1")

NO_BENIGN = "no benign class was named (--benign CLASS)"
NO_SCORES = "this run kept no probabilities of the benign class"
ONE_SIDED = "the evaluate split lacks benign examples, or attacks"
NO_CURVE = "no removal curve of the headline ranking was run"


def detection(evidence: Evidence) -> Finding:
    """The detection view, clean and under every cell."""
    reason = _unavailable(evidence)
    if reason:
        tables = {table.key[1]: table.empty() for table in TABLES}
        figures = dict.fromkeys((*CURVE, "false_alarm", "missed_alarm"), Figure.unknown(reason))
        return Finding("detection", tables, {"detection": figures})
    cells = cells_table(evidence)
    tables = {
        "cells": cells,
        "removal": removal_curves(evidence, cells, SPREAD)[REMOVAL.names],
        "roc": roc_table(evidence),
        "thresholds": thresholds_table(evidence, cells),
        "failures": failures_table(cells),
    }
    return Finding("detection", tables, {"detection": _figures(evidence, tables)})


def _unavailable(evidence: Evidence) -> str:
    """Why there is no detection view; empty where there is one."""
    if evidence.benign is None:
        return NO_BENIGN
    if evidence.outcomes.benign is None:
        return NO_SCORES
    attack = _attack(evidence)
    return "" if attack.any() and (~attack).any() else ONE_SIDED


# ---- tables --------------------------------------------------------------------------------------


def cells_table(evidence: Evidence) -> pd.DataFrame:
    """The untouched model (``space`` = clean), then one row per cell.

    AUC, equal error rate and re-fitted rates have intervals for the clean model, the headline
    removal curves, the logit cells and the edits of the head toward the benign class; rates at
    fixed thresholds and by prediction have them everywhere.
    """
    effects = evidence.effects
    marked = pd.Series(_with_curves(evidence, effects))
    spread = marked.groupby(effects["action"].to_numpy(), sort=False).any()
    found = _actions(evidence, list(spread.index), spread.to_numpy(dtype=bool))
    named = effects[[*NAMES, "action"]].merge(found, on="action", how="left")
    attack = _attack(evidence)
    clean = _measured([_clean_rates(evidence)], 1).assign(
        cell="clean",
        space="clean",
        n=len(attack),
        n_benign=int((~attack).sum()),
        n_attack=int(attack.sum()),
    )
    return CELLS.joined((clean, named)).astype({"draw": "Int64"})


def roc_table(evidence: Evidence) -> pd.DataFrame:
    """ROC curves, corners only: the untouched model and the headline removal curve."""
    everyone = whole(evidence)
    parts = [_corners(_clean_seen(evidence), 0, everyone).assign(what="clean")]
    chosen = headline_cells(evidence, "mean")
    for sample in samples(evidence, list(chosen["action"])):
        seen = _seen(evidence, sample)
        for row, place in enumerate(sample.places):
            cell = chosen.iloc[int(place)]
            names = {name: cell[name] for name in ("operator", "fraction")}
            parts.append(_corners(seen, row, sample).assign(what="removal", **names))
    return ROC.joined(parts)


def thresholds_table(evidence: Evidence, cells: pd.DataFrame) -> pd.DataFrame:
    """The thresholds set on clean scores: an alarm is raised where P(benign) is below."""
    clean, found = cells.iloc[0], _thresholds(evidence)
    size = benign_size(_attack(evidence), whole(evidence).weights)
    rows = []
    for name, limit in LIMITS.items():
        reason = _too_few(limit, size) if np.isnan(found[name]) else None
        rates = (clean[f"fixed_{kind}_{name}"] for kind in ("fpr", "tpr"))
        rows.append((limit, -found[name], *rates, int(np.ceil(1 / limit)), reason))
    return pd.DataFrame(rows, columns=THRESHOLDS.names).astype({"reason": "str"})


def failures_table(cells: pd.DataFrame) -> pd.DataFrame:
    """How many cells fail how, by space and operator; draws of random sets are left out."""
    rows = cells[(cells["space"] != "clean") & ~_random(cells)].dropna(subset=["failure"])
    groups = rows.groupby(["space", "operator"], sort=True)
    table = groups.size().rename("cells").to_frame()
    for name in FAILURES:
        table[name] = (rows["failure"] == name).groupby([rows["space"], rows["operator"]]).sum()
    for name in ("missed_rise", "false_rise"):
        table[f"largest_{name}"] = groups[name].max()
    return table.reset_index()[FAILURE_COUNTS.names]


def _random(cells: pd.DataFrame) -> Bool[np.ndarray, " cells"]:
    """Controls: random sets of neurons or columns (noise draws are no controls)."""
    return drawn(cells) & (cells["selection"].notna()).to_numpy(dtype=bool)


def _with_curves(evidence: Evidence, effects: pd.DataFrame) -> Bool[np.ndarray, " cells"]:
    """Cells whose ROC curve is resampled: a sort per cell, so not all."""
    wanted = [headline_cells(evidence, name) for name in SILENCING]
    wanted += [evidence.cells("shift", "temperature", "logit_noise")]
    edits = evidence.cells("push", "edit", "bit_flip", "paper_edit")
    wanted += [where(edits, {"target": evidence.benign, "draw": None})]
    kept = np.zeros(len(effects), dtype=bool)
    for rows in wanted:
        kept |= effects.index.isin(rows.index)
    return kept


# ---- what was seen -------------------------------------------------------------------------------


def _actions(
    evidence: Evidence, actions: list[str], spread: Bool[np.ndarray, " actions"]
) -> pd.DataFrame:
    """``action``, ``n`` (exact examples) and ``MEASURES``."""
    counts = {n: np.zeros(len(actions), np.int64) for n in ("n", "n_benign", "n_attack")}
    thresholds, attack = _thresholds(evidence), _attack(evidence)

    def parts() -> Iterator[Rates]:
        for sample in paced(samples(evidence, actions)):
            hostile = int(attack[sample.known].sum())
            sizes = len(sample.known), len(sample.known) - hostile, hostile
            for count, size in zip(counts.values(), sizes, strict=True):
                count[sample.places] = size
            found = rates_of(
                sample.places,
                _seen(evidence, sample),
                sample.weights,
                sample.resampled,
                thresholds=thresholds,
                spread=spread[sample.places],
            )
            if found is not None:
                yield found

    table = _measured(parts(), len(actions))
    return table.assign(action=pd.array(actions, dtype="str"), **counts)


def _measured(parts: Iterable[Rates], actions: int) -> pd.DataFrame:
    """The columns ``MEASURES``; unknown where no part has an action."""
    table: dict[str, Any] = {name: np.full(actions, np.nan) for name in MEASURED}
    table["failure"] = np.full(actions, None, dtype=object)
    for block in in_blocks(parts):
        for name, values in columns_of(block).items():
            table[name][block.places] = values
    return pd.DataFrame(table)


def _clean_rates(evidence: Evidence) -> Rates:
    everyone, one = whole(evidence), np.zeros(1, dtype=np.int64)
    found = rates_of(
        one,
        _clean_seen(evidence),
        everyone.weights,
        everyone.resampled,
        thresholds=_thresholds(evidence),
        spread=np.ones(1, dtype=bool),
    )
    if found is None:  # no detection view was asked for then
        raise ValueError(ONE_SIDED)
    return found


def _seen(evidence: Evidence, sample: Sample) -> AlarmScores:
    places, benign = np.ix_(sample.rows, sample.known), _benign(evidence)
    outcomes, clean = evidence.outcomes, evidence.predictions
    kept = np.zeros(outcomes.predicted.shape) if outcomes.benign is None else outcomes.benign
    return AlarmScores(
        score=-kept[places].astype(np.float64),
        alarm=outcomes.predicted[places] != benign,
        before=clean.predicted[sample.known] != benign,
        attack=_attack(evidence)[sample.known],
    )


def _clean_seen(evidence: Evidence) -> AlarmScores:
    clean, benign = evidence.predictions, _benign(evidence)
    share = softmax(clean.model_logits.astype(np.float64), axis=1)[:, benign].astype(np.float32)
    alarm = clean.predicted != benign
    return AlarmScores(-share.astype(np.float64)[None, :], alarm[None, :], alarm, _attack(evidence))


def _thresholds(evidence: Evidence) -> dict[str, float]:
    score = _clean_seen(evidence).score[0]
    return set_thresholds(score, _attack(evidence), whole(evidence).weights)


def _benign(evidence: Evidence) -> int:
    return evidence.classes.index(str(evidence.benign))


def _attack(evidence: Evidence) -> Bool[np.ndarray, " examples"]:
    return evidence.predictions.labels != _benign(evidence)


def _corners(seen: AlarmScores, row: int, sample: Sample) -> pd.DataFrame:
    """Points where the curve turns; all others lie on straight lines between them."""
    curve = roc(seen.score[row], seen.attack, sample.weights)
    points: Float[np.ndarray, "points 2"] = np.concatenate([curve.false, curve.true], axis=1)
    step = np.diff(points, axis=0)
    turn = np.abs(step[1:, 0] * step[:-1, 1] - step[1:, 1] * step[:-1, 0]) > 1e-15
    kept = points[np.concatenate([[True], turn, [True]])] if len(points) > 2 else points
    return pd.DataFrame(kept, columns=["false_alarm", "caught"])


# ---- figures -------------------------------------------------------------------------------------


def _figures(evidence: Evidence, tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    clean = tables["cells"].iloc[0]
    size = benign_size(_attack(evidence), whole(evidence).weights)
    figures: dict[str, Any] = {"benign": evidence.benign}
    figures |= {name: Figure(float(clean[name])) for name in ("n_benign", "n_attack")}
    for name in (*CURVE, *RATES):
        if not name.endswith("_rise"):
            figures[name] = _measure(clean, name, size)
    counts = tables["failures"][["cells", *FAILURES]].sum()
    figures["failures"] = {name: int(counts[name]) for name in ("cells", *FAILURES)}
    figures["removal"] = {name: _worst(tables["removal"], name) for name in SILENCING}
    return figures


def _measure(row: pd.Series, name: str, size: float) -> Figure:
    if pd.isna(row[name]):
        limit = LIMITS.get(name.rpartition("_")[2], 0.0)
        return Figure.unknown(_too_few(limit, size))
    return Figure(row[name], row[f"{name}_low"], row[f"{name}_high"])


def _too_few(limit: float, size: float) -> str:
    return (
        f"{size:.0f} (effective) benign examples cannot resolve a false-alarm rate of {limit:.1%}; "
        f"expected at least {int(np.ceil(1 / limit)) if limit else 1}"
    )


def _at(row: pd.Series, name: str, *, among: int) -> Figure:
    """A rate whose interval holds for as many rows as it was picked from."""
    if pd.isna(row[name]):
        return Figure.unknown(f"too few benign examples among the {int(row['n'])} that are exact")
    value, low, high = (np.array(float(row[f"{name}{end}"])) for end in ("", "_low", "_high"))
    wide = widened(value, low, high, among=among)
    ends = np.maximum(wide.low, 0.0).item(), np.minimum(wide.high, 1.0).item()
    return Figure(value.item(), *ends)


def _worst(removal: pd.DataFrame, operator: str) -> dict[str, Any]:
    """Where the headline curve lets most attacks pass by prediction.

    Intervals hold for all its points at once.
    """
    curve = where(removal, {"operator": operator, "selection": "top"})
    curve = curve.dropna(subset=["missed_alarm"])
    if curve.empty:
        return {"missed_alarm": Figure.unknown(NO_CURVE)}
    row = curve.iloc[int(curve["missed_alarm"].to_numpy(dtype=float).argmax())]
    return {
        "fraction": Figure(float(row["fraction"])),
        "n": Figure(float(row["n"])),
        **{name: _at(row, name, among=len(curve)) for name in SPREAD},
    }
