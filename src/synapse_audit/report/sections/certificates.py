"""What no change of a given size can do: guaranteed accuracy, proved and not measured.

Reads ``certificates.curves``, ``.distances``, ``.checks``, ``.missing`` and the summary.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Result, Section, Table
from synapse_audit.report.kit.figures import RATE_AXIS, Axes, Line, Mark, curves, legend
from synapse_audit.report.kit.lines import MOST, Columns, banded, line, styles
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import BOUND, FAINT, REFERENCE, SERIES, TOP, Style
from synapse_audit.summary import Figure
from synapse_audit.tables.certificates import CHECKS, CURVES, DISTANCES, MISSING

GUARANTEED = Columns("budget", "accuracy", "accuracy_low", "accuracy_high")
EVERYONE, ANY = None, None
"""The ``class`` of rows over all classes, and the ``target`` of distances to any class: null."""
NORMS = {
    "l2": "Length of the change",
    "linf": "Largest single change",
}
SILENCED = {"zero": "Set to 0", "mean": "Held at the mean"}
PLACES = {"head_input": "inputs of the head", "state": "neurons of the final state (lower bound)"}
RELATIVE = {
    "type": "log",
    "tickvals": [0.01, 0.03, 0.1, 0.3, 1],
    "ticktext": ["1%", "3%", "10%", "30%", "100%"],
}
EDITED = "relative size of the head edit (log)"
MOVED = "relative size of the perturbation (log)"
QUOTED = 0.1
"""The relative size that sentences speak of."""

LEAST_STEP = 0.002
"""Falls of the measured accuracy that are drawn."""

EMPTY = "This section is empty: the run holds no certificates (table certificates.curves)."
READING = (
    "A guarantee is proved for each example separately, so it covers every change of that size: "
    "found by any method, aimed at one example or at all at once. Accuracy under any single change "
    "within the budget is at least the curve.",
    "Budgets of edits are relative to the head's own weights: the length of the edit over their "
    "length, or its largest entry over their largest. Weights and biases of the last layer may "
    "change; where only one row may, the curve lies higher.",
    "Guarantees for the head's weights and inputs are exact: at an example's own distance some "
    "change does change its prediction. Those for the final state go through a dense layer and "
    "are lower "
    "bounds, so the truth may be better.",
    "Shaded bands are 95% bootstrap intervals over examples, widened so that they fall with the "
    "size as the guarantee does. The measured line can only lie on or above the guaranteed one; "
    "the gap is what attackers may still find, or "
    "what no single edit can do to all examples at once.",
)
LIMITS = (
    "Only the last layer, its inputs and the final state are covered: nothing is guaranteed for "
    "changes further down, of the input, or of two places at once.",
    "The guarantee is for these examples; other inputs are covered only as far as the interval "
    "goes.",
    "The proofs hold in exact arithmetic; rounding can matter where a size meets an example's "
    "distance to about one part in a million.",
)


def certificates(result: Result) -> Section:
    """Guaranteed accuracy over the size of edits, of silenced sets and of perturbations."""
    table = saved.frame(result, CURVES).dropna(subset=["accuracy"])
    checks = saved.frame(result, CHECKS).dropna(subset=["accuracy"])
    overall = saved.rows(table, **{"class": EVERYONE})
    groups = _groups(result, table, checks) if len(overall) else ()
    return Section(
        label="Guarantees",
        heading="What is guaranteed?",
        answer=_answer(result, overall) if len(overall) else (EMPTY,),
        groups=tuple(group for group in groups if group.figures),
        tables=_tables(result, overall),
        reading=READING,
        limits=LIMITS,
    )


# ---- sentences -----------------------------------------------------------------------------------


def _answer(result: Result, overall: pd.DataFrame) -> tuple[str, ...]:
    head, state = _edits(overall, "l2"), saved.rows(overall, place="state", change="l2")
    sentences = []
    if len(head):
        sentences.append(
            "No edit of the last layer whose length stays within "
            f"{prose.percent(QUOTED)} of the layer's own can bring accuracy below "
            f"{_quoted(head)}. {_half_way(result)}"
        )
    sentences += [_flip(result, change) for change in ("zero", "mean")]
    if len(state):
        sentences.append(
            f"Perturbing the final state by up to {prose.percent(QUOTED)} of its length leaves at "
            f"least {_quoted(state)}."
        )
    sentences.append(_without_state(result))
    sentences.append(_check(result))
    return tuple(sentence for sentence in sentences if sentence)


def _quoted(rows: pd.DataFrame) -> str:
    at = saved.nearest(rows["budget"].tolist(), QUOTED)
    row = saved.rows(rows, budget=at).iloc[0]
    estimate = Figure(row["accuracy"], row["accuracy_low"], row["accuracy_high"])
    return prose.with_interval(estimate)


def _half_way(result: Result) -> str:
    rows = _distances(result)
    rows = _edits(saved.rows(rows, **{"class": EVERYONE}), "l2")
    if not rows["median"].notna().any():
        return ""
    return (
        "Half of the correctly classified examples need a head edit larger than "
        f"{prose.percent(rows['median'].iloc[0])}."
    )


def _flip(result: Result, change: str) -> str:
    median = saved.estimate(result.summary, "certificates", "fewest_silenced", change)
    if not median.known:
        return ""
    bounds = ""
    if prose.span(median.low, median.high) != prose.UNKNOWN:
        bounds = f" ({prose.whole(median.low)} to {prose.whole(median.high)})"
    how = {"zero": "set to 0", "mean": "held at their mean"}[change]
    return (
        "For half of the correctly classified examples, at least "
        f"{prose.whole(median.value)}{bounds} inputs of the head must be {how} before the "
        "prediction can change, however they are chosen."
    )


def _without_state(result: Result) -> str:
    missing = saved.frame(result, MISSING)
    reasons = saved.rows(missing, place="state")["reason"].dropna().tolist()
    return (
        f"Nothing is guaranteed for the final state: {prose.plain(reasons[0])}." if reasons else ""
    )


def _check(result: Result) -> str:
    found = [
        saved.estimate(result.summary, "certificates", "check", name)
        for name in ("cells", "changed")
    ]
    cells, changed = (estimate.value for estimate in found)
    if not found[0].known or not cells:
        return ""
    measured = prose.plural(round(cells), "change that was measured", "changes that were measured")
    if not changed:
        return f"All {measured} agree with what was guaranteed."
    broken = prose.plural(round(changed), "prediction")
    return f"In {measured}, {broken} changed against the guarantee: rounding, or a bug."


# ---- figures -------------------------------------------------------------------------------------


def _groups(result: Result, table: pd.DataFrame, checks: pd.DataFrame) -> tuple[Group, ...]:
    overall = saved.rows(table, **{"class": EVERYONE})
    clean = saved.estimate(result.summary, "clean", "accuracy").value
    mark = (Mark("clean", clean),)
    edited = {n: _edit_lines(overall, saved.rows(checks, place="head", change=n), n) for n in NORMS}
    silenced = {c: _silenced_lines(overall, c) for c in SILENCED}
    moved = {n: _state_lines(overall, n) for n in NORMS}
    return (
        _panels("Any edit of the head's last layer", NORMS, edited, EDITED, mark),
        _panels("Any set of neurons silenced", SILENCED, silenced, "neurons silenced (log)", mark),
        _panels("Any perturbation of the final state", NORMS, moved, MOVED, mark),
        _classes(table, result),
    )


def _panels(
    title: str,
    titles: dict[str, str],
    lines: dict[str, list[Line]],
    x: str,
    marks: tuple[Mark, ...],
) -> Group:
    options = {"type": "log"} if x.startswith("neurons") else RELATIVE
    axes = Axes(x, "guaranteed accuracy", dict(options), RATE_AXIS)
    figures = tuple(
        curves(titles[key], drawn, axes, alt=_alt(titles[key], drawn), marks=marks)
        for key, drawn in lines.items()
        if drawn
    )
    return Group(title, figures, legend(list(lines.values())))


def _alt(title: str, drawn: list[Line]) -> str:
    ends = prose.figures([one.name for one in drawn], [one.y[-1] for one in drawn])
    return f"{title}: guaranteed accuracy over the size. At the largest size: {ends}."


def _monotone(rows: pd.DataFrame) -> pd.DataFrame:
    """The interval widened to fall with the size, as the guarantee itself does.

    Where a class is kept or lost as a whole, the bootstrap of single sizes is wide beside narrow
    neighbours; a limit that rises with the size would claim what a smaller size denies.
    """
    table = rows.sort_values("budget")
    low = table["accuracy_low"].cummin()
    high = table["accuracy_high"][::-1].cummax()[::-1]
    return table.assign(accuracy_low=low, accuracy_high=high)


def _edit_lines(overall: pd.DataFrame, checks: pd.DataFrame, norm: str) -> list[Line]:
    lines = []
    rows = _edits(overall, norm)
    for name, style, data in (
        ("guaranteed, any row edited", BOUND, rows),
        ("guaranteed, one row edited", REFERENCE._replace(color="@ink"), _edits(
            overall, norm, rows="one")),
    ):  # fmt: skip
        if len(data):
            make = banded if style is BOUND else line
            columns = GUARANTEED if style is BOUND else Columns("budget", "accuracy")
            lines.append(make(name, style, _monotone(data), columns))
    near = checks[checks["budget"].between(0.004, rows["budget"].max())]
    return [*lines, _lowest(near)] if len(near) else lines


def _lowest(checks: pd.DataFrame) -> Line:
    """Steps down to the lowest accuracy that any measured edit of at most this size left."""
    table = checks.sort_values("budget")[["budget", "accuracy"]]
    table["accuracy"] = table["accuracy"].cummin()
    table = table.drop_duplicates("budget", keep="last")
    before = table["accuracy"].shift(1)
    fallen = table[before - table["accuracy"] > LEAST_STEP]
    # Two points per fall: a slanted line would cross sizes at which nothing fell.
    edges = pd.concat([table.head(1), fallen.assign(accuracy=before), fallen, table.tail(1)])
    edges = edges.sort_values(["budget", "accuracy"], ascending=[True, False])
    style = TOP._replace(symbol="none")
    name = "lowest measured up to this size"
    return Line(name, style, edges["budget"].tolist(), edges["accuracy"].tolist())


def _silenced_lines(overall: pd.DataFrame, change: str) -> list[Line]:
    lines = []
    for (place, name), style in zip(PLACES.items(), SERIES[:2], strict=True):
        rows = _positive(saved.rows(overall, place=place, change=change))
        if len(rows):
            lines.append(_plain(banded(name, style, _monotone(rows), GUARANTEED)))
    return lines


def _state_lines(overall: pd.DataFrame, norm: str) -> list[Line]:
    rows = _positive(saved.rows(overall, place="state", change=norm))
    return (
        [banded("guaranteed (lower bound)", BOUND, _monotone(rows), GUARANTEED)]
        if len(rows)
        else []
    )


def _classes(table: pd.DataFrame, result: Result) -> Group:
    """Guaranteed recall of each class under any edit of the head, the most fragile first."""
    rows = _edits(table[table["class"].notna()], "l2")
    if not len(rows):
        return Group("", ())
    area = rows.groupby("class")["accuracy"].mean().sort_values(kind="stable")
    names = [str(name) for name in area.index]
    look = styles(names, names)
    ordered = saved.in_order(names, saved.classes(result)) if len(names) <= MOST else names
    lines = [_class_line(name, look[name], saved.rows(rows, **{"class": name})) for name in ordered]
    lines.sort(key=lambda one: one.style.color != FAINT.color)
    axes = Axes(EDITED, "guaranteed recall", dict(RELATIVE), RATE_AXIS)
    alt = f"Guaranteed recall under any edit of the head: lowest for {prose.quoted(names[0])}."
    note = "" if len(names) <= MOST else "Three most and three least fragile classes in colour."
    figure = curves("Recall of each class, by length of the edit", lines, axes, alt=alt)
    return Group("Which class is safest?", (figure,), legend([lines]), note, columns=1)


def _class_line(name: str, style: Style, rows: pd.DataFrame) -> Line:
    drawn = _plain(line(prose.short(name), style, rows, Columns("budget", "accuracy")))
    return Line(drawn.name, drawn.style, drawn.x, drawn.y, legend=style != FAINT)


def _plain(drawn: Line) -> Line:
    """Without markers, which a dense curve would merge into a band."""
    style = drawn.style._replace(symbol="none")
    return Line(drawn.name, style, drawn.x, drawn.y, drawn.low, drawn.high, drawn.band)


# ---- tables --------------------------------------------------------------------------------------


def _tables(result: Result, overall: pd.DataFrame) -> tuple[Table, ...]:
    shown = overall[~(overall["budget"] > 0) | overall["budget"].isin(SIZES)]
    shown = with_intervals(shown[shown["budget"] > 0], "accuracy")
    distances = _distances(result).dropna(subset=["n"])
    made = (
        table_of("Guaranteed accuracy", _named(shown), CURVE_TABLE),
        table_of("Distance to the decision boundary", _named(_worded(distances)), DISTANCE_TABLE),
    )
    return tuple(table for table in made if table.rows)


SIZES = (0.01, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
"""Sizes that the printed table holds; the run folder has all."""

WHERE = {
    "head": "weights of the head",
    "head_input": "inputs of the head, silenced",
    "state": "final state",
}
HOW = {"l2": "length", "linf": "largest entry", "zero": "set to 0", "mean": "held at the mean"}


def _named(table: pd.DataFrame) -> pd.DataFrame:
    """Names of places and kinds of change in words."""
    rows = table["rows"].map({"all": "any", "one": "one"})
    bias = table["bias"].map({True: "with bias", False: "without bias"})
    exact = table["exact"].map({True: "exact", False: "lower bound"})
    return table.assign(
        place=table["place"].map(WHERE), change=table["change"].map(HOW), rows=rows, bias=bias,
        exact=exact,
    )  # fmt: skip


def _worded(table: pd.DataFrame) -> pd.DataFrame:
    """Class names in quotation marks, so that none reads like the rows over all classes."""
    names = [prose.quoted(name) if pd.notna(name) else "all classes" for name in table["class"]]
    return table.assign(**{"class": names})


def _edits(table: pd.DataFrame, norm: str, rows: str = "all") -> pd.DataFrame:
    """Rows of the head's weights, bias included."""
    found = saved.rows(table, place="head", change=norm, rows=rows)
    found = found[found["bias"].fillna(False).astype(bool)]
    return _positive(found) if "budget" in found else found


def _positive(table: pd.DataFrame) -> pd.DataFrame:
    """Sizes that a logarithmic axis can show."""
    return table[table["budget"] > 0]


def _distances(result: Result) -> pd.DataFrame:
    return saved.rows(saved.frame(result, DISTANCES), target=ANY)


CURVE_TABLE = (
    Column("what changes", "place", text),
    Column("size", "change", text),
    Column("rows", "rows", text),
    Column("bias", "bias", text),
    Column("budget", "budget"),
    Column("guaranteed accuracy", "accuracy"),
    Column("95% interval", "accuracy_interval", text),
    Column("kind", "exact", text),
)
DISTANCE_TABLE = (
    Column("what changes", "place", text),
    Column("size", "change", text),
    Column("rows", "rows", text),
    Column("bias", "bias", text),
    Column("class", "class", text),
    Column("correct examples", "n", COUNT),
    Column("5th percentile", "p05"),
    Column("median", "median"),
    Column("never", "never", SHARE),
    Column("kind", "exact", text),
)
