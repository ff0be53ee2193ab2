"""The detection view: what the damage means to who only asks whether there is an alarm.

Reads ``detection.cells``, ``.removal``, ``.roc``, ``.thresholds``, ``.failures``, the summary.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import RATE_AXIS, SHARE_AXIS, Axes, Line, curves, legend
from synapse_audit.report.kit.lines import Columns, banded, line
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import BOTTOM, MATCHED, RANDOM, REFERENCE, SERIES, TOP, Style
from synapse_audit.tables.detection import CELLS, FAILURE_COUNTS, REMOVAL, ROC, THRESHOLDS

RATES = ("auc", "tpr_1", "false_alarm", "missed_alarm", "fixed_tpr_1", "fixed_fpr_1")
SHOWN = {"mean": "Mean: each neuron held at its average", "zero": "Zero: each neuron set to 0"}
SHARES = (0.1, 0.5, 0.8)
BY_ANSWER = ("missed_alarm", "false_alarm")
NOT_ASKED = (
    "This section is empty: no benign class was named. Name the class that raises no alarm with "
    "--benign CLASS to see missed and false alarms."
)
EMPTY = "This section is empty: the run kept no scores of a benign class (table detection.cells)"
READING = (
    "Every class but the benign one counts as an alarm, whichever it is: an attack taken for "
    "another attack is still caught. A missed alarm is an attack called benign, a false alarm a "
    "benign input called an attack.",
    "A failure is silent where missed alarms rise by 0.01 or more (interval above 0) and false "
    "alarms do not, loud where it is the other way round.",
    "The alarm score is 1 − the probability of the benign class. A fixed threshold is set once, on "
    "the untouched model, to flag 1% of benign inputs, as in a deployed detector. A re-fitted "
    "one is set again on the damaged model: it shows what the scores still hold. Where only the "
    "fixed one "
    "fails, the scores have moved but not lost their order.",
    "Bars are 95% bootstrap intervals; the band is where one more random control would lie (95%).",
)
LIMITS = (
    "Thresholds are set on the same evaluate examples that they are judged on, so the clean rates "
    "are slightly too good.",
    "A false-alarm rate can be resolved only with enough benign examples: 100 for 1%, 1 000 for "
    "0.1%; with fewer the figure is left unknown.",
    "Where a cell is a two-phase estimate, only the examples that were run exactly count. Areas "
    "and "
    "re-fitted rates have intervals for the headline curves, the logits and edits toward the "
    "benign class only.",
)


def detection(result: Result) -> Section:
    """False and missed alarms, thresholds fixed and re-fitted, loud or silent."""
    cells = saved.frame(result, CELLS).dropna(subset=["missed_alarm"])
    removal = saved.frame(result, REMOVAL)
    removal = removal.dropna(subset=["missed_alarm"])
    failures = saved.frame(result, FAILURE_COUNTS).dropna(subset=["cells"])
    groups = (_alarms(removal), _thresholds(removal), _edits(result, cells), _roc(result))
    return Section(
        label="Alarms",
        heading="Does it fail loudly or silently?",
        answer=_answer(result) if len(cells) else (_why_empty(result),),
        groups=tuple(group for group in groups if group.figures) if len(cells) else (),
        tables=_tables(result, removal, failures),
        reading=READING,
        limits=LIMITS,
    )


# ---- sentences -----------------------------------------------------------------------------------


def _why_empty(result: Result) -> str:
    found = saved.estimate(result.summary, "detection", "auc")
    if "benign class was named" in found.reason:
        return NOT_ASKED
    return f"{EMPTY}: {prose.plain(found.reason)}." if found.reason else f"{EMPTY}."


def _answer(result: Result) -> tuple[str, ...]:
    parts = [_clean(result), _at_one(result), _kinds(result)]
    parts += [_damaged(result, operator) for operator in SHOWN]
    said = tuple(part for part in parts if part)
    return said or ("The figures of this section are unknown; see the tables.",)


def _clean(result: Result) -> str:
    missed, false, area = (
        saved.estimate(result.summary, "detection", name) for name in (*BY_ANSWER, "auc")
    )
    if not missed.known:
        return ""
    benign = prose.quoted(saved.dig(result.summary, "detection", "benign") or "benign")
    return (
        f"With {benign} as the class that raises no alarm, the untouched model misses "
        f"{prose.with_interval(missed)} of the attacks and flags {prose.with_interval(false)} of "
        f"the benign inputs; its ROC-AUC is {prose.with_interval(area)}."
    )


def _at_one(result: Result) -> str:
    one, tenth = (saved.estimate(result.summary, "detection", n) for n in ("tpr_1", "tpr_01"))
    said = [
        f"at a false-alarm rate of {limit} it catches {prose.with_interval(found)} of the attacks"
        for limit, found in (("1%", one), ("0.1%", tenth))
        if found.known
    ]
    why = next((f.reason for f in (one, tenth) if not f.known and f.reason), "")
    reason = f"{prose.plain(why)[:1].upper()}{prose.plain(why)[1:]}." if why else ""
    start = prose.listing(said)
    return " ".join(part for part in (start and f"{start[0].upper()}{start[1:]}.", reason) if part)


def _kinds(result: Result) -> str:
    found = saved.dig(result.summary, "detection", "failures")
    if not isinstance(found, dict) or not found.get("cells"):
        return ""
    silent, loud, both, neither, cells = (
        prose.whole(found.get(n)) for n in ("silent", "loud", "both", "neither", "cells")
    )
    return (
        f"Of {cells} interventions (random controls aside) {silent} fail silently, {loud} loudly, "
        f"{both} both ways and {neither} neither way."
    )


def _damaged(result: Result, operator: str) -> str:
    path = ("detection", "removal", operator)
    missed, false = (saved.estimate(result.summary, *path, n) for n in BY_ANSWER)
    if not missed.known:
        return ""
    if prose.number(missed.value) == prose.number(0):
        return (
            f"{operator.capitalize()} silencing is not seen to let an attack pass at any share "
            f"tried; {prose.number(missed.high)} of them may, for all shares at once."
        )
    at = saved.estimate(result.summary, *path, "fraction").value
    return (
        f"{operator.capitalize()} silencing lets most attacks pass at {prose.percent(at)} of every "
        f"block: {prose.with_interval(missed)} of them are missed and {prose.with_interval(false)} "
        f"of the benign inputs flagged{_by_threshold(result, path)}."
    )


def _by_threshold(result: Result, path: tuple[str, ...]) -> str:
    """What the threshold of the untouched model does there, and one set anew."""
    fixed, flagged, again = (
        saved.estimate(result.summary, *path, name)
        for name in ("fixed_tpr_1", "fixed_fpr_1", "tpr_1")
    )
    if not (fixed.known and flagged.known):
        return ""
    anew = f"; a re-fitted one would catch {prose.with_interval(again)}" if again.known else ""
    return (
        f". There the threshold fixed at 1% catches {prose.with_interval(fixed)} of the attacks "
        f"and flags {prose.with_interval(flagged)} of the benign inputs{anew}"
    )


# ---- figures -------------------------------------------------------------------------------------


def _rate(name: str) -> Columns:
    return Columns("fraction", name, f"{name}_low", f"{name}_high")


def _alarms(removal: pd.DataFrame) -> Group:
    """Missed and false alarms by prediction, beside random controls."""
    panels = {}
    for operator in SHOWN:
        rows = saved.rows(removal, operator=operator)
        top, random_controls = (saved.rows(rows, selection=name) for name in ("top", "random"))
        if len(top):
            panels[operator] = [
                *_random_controls(
                    "missed alarms, random controls", MATCHED, random_controls, "missed_alarm"
                ),
                *_random_controls(
                    "false alarms, random controls", RANDOM, random_controls, "false_alarm"
                ),
                line("false alarms, top-ranked", BOTTOM, top, _rate("false_alarm")),
                line("missed alarms, top-ranked", TOP, top, _rate("missed_alarm")),
            ]
    return _group("A growing share of neurons silenced", panels, "share of inputs")


def _random_controls(name: str, style: Style, rows: pd.DataFrame, column: str) -> list[Line]:
    return [banded(name, style, rows, _rate(column))] if len(rows) else []


def _thresholds(removal: pd.DataFrame) -> Group:
    """Attacks caught by the threshold of the untouched model and by one set anew."""
    panels = {}
    for operator in SHOWN:
        top = saved.rows(removal, operator=operator, selection="top")
        known = [c for c in ("fixed_tpr_1", "tpr_1", "fixed_fpr_1") if top[c].notna().any()]
        names = {
            "fixed_tpr_1": ("caught, threshold fixed", TOP),
            "tpr_1": ("caught, threshold re-fitted", MATCHED),
            "fixed_fpr_1": ("benign flagged, threshold fixed", BOTTOM),
        }
        if known:
            panels[operator] = [line(*names[c], top, _rate(c)) for c in known[::-1]]
    return _group("Thresholds set to flag 1% of benign inputs", panels, "share of inputs")


def _group(title: str, panels: dict[str, list[Line]], y: str) -> Group:
    x = "share of neurons silenced"
    figures = tuple(
        _figure(SHOWN[operator], lines, Axes(x, y, SHARE_AXIS, RATE_AXIS))
        for operator, lines in panels.items()
    )
    return Group(title, figures, legend([lines[::-1] for lines in panels.values()]))


def _figure(title: str, lines: list[Line], axes: Axes) -> Plot:
    ends = "; ".join(f"{one.name} {prose.number(one.y[-1])}" for one in lines[::-1] if len(one.y))
    return curves(title, lines, axes, alt=f"{title}. Over the {axes.x}; at the last: {ends}.")


def _edits(result: Result, cells: pd.DataFrame) -> Group:
    """Edits of the head that aim at the benign class: attacks hidden over the budget."""
    benign = saved.dig(result.summary, "detection", "benign")
    rows = saved.rows(cells, space="weight", target=benign)
    pushes = saved.rows(rows, operator="push", selection="top")
    shares = pushes["fraction"].dropna()
    if not len(shares):
        return Group("", ())
    push = saved.rows(pushes, fraction=shares.max())
    columns = Columns("strength", "missed_alarm", "missed_alarm_low", "missed_alarm_high")
    false = Columns("strength", "false_alarm", "false_alarm_low", "false_alarm_high")
    lines = [
        line("false alarms", BOTTOM, push, false),
        line("missed alarms", TOP, push, columns),
        line("missed alarms, bias alone", MATCHED, saved.rows(rows, operator="bias"), columns),
    ]
    ticks = {"tickvals": [0.03, 0.1, 0.3, 1, 2], "ticktext": ["3%", "10%", "30%", "100%", "200%"]}
    x_axis = {"type": "log", **ticks}
    axes = Axes("budget (log)", "share of inputs", x_axis, RATE_AXIS)
    title = f"Push of {prose.percent(shares.max())} of the columns"
    figure = _figure(title, lines, axes)
    return Group("Edits of the head toward the benign class", (figure,), legend([lines]), columns=1)


def _roc(result: Result) -> Group:
    table = saved.frame(result, ROC).dropna(subset=["caught"])
    removed = saved.rows(table, what="removal", operator="mean")
    present = [float(v) for v in removed["fraction"].dropna().unique()]
    chosen = dict.fromkeys(saved.nearest(present, share) for share in SHARES) if present else {}
    data = {"untouched": saved.rows(table, what="clean")}
    data |= {f"{prose.percent(f)} silenced": saved.rows(removed, fraction=f) for f in chosen}
    lines = [
        _steps(name, style, rows)
        for (name, rows), style in zip(data.items(), SERIES, strict=False)
        if len(rows)
    ]
    if not lines:
        return Group("", ())
    drawn = [Line("chance", REFERENCE, [0, 1], [0, 1]), *lines]
    axes = Axes("benign inputs flagged", "attacks caught", RATE_AXIS, RATE_AXIS)
    alt = f"ROC curves: {prose.listing([one.name for one in lines])}."
    figure = curves("Mean, top-ranked", drawn, axes, alt=alt)
    return Group("Every threshold at once", (figure,), legend([drawn]), columns=1)


def _steps(name: str, style: Style, rows: pd.DataFrame) -> Line:
    bare = style._replace(symbol="none")
    return Line(name, bare, rows["false_alarm"].tolist(), rows["caught"].tolist())


# ---- tables --------------------------------------------------------------------------------------


def _tables(result: Result, removal: pd.DataFrame, failures: pd.DataFrame) -> tuple[Table, ...]:
    thresholds = saved.frame(result, THRESHOLDS)
    shown = with_intervals(removal, "missed_alarm", "false_alarm", "fixed_tpr_1")
    made = (
        table_of("How interventions fail", failures, FAILURE_TABLE),
        table_of("Under silencing", shown, REMOVAL_TABLE),
        table_of("Thresholds of the untouched model", thresholds, THRESHOLD_TABLE),
    )
    return tuple(one for one in made if one.rows)


FAILURE_TABLE = (
    Column("space", "space", text),
    Column("operator", "operator", text),
    Column("cells", "cells", COUNT),
    Column("silent", "silent", COUNT),
    Column("loud", "loud", COUNT),
    Column("both", "both", COUNT),
    Column("neither", "neither", COUNT),
    Column("largest rise, missed", "largest_missed_rise"),
    Column("largest rise, false", "largest_false_rise"),
)
REMOVAL_TABLE = (
    Column("operator", "operator", text),
    Column("selection", "selection", text),
    Column("share", "fraction", SHARE),
    Column("exact", "n", COUNT),
    Column("AUC", "auc"),
    Column("missed alarms", "missed_alarm"),
    Column("interval or range", "missed_alarm_interval", text),
    Column("false alarms", "false_alarm"),
    Column("interval or range", "false_alarm_interval", text),
    Column("caught, fixed", "fixed_tpr_1"),
    Column("interval or range", "fixed_tpr_1_interval", text),
    Column("flagged, fixed", "fixed_fpr_1"),
    Column("caught, re-fitted", "tpr_1"),
    Column("draws", "draws", COUNT),
)
THRESHOLD_TABLE = (
    Column("target false-alarm rate", "limit"),
    Column("alarm where P(benign) is below", "probability"),
    Column("benign flagged", "false_alarm"),
    Column("attacks caught", "caught"),
    Column("benign examples needed", "needed", COUNT),
    Column("why unknown", "reason", text),
)
