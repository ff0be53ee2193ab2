"""What is said of several actions' alarms: rates, curves, and how they fail.

In: probabilities of the benign class and predictions, on weighted examples. Out: one row per
action. The alarm score is 1 − P(benign); −P(benign) gives the same order and keeps more digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from synapse_audit.effects import detection as measures
from synapse_audit.effects.estimates import Estimates, effective_size
from synapse_audit.effects.exact_subsample import population
from synapse_audit.effects.populations import OutcomeSums, joined
from synapse_audit.effects.scored import Scored
from synapse_audit.memory import gathered
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


class Rates(NamedTuple):
    """Some actions' alarms, summed over their examples: what rates and their intervals rest on."""

    places: Int[np.ndarray, " chosen"]
    """Positions in the list of actions."""
    sums: dict[str, OutcomeSums]
    curves: Float[np.ndarray, "ends curve chosen"]
    """Value, low and high of ``CURVE``."""


def rates_of(
    places: Int[np.ndarray, " chosen"],
    seen: AlarmScores,
    weights: Float[np.ndarray, "examples 1"],
    resampled: Float[np.ndarray, "examples resamples"],
    *,
    thresholds: Mapping[str, float],
    spread: Bool[np.ndarray, " chosen"],
) -> Rates | None:
    """Sums of actions on the same examples; None where all of them are benign, or attacks.

    Args:
        spread: rows whose ``CURVE`` has intervals.
    """
    hostile, calm = seen.attack, ~seen.attack
    if not (hostile.any() and calm.any()):
        return None
    attacks, benign = ((weights[who], resampled[who]) for who in (hostile, calm))
    share, drop = OutcomeSums.of_shares, OutcomeSums.of_drops
    sums = {
        "false_alarm": share(seen.alarm[:, calm], *benign),
        "missed_alarm": share(~seen.alarm[:, hostile], *attacks),
        "false_rise": drop(seen.before[calm], seen.alarm[:, calm], *benign),
        "missed_rise": drop(~seen.before[hostile], ~seen.alarm[:, hostile], *attacks),
    }
    for name, limit in thresholds.items():
        if not np.isnan(limit):
            above = seen.score > limit
            sums[f"fixed_tpr_{name}"] = share(above[:, hostile], *attacks)
            sums[f"fixed_fpr_{name}"] = share(above[:, calm], *benign)
    return Rates(places, sums, _curves(seen, weights, resampled, spread))


def in_blocks(parts: Iterable[Rates]) -> Iterator[Rates]:
    """The same actions, as many at a time as memory is meant for."""

    def numbers(part: Rates) -> int:
        return sum(one.samples.size for one in part.sums.values())

    for some in gathered(parts, numbers):
        yield _together(some)


def _together(parts: Sequence[Rates]) -> Rates:
    return Rates(
        np.concatenate([part.places for part in parts]),
        {name: joined([part.sums[name] for part in parts]) for name in parts[0].sums},
        np.concatenate([part.curves for part in parts], axis=-1),
    )


def columns_of(rates: Rates) -> dict[str, Shaped[np.ndarray, " chosen"]]:
    """The columns ``MEASURES`` of the actions; those of unknown thresholds are left out."""
    found = {name: sums.estimates() for name, sums in rates.sums.items()}
    for name in ("false_rise", "missed_rise"):
        value, low, high = found[name]
        found[name] = Estimates(-value, -high, -low)
    found |= {name: Estimates(*rates.curves[:, i]) for i, name in enumerate(CURVE)}
    columns: dict[str, Any] = {}
    for name, (value, low, high) in found.items():
        columns |= {name: value, f"{name}_low": low, f"{name}_high": high}
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


def _curves(
    seen: AlarmScores,
    weights: Float[np.ndarray, "examples 1"],
    resampled: Float[np.ndarray, "examples resamples"],
    spread: Bool[np.ndarray, " rows"],
) -> Float[np.ndarray, "ends curve rows"]:
    size = benign_size(seen.attack, weights)
    fewest = float(min(seen.attack.sum(), (~seen.attack).sum()))
    values = np.full((3, len(CURVE), len(seen.score)), np.nan)
    for row, score in enumerate(seen.score):
        values[0, :, row] = _read(score, seen.attack, weights, size)[:, 0]
        if spread[row]:
            again = _read(score, seen.attack, resampled, size)
            values[1:, :, row] = _bounds(values[0, :, row], again.astype(np.float64), fewest)
    return values


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


def _everyone(scored: Scored) -> Bool[np.ndarray, "1 examples"]:
    return np.ones((1, len(scored.labels)), dtype=bool)
