"""How few neurons are enough for a probe, and how many separate sets are.

Reads ``redundancy.sufficiency``, ``redundancy.participation`` and the summary.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Result, Section, Table
from synapse_audit.report.kit.figures import RATE_AXIS, Axes, Mark, curves, legend
from synapse_audit.report.kit.lines import Columns, banded, line
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import RANDOM, SERIES, TOP
from synapse_audit.tables.redundancy import PARTICIPATION, SUFFICIENT

ACCURACY = Columns("k", "accuracy", "accuracy_low", "accuracy_high")
EMPTY = "This section is empty: no probe was fitted on few neurons (table redundancy.sufficiency)."
READING = (
    "A fresh linear probe sees only k neurons, chosen by the ranking or at random. Where the curve "
    "is flat, further neurons add nothing that a linear reader could use.",
    "Disjoint sets are found greedily: take a sufficient set, remove it, look for the next. "
    "Several of them mean that the same information is stored more than once.",
)
LIMITS = (
    "Sufficient for a linear probe is not sufficient for the model itself; the keep-only curves "
    "above ask that.",
    "Greedy search gives a lower bound on the number of disjoint sets; it also stops at 10.",
)


def sufficiency(result: Result) -> Section:
    """Probe accuracy over k, top-ranked against random, and disjoint sets."""
    table = saved.frame(result, SUFFICIENT).dropna(subset=["accuracy"])
    shape = saved.frame(result, PARTICIPATION)
    return Section(
        label="Sufficiency",
        heading="How few neurons are enough to read the label?",
        answer=_answer(result, table) if len(table) else (EMPTY,),
        groups=tuple(g for g in (_curve(result, table), _disjoint(table)) if g.figures),
        tables=_tables(table, shape),
        reading=READING,
        limits=LIMITS,
    )


def _answer(result: Result, table: pd.DataFrame) -> tuple[str, ...]:
    enough = saved.estimate(result.summary, "redundancy", "sufficient_k")
    sets = saved.estimate(result.summary, "redundancy", "disjoint_sets")
    sentences = []
    if enough.known:
        sentences.append(
            f"{prose.plural(int(enough.value), 'neuron is', 'neurons are')} enough for a probe "
            "within one point of the probe that sees all (chosen on the select split)"
            f"{_reached(result)}."
        )
    else:
        sentences.append("No tried number of neurons comes within one point of the full probe.")
    if sets.known:
        capped = saved.dig(result.summary, "redundancy", "disjoint_sets", "capped")
        sentences.append(
            f"At least {prose.plural(int(sets.value), 'such set', 'such sets')} without a common "
            f"neuron {'exists' if int(sets.value) == 1 else 'exist'}"
            f"{'; the search stopped there, so there may be many more' if capped else ''}."
        )
    return (*sentences, *_few(table, enough.value))


def _reached(result: Result) -> str:
    found = saved.estimate(result.summary, "redundancy", "sufficient_k", "accuracy")
    return f"; on evaluate it reaches {prose.with_interval(found)}" if found.known else ""


def _few(table: pd.DataFrame, k: float) -> tuple[str, ...]:
    """What equally many random neurons reach."""
    top = saved.rows(table, selection="top")
    random_control = saved.rows(table, selection="random").groupby("k")["accuracy"].mean()
    shared = [float(size) for size in set(top["k"]) & set(random_control.index)]
    if not shared or k != k:
        return ()
    size = saved.nearest(shared, k)
    mine = saved.rows(top, k=size)["accuracy"].max()
    return (
        f"With {prose.plural(int(size), 'neuron')} the best ranking reaches {prose.number(mine)}, "
        f"a random choice {prose.number(random_control.loc[size])} on average.",
    )


def _curve(result: Result, table: pd.DataFrame) -> Group:
    top, random_control = saved.rows(table, selection="top"), saved.rows(table, selection="random")
    if not len(top):
        return Group("", ())
    rankings = saved.in_order(top["ranking"].tolist(), (saved.facts(result).ranking,))
    styles = [TOP, *SERIES[1:]]
    lines = (
        [banded("random neurons", RANDOM, _one_per_k(random_control), ACCURACY)]
        if len(random_control)
        else []
    )
    for i, ranking in enumerate(rankings):
        data = saved.rows(top, ranking=ranking)
        name = f"top-ranked ({prose.short(ranking)})"
        lines.append(line(name, styles[i % len(styles)], data, ACCURACY))
    enough = saved.estimate(result.summary, "redundancy", "sufficient_k").value
    axes = Axes(
        "neurons seen by the probe (log)", "accuracy", {"type": "log", "dtick": 1}, RATE_AXIS
    )
    alt = f"Probe accuracy over the number of neurons; last value {prose.number(lines[-1].y[-1])}."
    marks = [Mark("sufficient", enough, vertical=True)] if enough > 0 else []
    figure = curves("What a probe reads from k neurons", lines, axes, alt=alt, marks=marks)
    return Group("", (figure,), legend([lines]), columns=1)


def _one_per_k(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over draws, with the range over draws where the rows carry none of their own."""
    if rows["k"].is_unique:
        return rows
    grouped = rows.groupby("k")["accuracy"]
    return pd.DataFrame(
        {
            "accuracy": grouped.mean(),
            "accuracy_low": grouped.quantile(0.025),
            "accuracy_high": grouped.quantile(0.975),
        }
    ).reset_index()


def _disjoint(table: pd.DataFrame) -> Group:
    sets = saved.rows(table, selection="disjoint").sort_values("draw")
    if not len(sets):
        return Group("", ())
    order = [i + 1 for i in range(len(sets))]
    by_order = Columns("order", "accuracy", "accuracy_low", "accuracy_high")
    drawn = line("disjoint sets", SERIES[2], sets.assign(order=order), by_order)
    axes = Axes("successive disjoint set", "accuracy", {"dtick": 1}, RATE_AXIS)
    alt = "Accuracy of successive disjoint sets: " + ", ".join(prose.number(y) for y in drawn.y)
    note = f"Neurons in each set, in order: {', '.join(prose.whole(k) for k in sets['k'])}."
    return Group(
        "Sets without a common neuron",
        (curves("Each set alone", [drawn], axes, alt=alt),),
        note=note,
        columns=1,
    )


def _tables(table: pd.DataFrame, shape: pd.DataFrame) -> tuple[Table, ...]:
    table = table.assign(set=table["draw"].astype("Float64") + 1)
    table.loc[table["selection"] != "disjoint", "set"] = pd.NA
    made = (
        table_of("Probe accuracy by number of neurons", with_intervals(table, "accuracy"), K_TABLE),
        table_of("Effective dimensions of each layer", shape, SHAPE_TABLE),
    )
    return tuple(t for t in made if t.rows)


K_TABLE = (
    Column("ranking", "ranking", text),
    Column("selection", "selection", text),
    Column("set", "set", COUNT),
    Column("neurons", "k", COUNT),
    Column("share", "fraction", SHARE),
    Column("accuracy", "accuracy"),
    Column("interval or range", "accuracy_interval", text),
)
SHAPE_TABLE = (
    Column("layer", "layer", text),
    Column("neurons", "neurons", COUNT),
    Column("participation ratio", "participation_ratio"),
)
