"""Calibration: whether the model's own certainty can be believed, clean and when it is damaged.

Reads ``calibration.cells``, ``.removal``, ``.bins``, ``.temperature`` and the summary.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import SHARE_AXIS, Axes, Line, Mark, curves, legend
from synapse_audit.report.kit.lines import Columns, banded, line
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import BOUND, RANDOM, REFERENCE, SERIES, TOP, Style
from synapse_audit.summary import Figure
from synapse_audit.tables.calibration import BINS, CELLS, MEASURES, REMOVAL, TEMPERATURE

SHOWN = {"mean": "Mean: each neuron held at its average", "zero": "Zero: each neuron set to 0"}
SHARES = (0.1, 0.5, 0.8)
"""Shares silenced whose reliability curves are drawn, where the grid has them or near ones."""

LEAST = 0.02
"""Share of the answers that a bin must hold to be drawn."""

ACCURACY = Columns("confidence", "accuracy", "accuracy_low", "accuracy_high")
ERROR = Columns("fraction", "ece", "ece_low", "ece_high")
OVER = Columns("fraction", "overconfidence", "overconfidence_low", "overconfidence_high")
SILENCED = SERIES[:3]
UNTOUCHED = Style("@ink", "none", "circle")
"""How shares silenced, and the clean model, are drawn; changes of the logits have other styles."""
UNIT_AXIS = {"range": [-0.05, 1.06], "tickformat": ".1f", "dtick": 0.2}
EMPTY = "This section is empty: the run kept no confidences (table calibration.cells)."
READING = (
    "Confidence is the probability that the model gives its own answer. A calibrated model that "
    "says 0.8 is right in 80% of such cases; below the diagonal it is overconfident.",
    "The expected calibration error (ECE) is the mean distance from the diagonal over 15 bins of "
    "equal width, weighted by how many answers fall in each. No sample is ever exactly on the "
    "diagonal: the level for chance is what a perfectly calibrated model with the same confidences "
    "would show on average.",
    "A temperature divides all logits. It changes every probability and, without a decision "
    "threshold, no prediction, so that its cells have the accuracy of the untouched model by "
    "construction. The best one is chosen by log loss on the select split.",
    "Bars are 95% bootstrap intervals; those of ECE are reflected, since resampling adds noise "
    "that can only raise it. The band is where one more random control would lie (95%).",
)
LIMITS = (
    "Only the confidence of the answer given is judged, not the probabilities of the other "
    "classes.",
    "Where a cell is a two-phase estimate, only the examples that were run exactly count, each "
    "class with its weight among all. They can be few: the level for chance grows accordingly.",
    "ECE depends on the bins; the table gives it in bins of equal weight too.",
)


def calibration(result: Result) -> Section:
    """Calibration errors and reliability curves, clean and damaged."""
    cells = saved.frame(result, CELLS).dropna(subset=["ece"])
    removal = saved.frame(result, REMOVAL).dropna(subset=["ece"])
    groups = (_reliability(result), _removal(removal), _temperature(result))
    return Section(
        label="Calibration",
        heading="How sure is it when it is wrong?",
        answer=_answer(result) if len(cells) else (EMPTY,),
        groups=tuple(group for group in groups if group.figures),
        tables=_tables(cells, removal),
        reading=READING,
        limits=LIMITS,
    )


# ---- sentences -----------------------------------------------------------------------------------


def _answer(result: Result) -> tuple[str, ...]:
    parts = (_clean(result), _wrong(result), _best(result))
    damaged = tuple(_damaged(result, operator) for operator in SHOWN)
    said = tuple(part for part in (*parts, *damaged) if part)
    return said or ("The figures of this section are unknown; see the tables.",)


def _clean(result: Result) -> str:
    error = saved.estimate(result.summary, "calibration", "ece")
    chance = saved.estimate(result.summary, "calibration", "chance_ece")
    if not error.known:
        return ""
    beside = (
        f"; a perfectly calibrated model would show about {prose.number(chance.value)} here"
        if chance.known
        else ""
    )
    return (
        f"The untouched model's calibration error is {prose.with_interval(error)}{beside}. "
        f"{_lean(saved.estimate(result.summary, 'calibration', 'overconfidence'))}"
    ).strip()


def _lean(found: Figure) -> str:
    if not found.known:
        return ""
    bounds = prose.span(found.low, found.high)
    size = prose.number(abs(found.value))
    if found.low > 0:
        return f"Its confidence exceeds its accuracy by {size} ({bounds})."
    if found.high < 0:
        turned = prose.span(-found.high, -found.low)
        return f"Its confidence falls short of its accuracy by {size} ({turned})."
    return (
        f"Confidence and accuracy differ by {prose.number(found.value)} ({bounds}), which chance "
        "alone may explain."
    )


def _wrong(result: Result) -> str:
    found = saved.estimate(result.summary, "calibration", "wrong_confidence")
    n = saved.estimate(result.summary, "calibration", "n_wrong")
    if not found.known:
        return f"Its confidence when wrong is unknown: {found.reason}." if found.reason else ""
    sure = saved.estimate(result.summary, "calibration", "sure_errors")
    many = f"On its {prose.plural(int(n.value), 'wrong answer')} " if n.known else "When wrong "
    share = (
        f"; {prose.with_interval(sure)} of them are given with 0.9 or more" if sure.known else ""
    )
    return f"{many}the mean confidence is {prose.with_interval(found)}{share}."


def _best(result: Result) -> str:
    found = saved.estimate(result.summary, "calibration", "temperature")
    if not found.known:
        return f"No temperature is recommended: {found.reason}." if found.reason else ""
    left = saved.estimate(result.summary, "calibration", "ece_fitted")
    return (
        f"Dividing all logits by {prose.number(found.value, 2)}, chosen on the select split, "
        f"{_predictions(result)} and leaves a calibration error of {prose.with_interval(left)}"
        f"{_worse(result)}."
    )


def _predictions(result: Result) -> str:
    """What a temperature does to predictions: a threshold stays where it is."""
    thresholds = (saved.dig(result.manifest, "decision", "thresholds") or {}).values()
    if any(value != 0.5 for value in thresholds):
        return "moves some probabilities across the threshold, which stays,"
    return "changes no prediction"


def _worse(result: Result) -> str:
    """Says so where the temperature does not help on examples that it was not chosen on."""
    if saved.dig(result.summary, "calibration", "ece_fitted", "improves") is not False:
        return ""
    before = saved.estimate(result.summary, "calibration", "ece")
    return f", no less than the {prose.number(before.value)} without it: do not use it"


def _damaged(result: Result, operator: str) -> str:
    path = ("calibration", "removal", operator)
    found = saved.estimate(result.summary, *path, "overconfidence")
    if not found.known:
        return ""
    at = saved.estimate(result.summary, *path, "fraction").value
    wrong = saved.estimate(result.summary, *path, "wrong_confidence")
    if found.value <= 0:
        return f"{operator.capitalize()} silencing makes it overconfident at no share tried."
    sure = (
        f", and its wrong answers are given with {prose.with_interval(wrong)} on average"
        if wrong.known
        else ""
    )
    return (
        f"{operator.capitalize()} silencing makes it most overconfident at {prose.percent(at)} of "
        f"neurons: confidence exceeds accuracy by {prose.with_interval(found)}{sure}."
    )


# ---- figures -------------------------------------------------------------------------------------


def _reliability(result: Result) -> Group:
    bins = saved.frame(result, BINS).dropna(subset=["accuracy"])
    bins = bins[bins["share"] >= LEAST]
    removed = saved.rows(bins, what="removal")
    clean, divided = saved.rows(bins, what="clean"), saved.rows(bins, what="temperature")
    looks = (*SERIES[3 : 3 + len(_temperatures(divided))], UNTOUCHED)
    panels = [
        _panel(_logits_title(divided), [*_temperatures(divided), ("untouched", clean)], looks),
        *(_panel(SHOWN[o], _shares(saved.rows(removed, operator=o)), SILENCED) for o in SHOWN),
    ]
    shown = [(title, lines) for title, lines in panels if len(lines) > 1]
    figures = tuple(_reliability_figure(title, lines) for title, lines in shown)
    return Group(
        "How often is it right at each confidence?",
        figures,
        legend([lines for _, lines in shown]),
        note="One point per bin of confidence, larger where it holds more of the answers; bins "
        f"with less than {prose.percent(LEAST)} of them are left out.",
        columns=3,
    )


def _logits_title(divided: pd.DataFrame) -> str:
    return "Untouched, and all logits divided" if len(divided) else "Untouched"


def _panel(
    title: str, data: list[tuple[str, pd.DataFrame]], looks: tuple[Style, ...]
) -> tuple[str, list[Line]]:
    lines = [_points(name, style, rows) for (name, rows), style in zip(data, looks, strict=False)]
    drawn = [one for one in lines if len(one.x)]
    return title, [Line("calibrated", REFERENCE, [0, 1], [0, 1]), *drawn]


def _points(name: str, style: Style, rows: pd.DataFrame) -> Line:
    """One point per bin, larger where the bin holds more of the answers."""
    drawn = line(name, style._replace(dash="none"), rows, ACCURACY)
    shares = rows.dropna(subset=["accuracy"]).sort_values("confidence")["share"]
    return replace(drawn, sizes=[5 + 9 * math.sqrt(share) for share in shares])


def _shares(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    present = [float(v) for v in rows["fraction"].dropna().unique()]
    if not present:
        return []
    chosen = dict.fromkeys(saved.nearest(present, share) for share in SHARES)
    return [(f"{prose.percent(f)} silenced", saved.rows(rows, fraction=f)) for f in chosen]


def _temperatures(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    present = sorted({float(v) for v in rows["strength"].dropna()})
    chosen = present if len(present) <= 3 else [present[0], present[-1]]
    return [(f"by {value:g}", saved.rows(rows, strength=value)) for value in chosen]


def _reliability_figure(title: str, lines: list[Line]) -> Plot:
    said = "; ".join(
        f"{one.name}: {prose.figures([f'{x:.2f}' for x in one.x], one.y)}" for one in lines[1:]
    )
    axes = Axes("confidence", "share right", UNIT_AXIS, UNIT_AXIS)
    return curves(title, lines, axes, alt=f"{title}. Share right by mean confidence. {said}.")


def _removal(removal: pd.DataFrame) -> Group:
    panels: list[tuple[str, str, list[Line]]] = []
    for operator, title in SHOWN.items():
        rows = saved.rows(removal, operator=operator)
        top, random_controls = (saved.rows(rows, selection=name) for name in ("top", "random"))
        if not len(top):
            continue
        chance = line("level for chance", BOUND, top, Columns("fraction", "chance_ece"))
        panels += [
            (title, "calibration error", [*_pair(top, random_controls, ERROR), chance]),
            (title, "confidence minus accuracy", _pair(top, random_controls, OVER)),
        ]
    figures = tuple(_removal_figure(*panel) for panel in panels)
    entries = legend([lines[::-1] for _, _, lines in panels])
    return Group("A growing share of neurons silenced", figures, entries)


def _pair(top: pd.DataFrame, random_controls: pd.DataFrame, columns: Columns) -> list[Line]:
    drawn = (
        [banded("random controls", RANDOM, random_controls, columns)]
        if len(random_controls)
        else []
    )
    return [*drawn, line("top-ranked", TOP, top, columns)]


def _removal_figure(title: str, what: str, lines: list[Line]) -> Plot:
    x = "share of neurons silenced"
    ends = "; ".join(f"{one.name} {prose.number(one.y[-1])}" for one in lines if len(one.y))
    axes = Axes(x, what, SHARE_AXIS)
    return curves(f"{title}: {what}", lines, axes, alt=f"{what} over the {x}. At the last: {ends}.")


def _temperature(result: Result) -> Group:
    table = saved.frame(result, TEMPERATURE).dropna(subset=["ece"])
    if not len(table):
        return Group("", ())
    best = saved.estimate(result.summary, "calibration", "temperature").value
    style = TOP._replace(symbol="none")
    drawn = line("calibration error", style, table, Columns("temperature", "ece"))
    least = saved.extreme(table, "ece", largest=False)
    axes = Axes("temperature", "calibration error", {"type": "log"}, {"rangemode": "tozero"})
    alt = (
        f"Calibration error over the temperature; least, {prose.number(least['ece'])}, at "
        f"{prose.number(least['temperature'], 2)}."
    )
    marks = [
        Mark("untouched", 1.0, vertical=True, side="right"),
        Mark("best on select", best, vertical=True, side="right" if best > 1 else "left"),
    ]
    figure = curves("Every temperature, from the clean logits", [drawn], axes, alt=alt, marks=marks)
    return Group("All logits divided by a temperature", (figure,), columns=1)


# ---- tables --------------------------------------------------------------------------------------


def _tables(cells: pd.DataFrame, removal: pd.DataFrame) -> tuple[Table, ...]:
    logits = cells[cells["space"].isin(["clean", "logit"])]
    keys = ["space", "operator", "strength", "target"]
    # Draws of the noise are averaged; their number is that of the rows.
    numbers = [column.name for column in MEASURES]
    groups = logits.astype(dict.fromkeys(numbers, "float64")).groupby(
        keys, dropna=False, sort=False
    )
    shown = groups[numbers].mean().reset_index() if len(logits) else logits
    made = (
        table_of("Untouched, and changes of the logits", with_intervals(shown, "ece"), CELL_TABLE),
        table_of(
            "Under silencing", with_intervals(removal, "ece", "overconfidence"), REMOVAL_TABLE
        ),
    )
    return tuple(one for one in made if one.rows)


CELL_TABLE = (
    Column("space", "space", text),
    Column("operator", "operator", text),
    Column("strength", "strength"),
    Column("target", "target", text),
    Column("ECE", "ece"),
    Column("95% interval", "ece_interval", text),
    Column("chance", "chance_ece"),
    Column("ECE, equal weight", "ece_mass"),
    Column("confidence − accuracy", "overconfidence"),
    Column("wrong", "n_wrong", COUNT),
    Column("confidence when wrong", "wrong_confidence"),
    Column("wrong at 0.9 or more", "sure_errors"),
    Column("log loss", "log_loss"),
)
REMOVAL_TABLE = (
    Column("operator", "operator", text),
    Column("selection", "selection", text),
    Column("share", "fraction", SHARE),
    Column("exact", "n", COUNT),
    Column("ECE", "ece"),
    Column("interval or range", "ece_interval", text),
    Column("chance", "chance_ece"),
    Column("confidence − accuracy", "overconfidence"),
    Column("interval or range", "overconfidence_interval", text),
    Column("confidence when wrong", "wrong_confidence"),
    Column("draws", "draws", COUNT),
)
