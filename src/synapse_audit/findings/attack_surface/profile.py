"""The vulnerability profile: all spaces on one axis of budget, class by class.

In: cells of every space, the clean margins, the operators' formulas. Out: what each experiment
redirects toward each class beside its relative L2 size, the best that was tried within each budget,
the smallest budget that is enough, and whether the spaces agree on which classes are weak.

A class is weak as a *target* where others are easily redirected to it, and as a *victim* where its
own examples are easily lost. Spaces are complementary where they disagree on that.
"""

from __future__ import annotations

from itertools import combinations, permutations
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import rankdata, spearmanr

from synapse_audit.artifacts import Evidence, Finding
from synapse_audit.effects.crossings import Losses, smallest_enough
from synapse_audit.effects.curves import TOLERANCE
from synapse_audit.findings.attack_surface.experiments_by_space import (
    SPACES,
    SpaceExperiments,
    experiments_of,
)
from synapse_audit.statistics import benjamini_yekutieli, interval, paired_interval
from synapse_audit.summary import Figure
from synapse_audit.tables.attack_surface import AGREEMENT, CLASSES, POINTS, REACH

LEVELS = (0.1, 0.5)
"""Redirect rates whose smallest budget is reported."""

ROLES = ("target", "victim")

KEYS = ["space", "operator", "parameter", "fraction", "strength", "aimed"]
RATES = [
    *("redirect_rate", "redirect_low", "redirect_high"),
    *("collateral", "collateral_low", "collateral_high"),
    *("accuracy_drop", "drop_low", "drop_high"),
]

FEW_CLASSES = 8
"""Up to so many classes all their orders are tried; beyond, the t approximation serves."""


NOT_RUN = "no experiment of this space with a known budget was run"


def profile(evidence: Evidence) -> Finding:
    """Budgets, redirects and agreement over all spaces."""
    spaces = {space: experiments_of(evidence, space) for space in SPACES}
    spaces = {space: experiments for space, experiments in spaces.items() if len(experiments.table)}
    points, reach = [], []
    for target in range(len(evidence.classes)):
        for experiments in spaces.values():
            points.append(_toward(experiments, target))
            reach.append(_reach(points[-1]))
    weak = {role: _weaknesses(evidence, spaces, role) for role in ROLES}
    tables = {
        "points": POINTS.joined(points),
        "reach": REACH.joined(reach),
        "classes": CLASSES.joined(
            [_class_rows(evidence, spaces, role, weak[role]) for role in ROLES]
        ),
        "agreement": AGREEMENT.joined([_agreement(role, weak[role]) for role in ROLES]),
    }
    return Finding("profile", tables, {"profile": _figures(evidence, tables)})


# ---- redirects -------------------------------------------------------------------------------


def _toward(experiments: SpaceExperiments, target: int) -> pd.DataFrame:
    """``POINTS``: what a space's experiments that aim at the target, or at none, do toward it."""
    name = experiments.evidence.classes[target]
    chosen = experiments.toward(name)
    rows = experiments.table.iloc[chosen].reset_index(drop=True).assign(target=name)
    found = experiments.rates(chosen, target)
    for column, (estimate, _) in found.items():
        short = {"redirect_rate": "redirect", "accuracy_drop": "drop"}.get(column, column)
        ends = {f"{short}_low": estimate.low, f"{short}_high": estimate.high}
        rows = rows.assign(**{column: estimate.value}, **ends)
    return rows.reindex(columns=POINTS.names)


def _reach(rows: pd.DataFrame) -> pd.DataFrame:
    """The smallest budget that redirects enough, and what the sample leaves open about it.

    See :func:`synapse_audit.effects.crossings.smallest_enough`.
    """
    rows = rows.dropna(subset=["budget"])
    if rows.empty:
        return REACH.empty()
    budgets = rows["budget"].to_numpy(dtype=np.float64)
    rates = Losses(*(rows[name].to_numpy(dtype=np.float64) for name in RATES[:3]))
    found = []
    for level in LEVELS:
        row: dict[Any, Any] = rows.iloc[0][["target", "space", "unit"]].to_dict() | {"level": level}
        _, row["low"], row["high"] = smallest_enough(budgets, rates, level)
        enough = rows[rows["redirect_rate"] >= level - TOLERANCE]
        if len(enough):
            best = enough.sort_values(["budget", "redirect_rate"], ascending=[True, False])
            row |= best.iloc[0][["budget", "operator", "collateral"]].to_dict()
        found.append(row)
    return pd.DataFrame(found).reindex(columns=REACH.names)


# ---- agreement -------------------------------------------------------------------------------

Weakness = dict[str, tuple[Float[np.ndarray, " classes"], Float[np.ndarray, "classes resamples"]]]
"""Space → how weak each class is, and the same in every resample."""


def _weaknesses(evidence: Evidence, spaces: dict[str, SpaceExperiments], role: str) -> Weakness:
    """Mean over a space's experiments of the redirect rate to a class, or of its recall drop.

    As a target: over those that aim at the class, or over all where the space aims at none. As a
    victim: over those that do not aim at the class itself. Every class counts equally many.
    """
    found: Weakness = {}
    for space, experiments in spaces.items():
        look = experiments.as_target if role == "target" else experiments.as_victim
        rows = [look(index) for index in range(len(evidence.classes))]
        values = np.array([row.value for row in rows])
        found[space] = (values, np.stack([row.samples for row in rows]))
    return found


def _class_rows(
    evidence: Evidence, spaces: dict[str, SpaceExperiments], role: str, weak: Weakness
) -> pd.DataFrame:
    parts = []
    for space, (values, samples) in weak.items():
        # Where some ran on a sample, the smallest: cautious for a mean over all.
        counted = _counted(evidence, role) * spaces[space].size_share.min()
        ends = paired_interval(values, samples, counted)
        columns = {"class": evidence.classes, "vulnerability": values}
        parts.append(pd.DataFrame(columns | {"low": ends.low, "high": ends.high}))
        parts[-1]["role"], parts[-1]["space"] = role, space
    return CLASSES.joined(parts)


def _counted(evidence: Evidence, role: str) -> Float[np.ndarray, " classes"]:
    """Examples behind each class's vulnerability: its own, or all that are not called so."""
    clean, index = evidence.predictions, np.arange(len(evidence.classes))[:, None]
    among = clean.predicted != index if role == "target" else clean.labels == index
    weights = among * evidence.weights.astype(np.float64)
    total, squares = weights.sum(axis=1) ** 2, (weights**2).sum(axis=1)
    return np.divide(total, squares, out=np.full(len(total), np.nan), where=squares > 0)


def _agreement(role: str, weak: Weakness) -> pd.DataFrame:
    """Spearman's ρ over classes between every two spaces.

    The interval is over examples: how well ρ is known for these classes. The p value is over
    orders of the classes: whether unrelated profiles of so few classes would agree, or disagree,
    as much (two-sided; adjusted over the pairs by Benjamini and Yekutieli).
    """
    rows = []
    for one, other in combinations(weak, 2):
        known = ~np.isnan(weak[one][0]) & ~np.isnan(weak[other][0])
        rho = _spearman(weak[one][0][known, None], weak[other][0][known, None])[0]
        resampled = _spearman(weak[one][1][known], weak[other][1][known])
        ends = interval(resampled)
        row = {"role": role, "space": one, "other": other, "classes": int(known.sum())}
        row |= {"rho": rho, "low": float(ends.low), "high": float(ends.high)}
        rows.append(row | {"p_value": _order_p(weak[one][0][known], weak[other][0][known])})
    table = pd.DataFrame(rows, columns=AGREEMENT.names)
    p = table["p_value"].to_numpy(dtype=np.float64)
    return table.assign(p_adjusted=benjamini_yekutieli(p))


def _order_p(one: Float[np.ndarray, " classes"], other: Float[np.ndarray, " classes"]) -> float:
    """Share of all orders of the classes with a rank correlation as far from 0; NaN as ρ is."""
    rho = _spearman(one[:, None], other[:, None])[0]
    if np.isnan(rho) or len(one) > FEW_CLASSES:
        return float("nan") if np.isnan(rho) else float(spearmanr(one, other).pvalue)
    orders = np.array(list(permutations(range(len(one))))).T
    shuffled = _spearman(np.broadcast_to(one[:, None], orders.shape), other[orders])
    return float((np.abs(shuffled) >= abs(rho) - TOLERANCE).mean())


def _spearman(
    one: Float[np.ndarray, "classes draws"], other: Float[np.ndarray, "classes draws"]
) -> Float[np.ndarray, " draws"]:
    """Rank correlation per column; NaN below three classes or where a side is all ties."""
    if len(one) < 3:
        return np.full(one.shape[1], np.nan)
    ranks = [rankdata(np.round(part, 9), axis=0) for part in (one, other)]
    centred = [part - part.mean(axis=0) for part in ranks]
    size = np.sqrt((centred[0] ** 2).sum(axis=0) * (centred[1] ** 2).sum(axis=0))
    return np.asarray((centred[0] * centred[1]).sum(axis=0) / np.where(size > 0, size, np.nan))


# ---- figures ---------------------------------------------------------------------------------


def _figures(evidence: Evidence, tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    agreement: dict[str, Any] = {role: {} for role in ROLES}
    for row in tables["agreement"].to_dict("records"):
        name = f"{row['space']}/{row['other']}"
        known = pd.notna(row["rho"])
        agreement[row["role"]][name] = (
            Figure(row["rho"], row["low"], row["high"])
            if known
            else Figure.unknown("fewer than three classes, or all equally weak")
        )
    reach = {name: _reach_figures(tables["reach"], name) for name in evidence.classes}
    return {"reach": reach, "agreement": agreement}


def _reach_figures(reach: pd.DataFrame, target: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for space in SPACES:
        rows = reach[(reach["target"] == target) & (reach["space"] == space)]
        figures = {f"redirect_{level * 100:g}": Figure.unknown(NOT_RUN) for level in LEVELS}
        for row in rows.to_dict("records"):
            figures[f"redirect_{row['level'] * 100:g}"] = (
                Figure(row["budget"], row["low"], row["high"])
                if pd.notna(row["budget"])
                else Figure.unknown("none tried is enough")
            )
        found[space] = figures
    return found
