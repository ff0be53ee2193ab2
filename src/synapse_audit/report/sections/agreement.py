"""Rankings beside each other: do they agree, which one is worth most, are they steady?

Reads ``agreement.*`` and the summary.
"""

from __future__ import annotations

import math

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import SHARE_AXIS, Axes, Line, curves, dots, legend
from synapse_audit.report.kit.heat import Heat, heat
from synapse_audit.report.kit.lines import Columns, banded, line
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import BOTTOM, MATCHED, TOP
from synapse_audit.report.quoted.ranking_stability import name_of, steadiness
from synapse_audit.tables.agreement import (
    CORRELATION,
    DISSOCIATED,
    EFFECTIVENESS,
    NEURONS,
    STABILITY,
    VOTES,
)

CONTROL = "random"
KINDS = {
    "readable_unused": ("readable but unused", BOTTOM),
    "used_unreadable": ("used but unreadable", TOP),
}
EMPTY = "This section is empty: the run compared no rankings (tables agreement.*)."
READING = (
    "Rankings score the same neurons by different questions. Probe, probeless, iou and mutual "
    "information ask what can be read from a neuron; activation × gradient and conductance ask "
    "what the model's own output depends on.",
    "Spearman is 1 where two rankings order the neurons of a layer in the same way, 0 where "
    "they are unrelated. The vote lets all other rankings elect the neurons of a top set; its "
    "value is the shared part of that set and the ranking's own (a Jaccard index).",
    "What a ranking is worth is measured, not argued: the accuracy that silencing its top costs "
    "beyond random sets of the same size, averaged over the shares of the sweep. Bars are 95% "
    "intervals over draws and examples. Where half is lost is known between two shares that were "
    "tried: the interval holds that gap, and “near” is a straight line between them.",
    "Steadiness is the share of a layer's top tenth that a bootstrap of the fitting examples finds "
    "again.",
)
LIMITS = (
    "Agreement is no proof: rankings that make the same error agree.",
    "A set chosen by reading may cost little because other neurons hold the same; a set chosen by "
    "gradients is chosen by a linear estimate of the very thing that is then measured.",
    "Conductance depends on where its path begins (here: the average embedding) and gradient "
    "rankings are made from at most a few hundred examples.",
    "The random sets are the same for all rankings. The best of several rankings is quoted, which "
    "leans upwards; its interval holds for all of them at once.",
)


def agreement(result: Result) -> Section:
    """Correlations, worth, steadiness and the test of readable against used."""
    pairs = _pairs(saved.frame(result, CORRELATION))
    worth = saved.frame(result, EFFECTIVENESS)
    worth = worth.dropna(subset=["excess"])
    steady = saved.frame(result, STABILITY).dropna(subset=["overlap"])
    apart = saved.frame(result, DISSOCIATED).dropna(subset=["drop"])
    groups = (_likeness(pairs, worth), _again(steady), _dissociation(apart))
    return Section(
        label="Rankings compared",
        heading="Do rankings agree, and which one finds what matters?",
        answer=_answer(result) or (EMPTY,),
        groups=tuple(group for group in groups if group.figures),
        tables=_tables(result, pairs, worth, steady, apart),
        reading=READING,
        limits=LIMITS,
    )


def _pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Means over blocks."""
    return table[table["layer"].isna() & table["spearman"].notna()]


# ---- sentences -----------------------------------------------------------------------------------


def _answer(result: Result) -> tuple[str, ...]:
    parts = (_agree(result), _worth(result), _steady(result), _used(result))
    return tuple(part for part in parts if part)


def _agree(result: Result) -> str:
    typical = saved.estimate(result.summary, "agreement", "spearman")
    if not typical.known:
        return ""
    ends = [
        f"{_method(result, key, 'first')} and {_method(result, key, 'second')} "
        f"({prose.number(saved.estimate(result.summary, 'agreement', key).value, 2)})"
        for key in ("closest", "furthest")
    ]
    said = f"On average two rankings correlate at {prose.number(typical.value, 2)} (Spearman)"
    if ends[0] == ends[1]:
        return f"{said}: {ends[0]}."
    return f"{said}: closest are {ends[0]}, furthest apart {ends[1]}."


def _method(result: Result, *path: str) -> str:
    return name_of(saved.dig(result.summary, "agreement", *path))


def _worth(result: Result) -> str:
    best = saved.estimate(result.summary, "agreement", "most_effective")
    if not best.known:
        return ""
    count = saved.estimate(result.summary, "agreement", "most_effective", "rankings").value
    among = f", the most of {prose.whole(count)} rankings" if count > 1 else ""
    outside = saved.dig(result.summary, "agreement", "most_effective", "outside_draws")
    verdict = "" if best.low > 0 and outside else "; single random draws cost as much"
    cost = prose.more(best.value, best.low, best.high)
    return (
        f"Silencing the top of {_method(result, 'most_effective', 'method')} costs "
        f"{cost} accuracy than random sets do{among}{verdict}."
    )


def _steady(result: Result) -> str:
    most = saved.estimate(result.summary, "agreement", "steadiest")
    least = saved.estimate(result.summary, "agreement", "least_steady")
    if not most.known:
        return ""
    said = (
        f"On another sample of the fitting examples {_method(result, 'steadiest', 'method')} finds "
        f"{prose.percent(most.value)} of its top tenth again"
    )
    last = _method(result, "least_steady", "method")
    return f"{said}, {last} {prose.percent(least.value)}."


def _used(result: Result) -> str:
    both = saved.estimate(result.summary, "agreement", "readable_used")
    if not both.known:
        return ""
    said = (
        f"What can be read ({_method(result, 'readable_used', 'readable')}) and what is used "
        f"({_method(result, 'readable_used', 'used')}) correlate at {prose.number(both.value, 2)}."
    )
    parts = [clause for kind in KINDS if (clause := _cost(result, kind))]
    return f"{said} {prose.listing(parts).capitalize()}." if parts else said


def _cost(result: Result, kind: str) -> str:
    """What one dissociated set costs beyond its random controls; empty where unknown."""
    found = saved.estimate(result.summary, "agreement", "dissociated", kind)
    if not found.known:
        return ""
    at = saved.estimate(result.summary, "agreement", "dissociated", kind, "fraction").value
    return (
        f"the {prose.percent(at)} of neurons that are {KINDS[kind][0]} cost "
        f"{prose.more(found.value, found.low, found.high)} accuracy than random ones"
    )


# ---- figures -------------------------------------------------------------------------------------


def _likeness(pairs: pd.DataFrame, worth: pd.DataFrame) -> Group:
    figures = [_matrix(pairs)] if len(pairs) else []
    lines = _worth_lines(worth)
    if lines:
        names = [name_of(n) for n in _order(worth)]
        alt = "Accuracy lost beyond random sets. " + " ".join(
            f"{one.name}: {prose.figures([names[int(x)] for x in one.x], one.y)}." for one in lines
        )
        title = "What silencing the top costs beyond random sets"
        figures.append(
            dots(title, names, lines, x_title="mean accuracy lost beyond random", alt=alt)
        )
    return Group("", tuple(figures), legend([lines]))


def _matrix(pairs: pd.DataFrame) -> Plot:
    methods = list(dict.fromkeys([*pairs["first"], *pairs["second"]]))
    names_of = zip(pairs["first"].astype(str), pairs["second"].astype(str), strict=True)
    known = dict(zip(names_of, pairs["spearman"].astype(float).tolist(), strict=True))
    values = [
        [1.0 if a == b else known.get((a, b), known.get((b, a), math.nan)) for b in methods]
        for a in methods
    ]
    names = [name_of(method) for method in methods]
    said = [f"{name_of(a)} and {name_of(b)} {prose.number(v, 2)}" for (a, b), v in known.items()]
    title = "How similarly two rankings order the neurons of a block"
    matrix = Heat(names, names, values, "", "", diverging=True, limit=1.0, decimals=2)
    return heat(title, matrix, alt=f"Spearman, mean over blocks: {prose.some(said, 12)}.")


def _order(worth: pd.DataFrame) -> list[str]:
    """Rankings from the most to the least costly under the first operator."""
    rows = worth[worth["operator"] == worth["operator"].iloc[0]]
    first = rows.sort_values("excess", ascending=False)["ranking"].tolist()
    return [str(name) for name in saved.in_order(worth["ranking"].tolist(), first)]


def _worth_lines(worth: pd.DataFrame) -> list[Line]:
    if not len(worth):
        return []
    places = {name: i for i, name in enumerate(_order(worth))}
    lines = []
    for operator, style in (("mean", BOTTOM), ("zero", TOP)):
        rows = saved.rows(worth, operator=operator)
        if len(rows):
            x = [places[str(name)] for name in rows["ranking"]]
            y, low, high = (rows[c].tolist() for c in ("excess", "excess_low", "excess_high"))
            lines.append(Line(operator, style._replace(dash="none"), x, y, low, high))
    return lines


def _again(steady: pd.DataFrame) -> Group:
    title = "How much of each ranking another sample finds again"
    return steadiness(steady, title, "top tenth found again")


def _dissociation(apart: pd.DataFrame) -> Group:
    panels = {operator: _apart_lines(saved.rows(apart, operator=operator)) for operator in (
        "mean", "zero",
    )}  # fmt: skip
    panels = {operator: lines for operator, lines in panels.items() if lines}
    figures = tuple(_apart_figure(operator, lines) for operator, lines in panels.items())
    title = "Neurons that are readable or used, but not both, silenced"
    return Group(title, figures, legend(list(panels.values())))


def _apart_lines(rows: pd.DataFrame) -> list[Line]:
    lines = []
    random_controls = rows.dropna(subset=["random_drop"]).drop_duplicates("fraction")
    if len(random_controls):
        columns = Columns("fraction", "random_drop", "random_low", "random_high")
        lines.append(banded("random controls", MATCHED, random_controls, columns))
    for kind, (name, style) in KINDS.items():
        mine = saved.rows(rows, selection=kind)
        if len(mine):
            lines.append(
                line(name, style, mine, Columns("fraction", "drop", "drop_low", "drop_high"))
            )
    return lines


def _apart_figure(operator: str, lines: list[Line]) -> Plot:
    title = f"{operator.capitalize()} silencing"
    ends = prose.figures([one.name for one in lines], [one.y[-1] for one in lines])
    axes = Axes("share of neurons silenced", "accuracy lost", SHARE_AXIS)
    alt = f"{title} of readable but unused and used but unreadable neurons. Largest share: {ends}."
    return curves(title, lines, axes, alt=alt)


# ---- tables --------------------------------------------------------------------------------------


def _tables(
    result: Result,
    pairs: pd.DataFrame,
    worth: pd.DataFrame,
    steady: pd.DataFrame,
    apart: pd.DataFrame,
) -> tuple[Table, ...]:
    votes = saved.frame(result, VOTES)
    votes = votes[votes["layer"].isna() & votes["neuron_vote"].notna()]
    neurons = saved.addressed(saved.frame(result, NEURONS))
    apart = with_intervals(apart, "drop", "random", "excess")
    kinds = {kind: name for kind, (name, _) in KINDS.items()}
    made = (
        table_of(
            "What each ranking's top neurons cost",
            _named(_worth_rows(worth), "ranking"),
            WORTH_TABLE,
        ),
        table_of("Votes, mean over blocks", _named(votes, "method"), VOTE_TABLE),
        table_of("Correlations, mean over blocks", _named(pairs, "first", "second"), PAIR_TABLE),
        table_of("Steadiness", _named(with_intervals(steady, "overlap"), "method"), STEADY_TABLE),
        table_of("Dissociated sets", apart.replace({"selection": kinds}), APART_TABLE),
        table_of("Dissociated neurons", neurons.replace({"selection": kinds}), NEURON_TABLE),
    )
    return tuple(table for table in made if table.rows)


def _named(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    return table.assign(**{column: table[column].map(name_of) for column in columns})


def _worth_rows(worth: pd.DataFrame) -> pd.DataFrame:
    shown = with_intervals(worth, "mean_drop", "random", "excess")
    ends = zip(worth["half_low"], worth["half_high"], strict=True)
    spans = [_half_span(low, high) for low, high in ends]
    return shown.assign(half_interval=pd.Series(spans, index=worth.index, dtype=object))


def _half_span(low: object, high: object) -> str | None:
    if math.isnan(prose.as_float(low)):
        return None
    upper = prose.as_float(high)
    return f"after {prose.percent(low)}" if math.isnan(upper) else prose.span_of_shares(low, high)


WORTH_TABLE = (
    Column("operator", "operator", text),
    Column("ranking", "ranking", text),
    Column("shares", "fractions", COUNT),
    Column("mean drop", "mean_drop"),
    Column("95% interval", "mean_drop_interval", text),
    Column("random", "random_drop"),
    Column("band of one more draw", "random_interval", text),
    Column("beyond random", "excess"),
    Column("95% interval", "excess_interval", text),
    Column("half lost near", "half_fraction", SHARE),
    Column("between (95%)", "half_interval", text),
)
VOTE_TABLE = (
    Column("ranking", "method", text),
    Column("share of layer", "fraction", SHARE),
    Column("elected by the others", "neuron_vote"),
    Column("mean overlap", "average_overlap"),
    Column("by chance", "chance"),
)
PAIR_TABLE = (
    Column("ranking", "first", text),
    Column("and", "second", text),
    Column("Spearman", "spearman"),
)
STEADY_TABLE = (
    Column("ranking", "method", text),
    Column("layer", "layer", text),
    Column("found again", "overlap"),
    Column("range of resamples", "overlap_interval", text),
    Column("by chance", "chance"),
    Column("resamples", "resamples", COUNT),
)
APART_TABLE = (
    Column("operator", "operator", text),
    Column("neurons", "selection", text),
    Column("share", "fraction", SHARE),
    Column("k", "k", COUNT),
    Column("drop", "drop"),
    Column("95% interval", "drop_interval", text),
    Column("random", "random_drop"),
    Column("band of one more draw", "random_interval", text),
    Column("beyond random", "excess"),
    Column("95% interval", "excess_interval", text),
)
NEURON_TABLE = (
    Column("neuron", "address", text),
    Column("kind", "selection", text),
    Column("place by what is readable", "readable_place", SHARE),
    Column("place by use", "used_place", SHARE),
)
