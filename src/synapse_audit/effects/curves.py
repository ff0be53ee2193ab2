"""What the findings share: picking cells, bands of random draws, and how a number is reported.

| function | answers |
|---|---|
| headline, headline_cells, where, random_controls, draw_range | which rows a table is drawn from |
| grid_band | an interval whose ends lie on the grid |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from synapse_audit.artifacts import GLOBAL, REMOVAL_GROUPS, Evidence
from synapse_audit.effects.random_controls import half_width
from synapse_audit.statistics import Interval

TOLERANCE = 1e-6
"""Rounding allowed where a figure is compared with a threshold."""

PLATEAU_LOSS = 0.02
"""Loss of accuracy that still counts as none."""

RATES = frozenset(
    (
        *("accuracy", "macro_f1", "weighted_f1", "recall", "flip_rate", "redirect_rate"),
        *("collateral", "micro_f1", "sample_f1", "hamming_loss"),
    )
)
"""Measures that lie within [0, 1], and so do their bands."""


# ---- rows ------------------------------------------------------------------------------------


def where(effects: pd.DataFrame, conditions: Mapping[str, object]) -> pd.DataFrame:
    """Rows whose columns equal the values given; None stands for null."""
    kept = np.ones(len(effects), dtype=bool)
    for name, value in conditions.items():
        column = effects[name]
        kept &= (column.isna() if value is None else column == value).to_numpy(dtype=bool)
    return effects[kept]


def headline(evidence: Evidence) -> pd.DataFrame:
    """The headline removal curve: one row per fraction, ascending.

    Operator mean, top, all layers, pooled position, the grid's first ranking, global.
    """
    return headline_cells(evidence, "mean").sort_values("fraction")


def headline_cells(evidence: Evidence, operator: str) -> pd.DataFrame:
    """The removal curve of the grid's first ranking under any operator, in plan order."""
    wanted = {"selection": "top", "ranking": evidence.grid.rankings[0], "ranked_for": GLOBAL}
    return where(evidence.cells(*REMOVAL_GROUPS), {"operator": operator, **wanted})


def random_controls(cells: pd.DataFrame, ranking: str) -> pd.DataFrame:
    """The random draws that a ranking's sets stand beside, among the cells given.

    Its own where it has some (sets across layers, which hold another number in each), else those
    that all rankings share.
    """
    drawn = where(cells, {"selection": "random"})
    own = where(drawn, {"ranking": ranking, "ranked_for": GLOBAL})
    return own if len(own) else where(drawn, {"ranking": None})


def draw_range(
    cells: pd.DataFrame, keys: Sequence[str], measures: Mapping[str, str]
) -> pd.DataFrame:
    """Mean over draws of each measure, and the band in which one more draw would lie (95 %).

    The band is that of :func:`synapse_audit.effects.random_controls.prediction_band`, and holds
    the draws themselves. The middle 95 % of a few draws would be their range, which one more draw
    leaves with a chance of 2 / (B + 1): 33 % of five, 10 % of twenty. NaN for a single draw.

    Args:
        cells: one row per draw.
        keys: what the draws of one group share; null is a value like any other.
        measures: column of ``cells`` → its new name; ``_low`` and ``_high`` are added beside it.

    Returns:
        The keys, the measures, and ``draws``, their number.
    """
    numbers = cells.astype(dict.fromkeys(measures, "float64"))
    groups = numbers.groupby(list(keys), dropna=False, sort=True)
    table = groups.size().rename("draws").to_frame()
    for column, name in measures.items():
        found = groups[column].agg(["mean", "std", "count", "min", "max"])
        half = half_width(found["count"].to_numpy()) * found["std"].to_numpy()
        mean, (least, most) = found["mean"].to_numpy(), _limits(column)
        table[name] = mean
        low = np.minimum(mean - half, found["min"].to_numpy())
        high = np.maximum(mean + half, found["max"].to_numpy())
        table[f"{name}_low"], table[f"{name}_high"] = np.maximum(low, least), np.minimum(high, most)
    return table.reset_index()


def _limits(measure: str) -> tuple[float, float]:
    if measure in RATES:
        return 0.0, 1.0
    return (-1.0, 1.0) if measure.endswith("drop") else (-np.inf, np.inf)


# ---- figures ---------------------------------------------------------------------------------


def grid_band(samples: Float[np.ndarray, " resamples"]) -> Interval:
    """Percentile interval whose ends are values that occur; infinity (never) is allowed."""
    low = np.quantile(samples, 0.025, method="lower")
    high = np.quantile(samples, 0.975, method="higher")
    return Interval(np.asarray(low), np.asarray(high))
