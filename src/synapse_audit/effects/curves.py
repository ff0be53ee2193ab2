"""What the findings share: picking cells, resampled figures, and where a curve breaks.

| function | answers |
|---|---|
| headline, headline_cells, where, random controls, draw_range | which rows a table is drawn from |
| figure, unknown, grid_band | how a number is reported |
| plateaus, half_points | where removal curves leave the plateau, and lose half |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from synapse_audit.artifacts import GLOBAL, REMOVAL_GROUPS, Evidence
from synapse_audit.statistics import Interval
from synapse_audit.summary import Figure

TOLERANCE = 1e-6
"""Rounding allowed where a figure is compared with a threshold."""

PLATEAU_LOSS = 0.02
"""Loss of accuracy that still counts as none."""

DRAW_RANGE = (0.025, 0.975)
"""Quantiles over random draws that are shown as their range."""


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
    """Mean over draws of each measure, with the 2.5 to 97.5 % range of the draws.

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
        table[name] = groups[column].mean().to_numpy()
        for end, quantile in zip(("low", "high"), DRAW_RANGE, strict=True):
            table[f"{name}_{end}"] = groups[column].quantile(quantile).to_numpy()
    return table.reset_index()


# ---- figures ---------------------------------------------------------------------------------


def figure(value: float, low: float = np.nan, high: float = np.nan, **beside: Any) -> Figure:
    """One figure of ``summary.json`` with the facts that stand beside it."""
    return Figure(value, low, high, beside=beside)


def unknown(reason: str) -> Figure:
    """A figure that could not be had, and why."""
    return Figure.unknown(reason)


def grid_band(samples: Float[np.ndarray, " resamples"]) -> Interval:
    """Percentile interval whose ends are values that occur; infinity (never) is allowed."""
    low = np.quantile(samples, 0.025, method="lower")
    high = np.quantile(samples, 0.975, method="higher")
    return Interval(np.asarray(low), np.asarray(high))


# ---- where a curve breaks ----------------------------------------------------------------------


def plateaus(
    fractions: Float[np.ndarray, " points"], held: Bool[np.ndarray, "curves points"]
) -> Float[np.ndarray, " curves"]:
    """Largest fraction up to which the curve held at every point; 0 where the first one fails.

    >>> plateaus(np.array([0.1, 0.5]), np.array([[True, True], [True, False], [False, True]]))
    array([0.5, 0.1, 0. ])
    """
    steps = np.cumprod(held, axis=1).sum(axis=1)
    return np.concatenate([[0.0], fractions])[steps]


def half_points(
    fractions: Float[np.ndarray, " points"],
    accuracies: Float[np.ndarray, "curves points"],
    clean: Float[np.ndarray, " curves"],
    floor: Float[np.ndarray, " curves"],
) -> Float[np.ndarray, " curves"]:
    """Smallest fraction at which half the distance from ``clean`` to ``floor`` is lost.

    Linear between grid points, from ``clean`` at fraction 0; infinity where never in the grid.
    """
    x = np.concatenate([[0.0], fractions])
    y = np.concatenate([clean[:, None], accuracies], axis=1)
    half = (clean + floor) / 2
    lost = y <= half[:, None] + TOLERANCE
    right = lost.argmax(axis=1)
    left = np.maximum(right - 1, 0)
    curves = np.arange(len(y))
    fall = y[curves, left] - y[curves, right]
    share = np.clip((y[curves, left] - half) / np.where(fall > 0, fall, np.inf), 0.0, 1.0)
    return np.where(lost.any(axis=1), x[left] + share * (x[right] - x[left]), np.inf)
