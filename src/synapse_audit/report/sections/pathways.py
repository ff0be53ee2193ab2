"""Direct or through other tokens: the two ways from a rewritten pooled row to the answer.

Reads ``pathways.split``, ``pathways.operators`` and the summary.
"""

from __future__ import annotations

import math

import pandas as pd

from synapse_audit.neurons.addresses import DEFAULT_SITE
from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import SHARE_AXIS, Axes, Line, curves, legend
from synapse_audit.report.kit.lines import Columns, banded, line
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import BOTTOM, MATCHED, RANDOM, TOP
from synapse_audit.summary import Figure
from synapse_audit.tables.pathways import OPERATORS, SPLIT

DIRECT = Columns("fraction", "direct_drop")
INDIRECT = Columns("fraction", "indirect_drop", "indirect_low", "indirect_high")
SHOWN = {"mean": "Mean: each neuron held at its average", "zero": "Zero: each neuron set to 0"}
NOTHING = 5e-4
"""A part below this prints as 0."""
EMPTY = "This section is empty: no effect was split (table pathways.split)"
READING = (
    "Silencing at the pooled position changes one row per block. Direct is what accuracy loses "
    "when only that row runs on, against the keys and values of the untouched run: no other token "
    "sees the change. Through other tokens is the rest of the loss: they read the changed row in "
    "one block and are read back in a later one.",
    "An indirect part above 0 is damage that other tokens pass on; below 0, they repair what the "
    "pooled row lost. Bars are 95% intervals over examples and, where estimated, over the "
    "subsample; the band is where one more random control would lie (95%).",
    "Disagreement is the share of examples on which the two routes answer with different classes, "
    "estimated from those that were run exactly; it can be large while both lose the same "
    "accuracy.",
)
LIMITS = (
    "Only sets that the pooled position carries are split, and only where the routes can differ: "
    "in the last two layers the effect is direct by construction, and a rewrite at every token "
    "has no "
    "direct part of its own.",
    "Where the whole effect is a two-phase estimate, so is the part through other tokens. Where "
    "the routes differ on fewer than five exactly run examples, its interval is a closed form "
    "with the error expected from the pilot, so it can be wider than that of the whole drop.",
    "The band of random controls shows how draws differ, not what few exact examples may hide.",
    "The largest of several parts is quoted, so it leans away from 0; its interval holds for all "
    "shares tried at once.",
)


def pathways(result: Result) -> Section:
    """Direct and through parts over the share silenced, beside random controls."""
    split = saved.frame(result, SPLIT).dropna(subset=["indirect_drop"])
    operators = saved.frame(result, OPERATORS).dropna(subset=["cells"])
    panels = {o: _lines(_curves(result, split, o)) for o in SHOWN}
    panels = {operator: lines for operator, lines in panels.items() if lines}
    figures = tuple(_figure(operator, lines) for operator, lines in panels.items())
    group = Group(
        "A growing share of neurons silenced at the pooled position",
        figures,
        legend([lines[::-1] for lines in panels.values()]),
    )
    return Section(
        label="Through other tokens",
        heading="Does the damage travel through other tokens?",
        answer=_answer(result, operators) if len(split) else (_empty(result),),
        groups=(group,) if figures else (),
        tables=_tables(_curves_of_all(result, split), operators),
        reading=READING,
        limits=LIMITS,
    )


# ---- sentences -----------------------------------------------------------------------------------


def _empty(result: Result) -> str:
    found = saved.estimate(result.summary, "pathways", "mean", "largest_indirect")
    return f"{EMPTY}: {prose.plain(found.reason)}." if found.reason else f"{EMPTY}."


def _answer(result: Result, operators: pd.DataFrame) -> tuple[str, ...]:
    parts = [_largest(result, operator) for operator in SHOWN]
    apart = [_apart(row) for _, row in operators.iterrows()]
    apart = [clause for clause in apart if clause]
    sentences = [part for part in parts if part]
    if apart:
        sentences.append(f"Over all cells run on both routes, {prose.listing(apart)}.")
    return tuple(sentences) or ("No headline curve was run on both routes; see the table.",)


def _largest(result: Result, operator: str) -> str:
    """What other tokens do to the headline curve of an operator; empty where unknown."""
    path = ("pathways", operator, "largest_indirect")
    found = saved.estimate(result.summary, *path)
    if not found.known:
        return ""
    at = saved.estimate(result.summary, *path, "fraction").value
    drop = saved.estimate(result.summary, *path, "drop").value
    if abs(found.value) < NOTHING:
        return (
            f"With {operator} silencing no part of the loss is seen to travel through other tokens "
            f"at any share tried, within {prose.span(found.low, found.high)}"
            f"{_from_exact(result, operator)}."
        )
    direct = saved.estimate(result.summary, *path, "direct_drop").value
    return (
        f"With {operator} silencing the largest part that travels through other tokens is "
        f"{prose.with_interval(found)}, at {prose.percent(at)} of neurons, where accuracy "
        f"{prose.falls(drop)} in all and {prose.falls(direct)} directly: {_verdict(found)}."
    )


def _from_exact(result: Result, operator: str) -> str:
    path = ("pathways", operator, "largest_indirect", "n_exact")
    n = saved.estimate(result.summary, *path)
    return f", judged by {prose.plural(int(n.value), 'exact example')}" if n.known else ""


def _verdict(found: Figure) -> str:
    if found.low > 0:
        return "they pass on part of the damage"
    if found.high < 0:
        return "they repair part of the damage"
    return "it is indistinguishable from none"


def _apart(row: pd.Series) -> str:
    most = prose.as_float(row["max_disagreement"])
    if math.isnan(most):
        return ""
    cells = prose.plural(int(prose.as_float(row["cells"])), "cell")
    said = (
        "the answers agree on every exact example"
        if most == 0
        else f"the answers differ on at most about {prose.percent(most)} of any cell's examples"
    )
    return f"under {prose.plain(row['operator'])} silencing {said} ({cells})"


# ---- figures and tables --------------------------------------------------------------------------


def _curves_of_all(result: Result, split: pd.DataFrame) -> pd.DataFrame:
    """Block outputs of all layers, ranked for all classes at once, and their random controls.

    Runs made before the table had ``site`` have no other column to go by.
    """
    blocks = split[split["site"].isna() | (split["site"] == DEFAULT_SITE)]
    wanted = saved.rows(blocks, layers="all", target=None, setting=None)
    rows = saved.headline(wanted, saved.facts(result).ranking)
    rows = rows[rows["ranked_for"].isna()]
    return rows.sort_values(["operator", "selection", "fraction"], kind="stable")


def _curves(result: Result, split: pd.DataFrame, operator: str) -> pd.DataFrame:
    return saved.rows(_curves_of_all(result, split), operator=operator)


def _lines(rows: pd.DataFrame) -> list[Line]:
    top, random_controls = (saved.rows(rows, selection=name) for name in ("top", "random"))
    drawn = []
    if len(random_controls):
        drawn.append(
            banded("through other tokens, random controls", MATCHED, random_controls, INDIRECT)
        )
        drawn.append(line("direct, random controls", RANDOM, random_controls, DIRECT))
    if len(top):
        drawn.append(line("through other tokens, top-ranked", BOTTOM, top, INDIRECT))
        drawn.append(line("direct, top-ranked", TOP, top, DIRECT))
    return [one for one in drawn if len(one.x)]


def _figure(operator: str, lines: list[Line]) -> Plot:
    ends = "; ".join(f"{one.name} {prose.number(one.y[-1])}" for one in lines[::-1])
    x = "share of neurons silenced"
    alt = f"{SHOWN[operator]}. Accuracy lost directly and through other tokens over the {x}. "
    alt += f"At {prose.percent(lines[-1].x[-1])}: {ends}."
    return curves(SHOWN[operator], lines, Axes(x, "accuracy lost", SHARE_AXIS), alt=alt)


def _tables(split: pd.DataFrame, operators: pd.DataFrame) -> tuple[Table, ...]:
    made = (
        table_of("Effects split in two", with_intervals(split, "drop", "indirect"), SPLIT_TABLE),
        table_of("How often the two routes differ", operators, OPERATOR_TABLE),
    )
    return tuple(t for t in made if t.rows)


SPLIT_TABLE = (
    Column("operator", "operator", text),
    Column("selection", "selection", text),
    Column("share", "fraction", SHARE),
    Column("exact", "n_exact", COUNT),
    Column("drop", "drop"),
    Column("interval or range", "drop_interval", text),
    Column("direct", "direct_drop"),
    Column("indirect", "indirect_drop"),
    Column("interval or range", "indirect_interval", text),
    Column("disagreement", "disagreement"),
    Column("draws", "draws", COUNT),
)
OPERATOR_TABLE = (
    Column("operator", "operator", text),
    Column("cells", "cells", COUNT),
    Column("exact (median)", "n_exact", COUNT),
    Column("median disagreement", "median_disagreement"),
    Column("largest disagreement", "max_disagreement"),
    Column("cells over 0.01 through", "notable_share", SHARE),
)
