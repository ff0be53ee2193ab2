"""Neurons, weights, logits and inputs on one axis: where the least change does the most.

Reads ``profile.points``, ``profile.reach``, ``profile.classes``, ``profile.agreement`` and
``vulnerability.floor``.
"""

from __future__ import annotations

from math import factorial

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Result, Section, Table
from synapse_audit.report.kit.tables import COUNT, Column, table_of, text, with_intervals
from synapse_audit.report.quoted.spaces import (
    HALF,
    RELATIVE,
    ROLES,
    agreement_maps,
    best_within,
    budget_maps,
    pair_name,
    space_name,
)
from synapse_audit.tables.attack_surface import AGREEMENT, CLASSES, POINTS, REACH

STRONG = 0.7
"""A rank correlation that far from 0 is called strong where no test can tell."""
FEW_CLASSES = 8
"""Up to so many classes the test counts orders."""
EMPTY = "This section is empty: the run holds no profile of spaces (table profile.reach)."
READING = (
    "A budget is the size of a change relative to what is changed: silenced or moved neurons "
    "against the states of all blocks, an edit against the head's weights, a constant against the "
    "length of the logits, an attack against an input's embeddings. Each line shows the best that "
    "was tried within the budget. Flipped bits are counted instead.",
    "The long-dashed line is a ceiling for the head's weights: no single edit of any row within "
    "the budget can redirect a larger share.",
    "A class is weak as a target where others are easily sent to it, and as a victim where its own "
    "examples are easily lost. The maps of agreement hold rank correlations over classes: 1 = two "
    "spaces find the same classes weak, −1 = the opposite ones.",
)
LIMITS = (
    "The same relative size is not the same effort: someone who can add to the logits needs no "
    "attack. "
    "Each space is only as weak as the attacks tried in it.",
    "The best of many tried is slightly flattered by chance; the table holds the range of each "
    "smallest budget over resamples.",
    "Edits of weights outside the head and deletions from the input have no place on the axis.",
)


def profile(result: Result) -> Section:
    """Smallest budgets, curves of the best within each budget, and agreement of the spaces."""
    reach = saved.frame(result, REACH).dropna(subset=["level"])
    points = saved.frame(result, POINTS)
    agreement = saved.frame(result, AGREEMENT)
    groups = (
        budget_maps(result, reach),
        best_within(result, points, reach),
        agreement_maps(agreement),
    )
    return Section(
        label="Every space compared",
        heading="What is easiest to tamper with?",
        answer=_answer(result, reach, agreement) if len(reach) else (EMPTY,),
        groups=tuple(group for group in groups if group.figures),
        tables=_tables(result, reach, agreement),
        reading=READING,
        limits=LIMITS,
    )


# ---- sentences -------------------------------------------------------------------------------


def _answer(result: Result, reach: pd.DataFrame, agreement: pd.DataFrame) -> tuple[str, ...]:
    said = (_weakest(reach), _bits(reach), *(_verdict(agreement, role) for role in ROLES))
    return tuple(s for s in said if s) or ("No budget of this run could be compared.",)


def _weakest(reach: pd.DataFrame) -> str:
    """Which space redirects half at the smallest relative budget, class by class."""
    rows = reach[(reach["level"] == HALF) & (reach["unit"] == RELATIVE)]
    known = rows.dropna(subset=["budget"])
    targets = rows["target"].nunique()
    if known.empty:
        return "No space redirects half of the other examples to any class within what was tried."
    best = known.sort_values("budget", kind="stable").drop_duplicates("target")
    counts = best["space"].value_counts()
    least = _least(best)
    found = "The smallest relative change that redirects half of the other examples"
    if len(counts) == 1:
        several = f"{prose.whole(len(best))} of {prose.plural(targets, 'class', 'classes')}"
        which = "every class" if len(best) == targets else several
        return f"{found} lies in {space_name(counts.index[0])} for {which}. {least}"
    parts = [f"{space_name(space)} for {prose.whole(n)}" for space, n in counts.items()]
    return f"{found} lies in {prose.listing(parts)} of {prose.whole(targets)} classes. {least}"


def _least(best: pd.DataFrame) -> str:
    """The smallest budget of all, and every class that it reaches: none of them is picked."""
    easiest = best[best["budget"] == best["budget"].min()]
    places = [
        f"{space_name(space)} toward {prose.some([prose.quoted(name) for name in rows['target']])}"
        for space, rows in easiest.groupby("space", sort=False)
    ]
    collateral = easiest["collateral"]
    low, high = prose.number(collateral.min()), prose.number(collateral.max())
    return (
        f"The least of all is {prose.percent(easiest['budget'].iloc[0])}, in "
        f"{prose.listing(places)}, with collateral {low if low == high else f'{low} to {high}'}."
    )


def _bits(reach: pd.DataFrame) -> str:
    rows = reach[(reach["level"] == HALF) & (reach["space"] == "bits")]
    known = rows.dropna(subset=["budget"])
    if known.empty:
        return ""
    fewest = int(known["budget"].min())
    many = int((known["budget"] == fewest).sum())
    noun = "flipped bit redirects" if fewest == 1 else "flipped bits redirect"
    return (
        f"{prose.whole(fewest)} {noun} as many toward {prose.whole(many)} of "
        f"{prose.plural(rows['target'].nunique(), 'class', 'classes')}."
    )


def _verdict(agreement: pd.DataFrame, role: str) -> str:
    """Whether the spaces agree on the weak classes, and how sure that is."""
    rows = saved.rows(agreement, role=role).dropna(subset=["rho"])
    if rows.empty:
        return ""
    low, high = saved.extreme(rows, "rho", largest=False), saved.extreme(rows, "rho")
    n = int(rows["classes"].max())
    sure = rows[rows["p_adjusted"] <= prose.SIGNIFICANT]
    start = (
        f"{ROLES[role].capitalize()}, the spaces rank the {prose.plural(n, 'class', 'classes')} "
        f"with correlations from {prose.number(low['rho'], 2)} ({pair_name(low)}) to "
        f"{prose.number(high['rho'], 2)} ({pair_name(high)})"
    )
    if sure.empty:
        return f"{start}; {_unsure(rows)}"
    agree, oppose = int((sure["rho"] > 0).sum()), int((sure["rho"] < 0).sum())
    return (
        f"{start}. Beyond chance, {prose.plural(agree, 'pair')} of spaces agree and "
        f"{prose.whole(oppose)} oppose each other, of {prose.whole(len(rows))}: the profiles "
        f"{'complement' if oppose else 'resemble'} each other there."
    )


def _unsure(rows: pd.DataFrame) -> str:
    against, agree = int((rows["rho"] <= -STRONG).sum()), int((rows["rho"] >= STRONG).sum())
    n = int(rows["classes"].max())
    why = (
        f"{prose.whole(n)} classes are too few for any pair to pass a test"
        if _too_few(n, len(rows))
        else "unrelated orders of so many classes often look like that"
    )
    return (
        f"of {prose.plural(len(rows), 'pair')}, {prose.whole(agree)} agree strongly (at least "
        f"{STRONG}) and {prose.whole(against)} oppose each other as strongly. Not shown beyond "
        f"these classes: {why}."
    )


def _too_few(classes: int, pairs: int) -> bool:
    """Whether even ρ = ±1 of one pair is not significant: 2 of n! orders are as extreme."""
    if classes > FEW_CLASSES:
        return False
    correction = pairs * sum(1 / i for i in range(1, pairs + 1))
    return 2 / factorial(classes) * correction > prose.SIGNIFICANT


# ---- tables ----------------------------------------------------------------------------------


def _tables(result: Result, reach: pd.DataFrame, agreement: pd.DataFrame) -> tuple[Table, ...]:
    classes = saved.frame(result, CLASSES).dropna(subset=["vulnerability"])
    budgets = reach.rename(columns={"low": "budget_low", "high": "budget_high"})
    ranked = agreement.dropna(subset=["rho"]).rename(columns={"low": "rho_low", "high": "rho_high"})
    weak = classes.rename(columns={"low": "weak_low", "high": "weak_high"})
    made = (
        table_of("Smallest budgets", with_intervals(budgets, "budget"), REACH_TABLE),
        table_of("How weak each class is", with_intervals(weak, "weak"), CLASS_TABLE),
        table_of("Agreement between spaces", with_intervals(ranked, "rho"), AGREEMENT_TABLE),
    )
    return tuple(table for table in made if table.rows)


REACH_TABLE = (
    Column("target", "target", text),
    Column("space", "space", text),
    Column("redirected", "level", prose.percent),
    Column("smallest budget", "budget"),
    Column("95% interval", "budget_interval", text),
    Column("unit", "unit", text),
    Column("by", "operator", text),
    Column("collateral", "collateral"),
)
CLASS_TABLE = (
    Column("role", "role", text),
    Column("space", "space", text),
    Column("class", "class", text),
    Column("mean rate or drop", "vulnerability"),
    Column("95% interval", "weak_interval", text),
)
AGREEMENT_TABLE = (
    Column("role", "role", text),
    Column("space", "space", text),
    Column("other", "other", text),
    Column("classes", "classes", COUNT),
    Column("ρ", "rho"),
    Column("95% interval", "rho_interval", text),
    Column("p", "p_value", prose.p_value),
    Column("p adjusted", "p_adjusted", prose.p_value),
)
