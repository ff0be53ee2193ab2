"""The SYNAPSE paper's protocol on this model, beside what the paper printed about others.

Reads every table of the finding ``paper``, and its figures in the summary.
"""

from __future__ import annotations

import math

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import (
    RATE_AXIS,
    SHARE_AXIS,
    Axes,
    Line,
    Mark,
    curves,
    dots,
    legend,
)
from synapse_audit.report.kit.lines import Columns, banded, line, styles
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import BOTTOM, RANDOM, SERIES, TOP, Style
from synapse_audit.summary import Figure
from synapse_audit.tables import Table as Declared
from synapse_audit.tables.paper import (
    CLASSES,
    CURVE,
    DISTURBANCES,
    EXCLUSIVE,
    LAYERS,
    PUBLISHED,
    REDIRECTS,
)

CROSSES = Style("@muted", "dot", "x")
F1 = Columns("fraction", "f1", "f1_low", "f1_high")
TITLES = {"zero": "Zero, as published", "mean": "Mean: each neuron held at its average"}
HALF = 0.5
HARMLESS = 0.02

EMPTY = (
    "This section is empty: the run did not ask for the SYNAPSE paper's settings (preset paper)."
)
READING = (
    "The published protocol: one linear probe over all blocks at once, ten epochs of Adam on "
    "features that are not standardised; the neurons with the largest summed weights, wherever "
    "they lie, are set to 0; what is left is read as weighted F1.",
    "The shaded band is where one more random set with as many neurons in each layer would lie at "
    "that point with 95%. Where the top-ranked curve leaves it, the ranking may know something "
    "that chance does not: one point in 20 leaves it by chance.",
    "Crosses are the numbers that the paper prints for another model on other data (BigBird, "
    "system calls of malware). They show the shape it describes, a plateau and then a collapse; "
    "heights are not to be compared.",
)
DIFFERENCES = (
    "What differs from the published runs: the probe is fitted on examples that nothing is "
    "measured on, where the paper's had 50 to 60 items and in one run the same ones; every figure "
    "has an interval; random sets match the layers of the ranked ones.",
    "A share is always a share of the number of neurons. Sets by weight mass are listed by "
    "themselves. An empty set changes nothing; the published code silenced everything at 0%.",
    "Every cell that silences rewrites block outputs at the position the head reads; the published "
    "code also "
    "zeroed the pooler's output when silencing for all classes, not for one.",
    "There is one label map, the model's own, checked against the data. The balanced head push is "
    "really applied and shown to change the weights; head columns are ranked at the head's own "
    "input; noise is compared with the untouched model.",
)
LIMITS = (
    "After ten epochs much of the order is still that of the probe's random start, so another seed "
    "ranks other neurons; the section on probes shows the same objective solved to its minimum.",
    "The figures of this section are weighted F1; accuracy lost stands in the tables.",
    *DIFFERENCES,
)


def paper(result: Result) -> Section:
    """Curves, classes, sets, disturbances and redirections of the published protocol."""
    curve = saved.frame(result, CURVE).dropna(subset=["f1"])
    return Section(
        label="The paper's protocol",
        heading="What does the published protocol show here?",
        answer=_answer(result, curve) if len(curve) else (EMPTY,),
        groups=tuple(g for g in _groups(result, curve) if g.figures),
        tables=_tables(result, curve),
        reading=READING if len(curve) else (),
        limits=LIMITS if len(curve) else (),
    )


# ---- sentences -----------------------------------------------------------------------------------


def _answer(result: Result, curve: pd.DataFrame) -> tuple[str, ...]:
    sentences = [*_redundancy(result, curve), *_asymmetry(result), *_exclusive(result)]
    return (*sentences, *_redirection(result), *_profile(result))


def _redundancy(result: Result, curve: pd.DataFrame) -> list[str]:
    clean = saved.estimate(result.summary, "paper", "clean")
    said = [f"Weighted F1 of the untouched model: {prose.with_interval(clean)}."]
    for operator, verb in (("zero", "set to 0"), ("mean", "held at their averages")):
        top = saved.estimate(result.summary, "paper", operator, "f1_at_half")
        if not top.known:
            continue
        random = saved.estimate(result.summary, "paper", operator, "random_f1_at_half")
        inside = random.low <= top.value <= random.high
        place = "inside" if inside else ("below" if top.value < random.low else "above")
        said.append(
            f"With the top half of all neurons {verb} it is {prose.with_interval(top)}, {place} "
            f"the band of one more random set ({prose.span(random.low, random.high)}); "
            f"{_shape(result, operator)}."
        )
    return said


def _shape(result: Result, operator: str) -> str:
    plateau = saved.estimate(result.summary, "paper", operator, "plateau")
    half = saved.estimate(result.summary, "paper", operator, "half_point")
    flat = (
        f"accuracy stays within 0.02 up to {prose.percent(plateau.value)}"
        if plateau.value > 0
        else "even the smallest share may cost more than 0.02 of accuracy"
    )
    lost = (
        f"half of the accuracy above chance is gone {_between(half)}"
        if half.known
        else "half of the accuracy above chance is not gone at any share tried"
    )
    return f"{flat}, and {lost}"


def _between(half: Figure) -> str:
    """Between two shares that were tried; the interval adds what the sample leaves open."""
    if math.isnan(half.low):
        return f"near {prose.percent(half.value)}"
    if math.isnan(half.high):
        return f"beyond {prose.percent(half.low)}"
    return f"between {prose.percent(half.low)} and {prose.percent(half.high)}"


def _asymmetry(result: Result) -> list[str]:
    """The two classes were picked by their F1: each interval holds for all classes."""
    least, most = (
        saved.estimate(result.summary, "paper", "class_sets", end) for end in ("least", "most")
    )
    if not (least.known and most.known) or int(least.beside.get("tried") or 0) < 2:
        return []
    apart = least.high < most.low
    verdict = "do not overlap" if apart else "overlap, so which class is which is not shown"
    return [
        f"Silencing the half ranked for one class leaves F1 between {prose.with_interval(least)}, "
        f"ranked for {prose.quoted(least.beside.get('ranked_for'))}, and "
        f"{prose.with_interval(most)}, for {prose.quoted(most.beside.get('ranked_for'))}; the "
        f"intervals, which hold for all classes at once, {verdict}."
    ]


def _exclusive(result: Result) -> list[str]:
    worst = saved.estimate(result.summary, "paper", "exclusive")
    mass = saved.rows(saved.frame(result, EXCLUSIVE), operator="zero", kind="mass")
    if not worst.known or not len(mass):
        return []
    harm = "do no harm" if worst.high <= HARMLESS else "can do harm"
    size = f"{prose.whole(mass['k'].min())} to {prose.whole(mass['k'].max())}"
    return [
        f"Sets of one class alone, a tenth of its weight mass ({size} neurons), set to 0, "
        f"{harm}: at worst accuracy {prose.falls(worst.value, worst.low, worst.high)}."
    ]


def _redirection(result: Result) -> list[str]:
    said = []
    for space, name in (("weight", "head push"), ("logit", "logit constant")):
        best = saved.estimate(result.summary, "paper", "redirects", space)
        if best.known:
            said.append(
                f"the published {name} that redirects most "
                f"({prose.plain(best.beside.get('setting'))}) moves {prose.with_interval(best)} to "
                f"{prose.quoted(best.beside.get('target'))}"
            )
    # Class names keep their own capitals.
    joined = "; ".join(said)
    return [f"{joined[0].upper()}{joined[1:]}."] if said else []


def _profile(result: Result) -> list[str]:
    last = saved.estimate(result.summary, "paper", "last_blocks")
    if not last.known:
        return []
    even = saved.estimate(result.summary, "paper", "last_blocks", "even").value
    return [
        f"Of the top 2.5% of neurons {prose.percent(last.value)} lie in the last three blocks, "
        f"where an even spread would put {prose.percent(even)}."
    ]


# ---- figures -------------------------------------------------------------------------------------


def _groups(result: Result, curve: pd.DataFrame) -> tuple[Group, ...]:
    if not len(curve):
        return ()
    return (_silencing(result, curve), _per_class(result), _disturbed(result), _layers(result))


def _silencing(result: Result, curve: pd.DataFrame) -> Group:
    printed = saved.frame(result, PUBLISHED)
    printed = saved.rows(printed, experiment="silencing").dropna(subset=["fraction", "f1"])
    panels = {o: _curve_lines(saved.rows(curve, operator=o)) for o in TITLES}
    if len(printed) and panels["zero"]:
        panels["zero"].append(
            line("published, BigBird", CROSSES, printed, Columns("fraction", "f1"))
        )
    figures = tuple(_panel(result, o, lines) for o, lines in panels.items() if lines)
    note = "Published: another model on other data, for the shape alone."
    title = "A growing share of all neurons silenced, all blocks at once"
    return Group(title, figures, legend([lines[::-1] for lines in panels.values()]), note)


def _curve_lines(rows: pd.DataFrame) -> list[Line]:
    looks = (
        ("random", "random, same counts per layer", RANDOM),
        ("random_unmatched", "random over all layers, as published", SERIES[3]),
        ("bottom", "bottom-ranked", BOTTOM),
    )
    drawn = []
    for selection, name, style in (*looks, ("top", "top-ranked", TOP)):
        data = saved.rows(rows, selection=selection)
        if len(data):
            drawn.append((banded if selection == "random" else line)(name, style, data, F1))
    return drawn


def _panel(result: Result, operator: str, lines: list[Line]) -> Plot:
    ends = prose.figures([one.name for one in lines], [one.y[-1] for one in lines])
    alt = f"{TITLES[operator]}. Weighted F1 over the share silenced; at the largest share: {ends}."
    axes = Axes("share of all neurons silenced", "weighted F1", SHARE_AXIS, RATE_AXIS)
    clean = saved.estimate(result.summary, "paper", "clean").value
    return curves(
        TITLES[operator], lines, axes, alt=alt, marks=[Mark("clean", clean, side="right")]
    )


def _per_class(result: Result) -> Group:
    table = saved.frame(result, CLASSES).dropna(subset=["f1"])
    names = list(dict.fromkeys(table["ranked_for"].astype(str)))
    look = styles(names, names)
    panels = {
        o: [line(prose.short(n), look[n], saved.rows(table, operator=o, ranked_for=n),
                 Columns("fraction", "f1")) for n in names]
        for o in TITLES if len(saved.rows(table, operator=o))
    }  # fmt: skip
    axes = Axes("share of all neurons silenced", "weighted F1", SHARE_AXIS, RATE_AXIS)
    figures = tuple(
        curves(TITLES[o], lines, axes, alt=f"{TITLES[o]}. Weighted F1 with each class's own "
               f"neurons silenced; at the largest share: "
               f"{prose.figures([n.name for n in lines], [n.y[-1] for n in lines])}.")
        for o, lines in panels.items()
    )  # fmt: skip
    return Group("The neurons ranked for one class silenced", figures, legend([*panels.values()]))


def _disturbed(result: Result) -> Group:
    table = saved.frame(result, DISTURBANCES).dropna(subset=["drop"])
    top = saved.rows(table, selection="top").reset_index(drop=True)
    if not len(top):
        return Group("", ())
    names = [_setting_name(row) for _, row in top.iterrows()]
    keys = ["setting", "strength"]
    random_controls = saved.rows(table, selection="random").merge(
        top[keys].assign(place=range(len(top))), on=keys
    )
    series = [_dots("top-ranked", TOP, top.assign(place=range(len(top))))]
    if len(random_controls):
        series.append(_dots("random controls", RANDOM, random_controls))
    alt = f"Accuracy lost by each setting: {prose.figures(names, series[0].y)}."
    figure = dots("Noise and attenuation at the published sizes", names, series,
                  x_title="accuracy lost", alt=alt)  # fmt: skip
    return Group("Noise and attenuation", (figure,), legend([series]), columns=1)


def _setting_name(row: pd.Series) -> str:
    if row["operator"] == "scale":
        return f"top {prose.percent(row['fraction'])} × {row['strength']:g}"
    everywhere = ", all tokens" if row["position"] == "all" else ""
    return f"σ {row['strength']:g}, {prose.percent(row['fraction'])}{everywhere}"


def _dots(name: str, style: Style, rows: pd.DataFrame) -> Line:
    drop, low, high = (rows[column].tolist() for column in ("drop", "drop_low", "drop_high"))
    return Line(name, style._replace(dash="none"), rows["place"].tolist(), drop, low, high)


def _layers(result: Result) -> Group:
    table = saved.frame(result, LAYERS).dropna(subset=["share"])
    if not len(table):
        return Group("", ())
    fractions = sorted(set(table["fraction"]))
    names = [f"top {prose.percent(f)}" for f in fractions]
    look = styles(names, names)
    lines = [
        line(n, look[n], saved.rows(table, fraction=f), Columns("layer", "share"))
        for n, f in zip(names, fractions, strict=True)
    ]
    even = line("even spread", RANDOM, saved.rows(table, fraction=fractions[0]),
                Columns("layer", "even_share"))  # fmt: skip
    said = prose.figures(lines[0].x, lines[0].y)
    alt = f"Share of the {names[0]} of neurons in each layer: {said}."
    axes = Axes("layer", "share of the set", {"dtick": 1}, SHARE_AXIS)
    figure = curves("Layers of the top-ranked neurons", [even, *lines], axes, alt=alt)
    return Group("Where the top neurons lie", (figure,), legend([[*lines, even]]))


# ---- tables --------------------------------------------------------------------------------------


def _tables(result: Result, curve: pd.DataFrame) -> tuple[Table, ...]:
    parts = (
        ("Silencing", curve, CURVE_TABLE),
        ("Silencing per class", _known(result, CLASSES), CLASS_TABLE),
        ("Sets of one class alone", _known(result, EXCLUSIVE), EXCLUSIVE_TABLE),
        ("Noise and attenuation", _known(result, DISTURBANCES), DISTURBED_TABLE),
        ("Head push and logit constants", _known(result, REDIRECTS), REDIRECT_TABLE),
    )
    made = [table_of(name, _spanned(data), columns) for name, data, columns in parts]
    printed = _known(result, PUBLISHED)
    made.append(table_of("Printed in the paper: other models, other data", printed, PRINTED_TABLE))
    return tuple(one for one in made if one.rows)


def _known(result: Result, table: Declared) -> pd.DataFrame:
    return saved.frame(result, table).dropna(subset=["f1"])


def _spanned(data: pd.DataFrame) -> pd.DataFrame:
    names = [n for n in ("f1", "drop", "redirect") if f"{n}_low" in data]
    return with_intervals(data, *names)


OPERATOR = Column("operator", "operator", text)
FOUND = (Column("weighted F1", "f1"), Column("interval or range", "f1_interval", text))
LOST = (
    *FOUND,
    Column("accuracy lost", "drop"),
    Column("interval or range", "drop_interval", text),
)
SIZE = (Column("share", "fraction", SHARE), Column("neurons", "k", COUNT))
DRAWS = Column("draws", "draws", COUNT)
RANKED = Column("ranked for", "ranked_for", text)
CURVE_TABLE = (
    OPERATOR, Column("selection", "selection", text), *SIZE, *LOST,
    Column("place among draws", "p_random"), DRAWS,
)  # fmt: skip
CLASS_TABLE = (
    OPERATOR, RANKED, *SIZE, *LOST, Column("own recall", "own_recall"),
    Column("own recall lost", "own_recall_drop"),
)  # fmt: skip
EXCLUSIVE_TABLE = (
    OPERATOR, Column("chosen by", "kind", text), RANKED, *SIZE, *LOST,
    Column("lost, random", "random_drop"), DRAWS,
)  # fmt: skip
DISTURBED_TABLE = (
    Column("setting", "setting", text), OPERATOR, Column("size", "strength"),
    Column("share", "fraction", SHARE), Column("position", "position", text),
    Column("selection", "selection", text), *LOST, DRAWS,
)  # fmt: skip
REDIRECT_TABLE = (
    Column("setting", "setting", text), Column("target", "target", text), *FOUND,
    Column("redirect rate", "redirect"), Column("95% interval", "redirect_interval", text),
    Column("collateral", "collateral"),
)  # fmt: skip
PRINTED_TABLE = (
    Column("experiment", "experiment", text), Column("model, data", "model", text),
    Column("share", "fraction", SHARE), Column("what", "what", text), Column("weighted F1", "f1"),
)  # fmt: skip
