"""What is said of several actions' alarms: rates, curves, and how they fail.

In: probabilities of the benign class and predictions, on weighted examples. Out: one row per
action. The alarm score is 1 − P(benign); −P(benign) gives the same order and keeps more digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from synapse_audit.effects import detection as measures
from synapse_audit.effects.estimates import Estimates, effective_size, paired_drop, proportion
from synapse_audit.effects.exact_subsample import population
from synapse_audit.effects.scored import Scored
from synapse_audit.statistics import Interval, interval, wilson
from synapse_audit.tables.detection import MEASURES

LIMITS = {"1": 0.01, "01": 0.001}
"""Name in the columns → false-alarm rate at which a threshold is set."""

NOTABLE = 0.01
"""A rise below it is no failure worth a name."""

RATES = (
    *("false_alarm", "missed_alarm", "false_rise", "missed_rise"),
    *("fixed_tpr_1", "fixed_fpr_1", "fixed_tpr_01", "fixed_fpr_01"),
)
"""By prediction: benign flagged, attacks passed, and both against clean; ``fixed``: at the
threshold that flags 1 % (0.1 %) of the benign when clean."""

CURVE = ("auc", "eer", "tpr_1", "tpr_01")
"""Read off the cell's own ROC curve: thresholds re-fitted under the cell."""

NO_WIDTH = 1e-6
"""Float32 sums differ by no more."""

FAILURES = ("silent", "loud", "both", "neither")
NAMES = [column.name for column in MEASURES]


class AlarmScores(NamedTuple):
    """What the detector does under some actions, on the same examples."""

    score: Float[np.ndarray, "rows examples"]
    """Minus the probability of the benign class, float64."""
    alarm: Bool[np.ndarray, "rows examples"]
    """The predicted class is not the benign one."""
    before: Bool[np.ndarray, " examples"]
    """The same for the untouched model."""
    attack: Bool[np.ndarray, " examples"]
    """The true class is not the benign one."""


def measured(
    seen: AlarmScores,
    weights: Float[np.ndarray, "examples 1"],
    resampled: Float[np.ndarray, "examples resamples"],
    *,
    thresholds: Mapping[str, float],
    spread: Bool[np.ndarray, " rows"],
) -> dict[str, Shaped[np.ndarray, " rows"]]:
    """The columns ``MEASURES``; ``CURVE`` has intervals for the rows marked by ``spread`` only."""
    rows = len(seen.score)
    columns: dict[str, Any] = {name: np.full(rows, np.nan) for name in NAMES}
    columns["n_benign"] = np.full(rows, int((~seen.attack).sum()))
    columns["n_attack"] = np.full(rows, int(seen.attack.sum()))
    if not (seen.attack.any() and (~seen.attack).any()):
        return columns | {"failure": np.full(rows, None, dtype=object)}
    estimates = _rates(seen, weights, resampled, thresholds) | _curves(
        seen, weights, resampled, spread
    )
    for name, found in estimates.items():
        columns |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return columns | {"failure": np.array(failures(columns), dtype=object)}


def failures(table: Mapping[str, Shaped[np.ndarray, " rows"]]) -> list[str]:
    """How each row fails.

    silent: attacks pass that were flagged (missed alarms rise by ``NOTABLE`` or more, the interval
    above 0); loud: benign inputs are flagged that were not; both; neither.
    """
    rises = [
        (table[name] >= NOTABLE) & (table[f"{name}_low"] > 0)
        for name in ("missed_rise", "false_rise")
    ]
    return [
        "both" if missed and false else "silent" if missed else "loud" if false else "neither"
        for missed, false in zip(*rises, strict=True)
    ]


def set_thresholds(
    score: Float[np.ndarray, " examples"],
    attack: Bool[np.ndarray, " examples"],
    weights: Float[np.ndarray, "examples 1"],
) -> dict[str, float]:
    """Per limit the score above which the alarm is raised; NaN with too few benign examples."""
    curve, size = measures.roc(score, attack, weights), benign_size(attack, weights)
    return {
        name: measures.threshold(curve, limit) if measures.resolvable(limit, size) else np.nan
        for name, limit in LIMITS.items()
    }


def benign_size(
    attack: Bool[np.ndarray, " examples"], weights: Float[np.ndarray, "examples 1"]
) -> float:
    """Effective number of benign examples (Kish); 0 where there is none."""
    if attack.all():
        return 0.0
    benign = population(weights[~attack], weights[~attack])
    return float(effective_size(benign, _everyone(benign))[0])


def _rates(
    seen: AlarmScores,
    weights: Float[np.ndarray, "examples 1"],
    resampled: Float[np.ndarray, "examples resamples"],
    thresholds: Mapping[str, float],
) -> dict[str, Estimates]:
    hostile, calm = seen.attack, ~seen.attack
    attacks = population(weights[hostile], resampled[hostile])
    benign = population(weights[calm], resampled[calm])
    found = {
        "false_alarm": _share(benign, seen.alarm[:, calm]),
        "missed_alarm": _share(attacks, ~seen.alarm[:, hostile]),
        "false_rise": _rise(benign, seen.before[calm], seen.alarm[:, calm]),
        "missed_rise": _rise(attacks, ~seen.before[hostile], ~seen.alarm[:, hostile]),
    }
    for name, limit in thresholds.items():
        above = seen.score > limit
        known = {"tpr": _share(attacks, above[:, hostile]), "fpr": _share(benign, above[:, calm])}
        for kind, estimate in known.items():
            found[f"fixed_{kind}_{name}"] = _unknown(len(above)) if np.isnan(limit) else estimate
    return found


def _curves(
    seen: AlarmScores,
    weights: Float[np.ndarray, "examples 1"],
    resampled: Float[np.ndarray, "examples resamples"],
    spread: Bool[np.ndarray, " rows"],
) -> dict[str, Estimates]:
    size = benign_size(seen.attack, weights)
    fewest = float(min(seen.attack.sum(), (~seen.attack).sum()))
    values = np.full((3, len(CURVE), len(seen.score)), np.nan)
    for row, score in enumerate(seen.score):
        values[0, :, row] = _read(score, seen.attack, weights, size)[:, 0]
        if spread[row]:
            again = _read(score, seen.attack, resampled, size)
            values[1:, :, row] = _bounds(values[0, :, row], again.astype(np.float64), fewest)
    return {name: Estimates(*values[:, i]) for i, name in enumerate(CURVE)}


def _read(
    score: Float[np.ndarray, " examples"],
    attack: Bool[np.ndarray, " examples"],
    weights: Float[np.ndarray, "examples draws"],
    size: float,
) -> Float[np.ndarray, "curve draws"]:
    """The measures of ``CURVE``; NaN at limits that the benign examples cannot resolve."""
    curve = measures.roc(score, attack, weights)
    nothing = np.full(weights.shape[1], np.nan)
    at_limits = [
        measures.caught(curve, limit) if measures.resolvable(limit, size) else nothing
        for limit in LIMITS.values()
    ]
    return np.stack([measures.area(curve), measures.equal_error(curve), *at_limits])


def _bounds(
    value: Float[np.ndarray, " curve"], again: Float[np.ndarray, "curve resamples"], size: float
) -> Interval:
    """Percentiles; Wilson's interval where resampling changes nothing (perfect separation).

    An AUC varies by at most A (1 − A) / min(benign, attacks) (Birnbaum & Klose 1957), so ``size``
    is that smaller number.
    """
    sampled, closed = interval(again), wilson(value * size, size)
    flat = sampled.high - sampled.low < NO_WIDTH
    low, high = (np.where(flat, c, s) for c, s in zip(closed, sampled, strict=True))
    return Interval(low, high)


def _share(scored: Scored, hits: Bool[np.ndarray, "rows examples"]) -> Estimates:
    return proportion(scored, hits, _everyone(scored))


def _rise(
    scored: Scored, before: Bool[np.ndarray, " examples"], after: Bool[np.ndarray, "rows examples"]
) -> Estimates:
    drop = paired_drop(scored, before, after)
    return Estimates(-drop.value, -drop.high, -drop.low)


def _unknown(rows: int) -> Estimates:
    return Estimates(*np.full((3, rows), np.nan))


def _everyone(scored: Scored) -> Bool[np.ndarray, "1 examples"]:
    return np.ones((1, len(scored.labels)), dtype=bool)
