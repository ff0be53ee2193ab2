"""Each effect beside its random control: curve tests, and the position among random draws.

**Two-phase estimates.** A drop that is estimated carries the noise of its subsample, so the spread
between estimated draws is wider than that between the draws themselves: its variance s² holds the
mean second-phase variance v of the draws. The value that is set beside them carries noise of its
own, u. Were it one more draw, it would differ from their mean by (s² − v) + u, and s²/B for the
mean: so s² is replaced by s² + u − v. To subtract v alone would take the noise out of the draws
and leave it in the value, and would call noise an effect. Where set and draws leave as many
examples in doubt (:mod:`synapse_audit.sweep.subsample`), u and v are about equal and nothing
changes. At most half of s² is taken off (``LEAST``), since v is an estimate and part of the noise
is shared by all draws (an example carries one random number for all of them), so not in s².
What is left of s² is known the less, the more was taken off: degrees of freedom go with the square
of its share (Satterthwaite 1946, v taken as known). Where u is the larger part they stay those of
the draws, which is conservative.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from synapse_audit.artifacts import GLOBAL, REMOVAL_GROUPS, Cell, Group
from synapse_audit.effects.questions import in_order
from synapse_audit.statistics import (
    CurveTest,
    DrawPosition,
    curve_test,
    draw_position,
    least_p,
)

HEADLINE_OPERATOR = "mean"
"""The operator whose curves are tested: it removes information, keeps the operating point."""

TESTED: tuple[Group, ...] = (*REMOVAL_GROUPS, "layer", "position", "class")
"""Groups whose top sets make curves that are tested, with the random sets beside them."""

SETTING = ["operator", "strength", "site", "position", "layers"]
"""What a curve shares with its random control."""

CURVE = [*SETTING, "ranking", "ranked_for"]
"""What names a curve."""

MEASURED = ["fraction", "draw", "accuracy_drop", "phase_se"]
"""What a test reads of the rows of a curve."""

LEAST = 0.5
"""Share of the variance between draws that is kept whatever the second phase adds."""

TWO_SIDED = 0.975
"""Quantile beyond which, or its negative, one in twenty lies."""

_CONTROL = {
    "top": "random",
    "bottom": "random",
    "exclusive": "random",
    "direction": "random",
    "exclusive_mass": "random",
    "constant": "random",
    "given": "random",
    "readable_unused": "random",
    "used_unreadable": "random",
    "keep_top": "keep_random",
}


def curve_tests(effects: pd.DataFrame) -> pd.DataFrame:
    """Tests every ``top`` curve of the headline operator at block outputs against its random ones.

    A curve = accuracy_drop over the fractions, at least two of them; area by the trapezoid rule,
    in units of accuracy × fraction, positive = top hurts more than random. Only fractions for
    which every draw was run enter. See :func:`synapse_audit.statistics.curve_test`. The noise of
    two-phase estimates (column ``phase_se``, where there is one) counts as independent between
    fractions. Random curves are those of the same ranking where it has some (sets across layers
    have), else the shared ones.

    Returns:
        One row per curve: the columns CURVE, then area, t, df, p_value, and p_adjusted, for which
        the curves of one question are tested in an order set beforehand
        (:mod:`synapse_audit.effects.questions`); the headline curve is the first of all, so its p
        stands as it is. A curve without random controls has nulls.
    """
    mine = effects[effects["group"].isin(TESTED) & (effects["operator"] == HEADLINE_OPERATOR)]
    mine = mine.reindex(columns=[*CURVE, "selection", *MEASURED])
    drawn = _curves(mine[mine["selection"] == "random"], CURVE)
    # Many curves stand beside the same draws.
    random_controls = {key: RandomCurves.of(rows) for key, rows in drawn}
    rows = []
    for key, curve in _curves(mine[mine["selection"] == "top"], CURVE):
        tops = curve.drop_duplicates("fraction").set_index("fraction")
        if len(tops) >= 2:
            rows.append((*key, *_test(tops, _own_random_controls(random_controls, key))))
    tests = pd.DataFrame(rows, columns=[*CURVE, *CurveTest._fields[:-1], "p_value"])
    kinds = dict.fromkeys(CURVE, "str") | dict.fromkeys(["strength", "area", "t"], "float64")
    tests = tests.astype(kinds | {"df": "Int64", "p_value": "float64"})
    return tests.assign(p_adjusted=in_order(tests))


class RandomCurves(NamedTuple):
    """Draws that curves are tested against."""

    drops: pd.DataFrame
    """Accuracy drop by fraction and draw; of fractions for which every draw was run."""
    noise: pd.Series
    """Mean second-phase variance at each fraction."""

    @classmethod
    def of(cls, rows: pd.DataFrame) -> RandomCurves:
        """From one row per fraction and draw."""
        table = rows.pivot_table(index="fraction", columns="draw", values="accuracy_drop")
        return cls(table.dropna(), _noise(rows))


def _own_random_controls(
    random_controls: Mapping[tuple[Any, ...], RandomCurves], key: tuple[Any, ...]
) -> RandomCurves | None:
    """The random curves of a curve's own ranking, else the shared ones.

    A ranking with random controls of its own takes its sets across layers; those random controls
    have the counts of its global sets, so a class's curve of such a ranking has none.
    """
    setting, (ranking, ranked_for) = key[: len(SETTING)], key[len(SETTING) :]
    own = random_controls.get((*setting, ranking, GLOBAL))
    if own is None:
        return random_controls.get((*setting, None, None))
    return own if ranked_for is GLOBAL else None


def adjusted(effects: pd.DataFrame) -> Float[np.ndarray, " cells"]:
    """``p_adjusted`` of the curve that each row lies on; NaN for rows on no tested curve."""
    tests = curve_tests(effects)
    found = effects[CURVE].merge(tests[[*CURVE, "p_adjusted"]], on=CURVE, how="left")
    on_curve = effects["group"].isin(TESTED) & (effects["selection"] == "top")
    return np.where(on_curve, found["p_adjusted"].to_numpy(), np.nan)


def positions(
    cells: Sequence[Cell],
    drop: Float[np.ndarray, " cells"],
    error: Float[np.ndarray, " cells"] | None = None,
    pooled: Collection[str] = (),
) -> list[DrawPosition]:
    """Each cell's accuracy_drop among random sets with as many neurons in each layer.

    The number of neurons in each layer decides which random sets count, whatever ranking they were
    drawn for. ``keep_top`` is set beside ``keep_random``, other selections beside ``random``. NaN
    for the controls themselves and where no random set of that size was run. ``error`` is the
    standard error that a second phase adds (NaN = none). ``pooled``: actions of random sets of
    which only the mean is known well; where their noise makes up more than half of their spread,
    a place among them means nothing and is NaN.
    """
    noise = np.zeros(len(drop)) if error is None else np.nan_to_num(error) ** 2
    draws: dict[Hashable, dict[str, tuple[float, float]]] = defaultdict(dict)
    for cell, value, own in zip(cells, drop, noise, strict=True):
        if cell.selection in _CONTROL.values():
            draws[_random_control_key(cell, cell.selection)][cell.action] = (value, own)
    found = []
    for cell, value, own in zip(cells, drop, noise, strict=True):
        random_controls = draws.get(
            _random_control_key(cell, _CONTROL.get(cell.selection or "")), {}
        )
        pairs = np.array([*random_controls.values()], dtype=np.float64).reshape(-1, 2)
        blurred = not random_controls.keys().isdisjoint(pooled) and _blurred(pairs)
        found.append(UNKNOWN if blurred else _position(value, own, pairs))
    return found


UNKNOWN = DrawPosition(np.nan, np.nan)


def _blurred(random_controls: Float[np.ndarray, "draws 2"]) -> bool:
    """Whether more than the share ``LEAST`` of the draws' variance is noise."""
    if len(random_controls) < 2:
        return False
    drops, noise = random_controls.T
    return bool(noise.mean() > (1 - LEAST) * drops.var(ddof=1))


def _position(
    value: float, own: float, random_controls: Float[np.ndarray, "draws 2"]
) -> DrawPosition:
    """Place among (drop, noise) of the draws; z on the spread that one more draw would have."""
    if not len(random_controls):
        return DrawPosition(np.nan, np.nan)
    sample = random_controls[:, 0]
    position = draw_position(float(value), sample)
    if len(sample) < 2:
        return position
    factor, df = _inflation(sample, own - random_controls[:, 1].mean()), len(sample) - 1
    # As far out as on the draws' degrees of freedom, by which a reader takes it.
    farther = stats.t.ppf(TWO_SIDED, df) / stats.t.ppf(TWO_SIDED, _known(df, factor))
    return position._replace(z=float(position.z / factor * farther))


def _inflation(sample: Float[np.ndarray, " draws"], excess: float) -> float:
    """√(1 + excess / s²), s² the variance between draws, at least √``LEAST``.

    ``excess`` = noise variance of the value under test minus the draws' mean one.
    """
    variance = float(sample.var(ddof=1))
    return float(np.sqrt(max(LEAST, 1 + excess / variance))) if variance > 0 else 1.0


def _known(df: int, factor: float) -> int:
    """Degrees of freedom, rounded down, of s² · factor², which ``_inflation`` made of s²."""
    return max(1, int(df * min(1.0, factor) ** 4 + 1e-9))


def _random_control_key(cell: Cell, control: str | None) -> Hashable:
    """What a cell shares with its random controls: all but which neurons, columns or bits were
    chosen."""
    aim = cell.source if cell.target is None else cell.target
    shared = (control, cell.operator, cell.strength, cell.site, cell.position, aim)
    if cell.neurons is not None:
        return (*shared, tuple(cell.neurons.counts.items()))
    return (*shared, cell.fraction, cell.layers, cell.parameter)


def _curves(
    effects: pd.DataFrame, columns: list[str]
) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Rows grouped by columns in order of appearance; a missing value is None in the key."""
    for key, rows in effects.groupby(columns, dropna=False, sort=False):
        parts: Sequence[Any] = key
        yield tuple(None if pd.isna(part) else part for part in parts), rows


def _test(tops: pd.DataFrame, random_controls: RandomCurves | None) -> CurveTest:
    if random_controls is None:
        return CurveTest(np.nan, np.nan, 0, np.nan)
    table = random_controls.drops
    shared = table.index.intersection(tops.index).sort_values()
    if len(shared) < 2:
        return CurveTest(np.nan, np.nan, 0, np.nan)
    steps = _trapezoid_weights(shared.to_numpy(dtype=np.float64))
    gap = tops.loc[shared, "accuracy_drop"].to_numpy()[:, None] - table.loc[shared].to_numpy()
    areas = steps @ gap
    test = curve_test(areas)
    if np.isnan(test.t):
        return test
    noise = _noise(tops.reset_index())
    excess = steps**2 @ (noise.loc[shared] - random_controls.noise.loc[shared]).to_numpy()
    # Of the variance s² (1 + 1/B) only the part of the curve itself changes, not that of the mean.
    factor, share = _inflation(areas, float(excess)), 1 / len(areas)
    t = test.t * float(np.sqrt((1 + share) / (factor**2 + share)))
    df = _known(test.df, factor)
    p = max(float(2 * stats.t.sf(abs(t), df)), least_p(areas))
    return test._replace(t=t, df=df, p=p)


def _noise(rows: pd.DataFrame) -> pd.Series:
    """Mean second-phase variance at each fraction; 0 where nothing is estimated."""
    noise = rows["phase_se"].astype("float64").fillna(0.0) ** 2
    return noise.groupby(rows["fraction"].astype("float64")).mean()


def _trapezoid_weights(x: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    """Weights whose product with values at ``x`` is the area by the trapezoid rule."""
    half = np.diff(x) / 2
    return np.concatenate([half, [0.0]]) + np.concatenate([[0.0], half])
