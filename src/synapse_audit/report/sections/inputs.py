"""What attacks on the input break, as a yardstick for changes inside the model.

Reads ``inputs.attacks``, and what the manifest says the inputs are.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import Axes, Line, curves, dots, legend
from synapse_audit.report.kit.input_words import Kind, kind_of
from synapse_audit.report.kit.lines import Columns, banded, line
from synapse_audit.report.kit.tables import COUNT, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import BOTTOM, MATCHED, RANDOM, TOP, Style
from synapse_audit.tables.inputs import ATTACKS

DROP = Columns("strength", "drop", "drop_low", "drop_high")
LINES: tuple[tuple[str, str, Style], ...] = (
    ("noise", "Gaussian noise", RANDOM),
    ("fgsm", "FGSM, one step", BOTTOM),
    ("pgd", "PGD, up to ten steps", TOP),
)
NAMES = {name: shown for name, shown, _ in LINES}
UNITS = {"relative": "of the embeddings' size", "absolute": "absolute"}
FROM_ZERO = {"rangemode": "tozero"}
DASHED = TOP._replace(dash="dash")
MOST = 12
"""Targets drawn."""
EMPTY = "This section is empty: the run attacked no input (table inputs.attacks)."


def inputs(result: Result) -> Section:
    """Accuracy lost over the size of each attack, beside noise and random deletions."""
    table = saved.frame(result, ATTACKS).dropna(subset=["drop", "strength"])
    kind = kind_of(result)
    groups = (_group(table, kind), _aimed(table))
    return Section(
        label="Attacks on the input",
        heading="What do attacks on the input do?",
        answer=_answer(result, table, kind) if len(table) else (EMPTY,),
        groups=tuple(group for group in groups if group.figures),
        tables=_tables(table, kind),
        reading=_reading(kind),
        limits=_limits(kind),
    )


def _reading(kind: Kind) -> tuple[str, ...]:
    return (
        f"FGSM and PGD move every number of the {kind.embeddings} of {kind.own} by at most ε, "
        "along the gradient that takes the model away from its own prediction (the label is not "
        "used). ε is a share of the root mean square of those embeddings, so it is also the "
        f"size of the whole change relative to the {kind.noun}. Gaussian noise of the same size is "
        "the control. PGD leaves an example as soon as its answer is another (the target's).",
        f"Deleted {kind.units} are hidden from the attention, or set to 0 where it has no mask for "
        "them: those with the largest product of gradient and embedding, beside as many random "
        "ones (mean over draws, shaded where one more draw would lie with 95%). " + kind.spared,
    )


def _limits(kind: Kind) -> tuple[str, ...]:
    return (
        f"A change of embeddings is no {kind.noun}, and there may be none that leads to it. It "
        "says how far the model's decisions are from its inputs, not how easily someone fools it.",
        "The attacks are standard ones with few steps and one start; a stronger one may need less.",
    )


# ---- sentences -------------------------------------------------------------------------------


def _answer(result: Result, table: pd.DataFrame, kind: Kind) -> tuple[str, ...]:
    said = (_gradients(table, kind), _deletions(table, kind), _easiest(result))
    return tuple(s for s in said if s) or ("Only attacks in absolute units were run.",)


def _gradients(table: pd.DataFrame, kind: Kind) -> str:
    rows = _untargeted(table, "relative")
    sizes = _shared_size(rows)
    if sizes is None:
        return ""
    parts = [
        f"{prose.change(found.iloc[0])} under {shown}"
        for name, shown, _ in reversed(LINES)
        if len(found := rows[(rows["attack"] == name) & (rows["strength"] == sizes)])
    ]
    return (
        f"With the {kind.embeddings} of each {kind.noun} changed by {prose.percent(sizes)} of "
        f"their size, accuracy {'; '.join(parts)}."
    )


def _shared_size(rows: pd.DataFrame) -> float | None:
    """The smallest size at which most attacks were run."""
    if rows.empty:
        return None
    attacks = rows.groupby("strength")["attack"].nunique()
    return float(attacks[attacks == attacks.max()].index.min())


def _deletions(table: pd.DataFrame, kind: Kind) -> str:
    rows = _untargeted(table, "tokens")
    if rows.empty:
        return ""
    most = rows["strength"].max()
    chosen = rows[(rows["strength"] == most) & (rows["selection"] != "random")]
    random_control = rows[(rows["strength"] == most) & (rows["selection"] == "random")]
    if chosen.empty:
        return ""
    said = (
        f"Without the {prose.plural(int(most), kind.unit, kind.units)} that matter most, accuracy "
        f"{prose.change(chosen.iloc[0])}"
    )
    if len(random_control):
        said += f"; without as many random ones it {prose.falls(random_control.iloc[0]['drop'])}"
    return said + "."


def _easiest(result: Result) -> str:
    """The attack aimed at one class that redirects most; its interval is that of all of them."""
    found = saved.estimate(result.summary, "inputs", "aimed")
    if not found.known:
        return ""
    tied = [prose.quoted(name) for name in found.beside.get("tied") or ()]
    others = f"; indistinguishable: {prose.some(tied)}" if len(tied) > 1 else ""
    return (
        f"Aimed at one class, an attack of {prose.percent(found.beside.get('strength'))} redirects "
        f"most to {prose.quoted(found.beside.get('target'))}: {prose.with_interval(found)} of the "
        f"other examples, with collateral {prose.number(found.beside.get('collateral'))}{others}."
    )


def _untargeted(table: pd.DataFrame, unit: str) -> pd.DataFrame:
    return table[table["target"].isna() & (table["unit"] == unit)]


# ---- figures ---------------------------------------------------------------------------------


def _group(table: pd.DataFrame, kind: Kind) -> Group:
    sized, counted = _untargeted(table, "relative"), _untargeted(table, "tokens")
    gradients = [
        line(shown, style, rows, DROP)
        for name, shown, style in LINES
        if len(rows := saved.rows(sized, attack=name))
    ]
    chosen = counted["selection"] != "random"
    gone = [
        make(name, style, rows, DROP)
        for make, name, style, rows in (
            (banded, f"random {kind.units} deleted", MATCHED, counted[~chosen]),
            (line, f"{kind.units} that matter most deleted", DASHED, counted[chosen]),
        )
        if len(rows)
    ]
    gone_title = f"{kind.units} deleted"
    figures = (
        *_panel("A gradient, or noise as large", gradients, _sizes(kind)),
        *_panel(gone_title.capitalize(), gone, Axes(gone_title, "accuracy lost", FROM_ZERO)),
    )
    return Group("", figures, legend([gradients[::-1], gone[::-1]]))


def _sizes(kind: Kind) -> Axes:
    return Axes(
        f"size relative to the {kind.noun}",
        "accuracy lost",
        {"tickformat": ".0%", **FROM_ZERO},
        {"range": [-0.06, 1.03], "tickformat": ".1f", "dtick": 0.2},
    )


def _panel(title: str, lines: list[Line], axes: Axes) -> tuple[Plot, ...]:
    if not lines:
        return ()
    ends = prose.figures([one.name for one in lines], [one.y[-1] for one in lines])
    alt = f"{title}. Accuracy lost at the largest size: {ends}."
    return (curves(title, lines, axes, alt=alt),)


def _aimed(table: pd.DataFrame) -> Group:
    rows = table[table["target"].notna()].dropna(subset=["redirect"])
    if rows.empty:
        return Group("", ())
    rows = rows[rows["strength"] == rows["strength"].max()]
    rows = rows.sort_values("redirect", ascending=False).head(MOST)
    names = [str(name) for name in rows["target"]]
    series = [
        _dots("redirected to the class", TOP, rows, "redirect"),
        _dots("collateral", BOTTOM, rows, "collateral"),
    ]
    size = prose.percent(rows["strength"].iloc[0])
    alt = f"Redirect rate by target: {prose.figures(names, series[0].y)}."
    figure = dots(f"Aimed at one class, {size}", names, series, x_title="share", alt=alt)
    return Group("Toward one class", (figure,), legend([series]), columns=1)


def _dots(name: str, style: Style, rows: pd.DataFrame, column: str) -> Line:
    value, low, high = (rows[f"{column}{end}"].tolist() for end in ("", "_low", "_high"))
    return Line(name, style._replace(dash="none"), list(range(len(rows))), value, low, high)


def _tables(table: pd.DataFrame, kind: Kind) -> tuple[Table, ...]:
    names = NAMES | {"deletion": f"{kind.units} deleted"}
    units = UNITS | {"tokens": kind.units}
    shown = with_intervals(table, "drop", "redirect", "collateral").assign(
        attack=table["attack"].map(lambda name: names.get(name, name)),
        unit=table["unit"].map(lambda unit: units.get(unit, unit)),
    )
    made = table_of("Attacks on the input", shown, ATTACK_TABLE)
    return (made,) if made.rows else ()


ATTACK_TABLE = (
    Column("attack", "attack", text),
    Column("strength", "strength"),
    Column("unit", "unit", text),
    Column("target", "target", text),
    Column("selection", "selection", text),
    Column("draws", "draws", COUNT),
    Column("accuracy", "accuracy"),
    Column("drop", "drop"),
    Column("interval or range", "drop_interval", text),
    Column("changed", "flip_rate"),
    Column("redirect rate", "redirect"),
    Column("95% interval", "redirect_interval", text),
    Column("collateral", "collateral"),
    Column("95% interval", "collateral_interval", text),
)
