"""Membership: whether a layer tells training rows from held-out ones, and whether silencing helps.

Reads ``membership.layers`` and ``membership.silenced``, and ``membership`` of the summary.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import Axes, Line, curves, dots, legend
from synapse_audit.report.kit.lines import Columns, banded, line
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import BOTTOM, MATCHED, RANDOM, TOP, Style
from synapse_audit.summary import Figure
from synapse_audit.tables.membership import LAYERS, SILENCED

NAMES = {"loss": "the model's loss", "inputs": "the words alone, no model"}
CHANCE = 0.5
EMPTY = (
    "This section is empty: no rows that the model was trained on were given (--membership FILE)."
)
READING = (
    "An attacker, a logistic regression on a layer's pooled states, is fitted on four fifths of "
    "the rows to tell training rows from held-out ones and judged on the rest, in turn. Both sides "
    "have as many rows of each class. AUC is the chance that a training row scores above a "
    "held-out one: 0.5 is no information.",
    "The share flagged at 1% is that of the training rows, where the threshold flags 1% of the "
    "held-out ones: the view of an attacker who must avoid false accusations.",
    "What the words alone reveal is not memorised by the model: the two files differ. Only what a "
    "layer reveals beyond that is.",
    "Silenced are the neurons of every block that tell most in other rows, held at their mean; "
    "what that changes reaches the blocks above. The refitted attacker sees the silenced model, as "
    "a real one would; the stale one was fitted before. Random sets are the control: the mean of "
    "their draws, with the band in which one more would lie.",
)
LIMITS = (
    "The attackers are simple, and know the labels of four fifths of the rows. A stronger one, or "
    "one with shadow models, may tell more.",
    "An interval holds over rows; it does not cover a model that is trained again.",
    "Where a file was put together otherwise than the other (another time, another source), every "
    "layer may distinguish them without any memorisation.",
)


def membership(result: Result) -> Section:
    """AUC by layer, and what silencing does to it and to accuracy."""
    layers = saved.frame(result, LAYERS).dropna(subset=["auc"])
    silenced = saved.frame(result, SILENCED).dropna(subset=["auc"])
    return Section(
        label="Membership",
        heading="Does it give away what it was trained on?",
        answer=_answer(result, layers, silenced) if len(layers) else (EMPTY,),
        groups=_groups(layers, silenced),
        tables=_tables(layers, silenced),
        reading=READING,
        limits=LIMITS,
    )


# ---- sentences -----------------------------------------------------------------------------------


def _answer(result: Result, layers: pd.DataFrame, silenced: pd.DataFrame) -> tuple[str, ...]:
    worst = saved.estimate(result.summary, "membership", "worst")
    said = [*_worst(worst), *_words(layers), *_null(layers), *_silencing(silenced)]
    return tuple(said) or ("No layer was attacked.",)


def _worst(found: Figure) -> list[str]:
    if not found.known:
        return []
    layer = prose.plain(found.beside.get("layer", "?"))
    rate = prose.with_interval(found)
    if found.low > CHANCE:
        ties = int(found.beside.get("tied", 0))
        beside = f" ({prose.plural(ties, 'other layer')} indistinguishable from it)" if ties else ""
        return [
            f"Layer {layer} tells training rows from held-out ones best{beside}: AUC {rate}, an "
            "interval that holds for whichever layer was picked."
        ]
    return [
        f"No layer is shown to tell training rows from held-out ones: the largest AUC is {rate}, "
        f"of layer {layer}, and chance is within the interval. More rows would narrow it."
    ]


def _words(layers: pd.DataFrame) -> list[str]:
    said = []
    for _, row in saved.rows(layers, selection="clean", scope="inputs").iterrows():
        differ = row["auc_low"] > CHANCE
        verdict = "so far the two files differ" if differ else "no difference of the files is shown"
        said.append(f"The words alone, without any model, give AUC {_auc(row)}: {verdict}.")
    return said


def _null(layers: pd.DataFrame) -> list[str]:
    rows = saved.rows(layers, selection="null")
    if not len(rows):
        return []
    held = int(((rows["auc_low"] <= CHANCE) & (rows["auc_high"] >= CHANCE)).sum())
    return [
        "As a check, the same attackers on two held-out sets: chance is within the interval in "
        f"{held} of {prose.plural(len(rows), 'layer')}."
    ]


def _silencing(silenced: pd.DataFrame) -> list[str]:
    fresh = saved.rows(silenced, attacker="refitted").sort_values("fraction")
    said = []
    for _, row in fresh.iterrows():
        beside = prose.span(row["random_low"], row["random_high"])
        said.append(
            f"{prose.percent(row['fraction'])}: AUC {_auc(row)}, random sets "
            f"{prose.number(row['random'])} ({beside}), accuracy {prose.number(row['accuracy'])} "
            f"against {prose.number(row['random_accuracy'])}"
        )
    if not said:
        return []
    listed = "; ".join(said)
    return [
        f"With the most telling neurons silenced and the attacker refitted, {listed}.",
        *_stale(silenced),
    ]


def _stale(silenced: pd.DataFrame) -> list[str]:
    """Where silencing seems to hide only from an attacker who does not know of it."""
    fresh = saved.rows(silenced, attacker="refitted").set_index("fraction")
    stale = saved.rows(silenced, attacker="stale").set_index("fraction")
    found = fresh.index.intersection(stale.index)
    hidden = stale.loc[found, "auc_low"] <= CHANCE
    shares = found[(hidden & (fresh.loc[found, "auc_low"] > CHANCE)).to_numpy()]
    if not len(shares):
        return []
    listed = prose.listing([prose.percent(share) for share in shares])
    return [
        f"At {listed} an attacker fitted before the silencing is no longer shown to beat chance, "
        "but one who is fitted again is."
    ]


def _auc(row: pd.Series) -> str:
    return prose.with_interval(Figure(row["auc"], row["auc_low"], row["auc_high"]))


# ---- figures and tables --------------------------------------------------------------------------


def _groups(layers: pd.DataFrame, silenced: pd.DataFrame) -> tuple[Group, ...]:
    clean = saved.rows(layers, selection="clean")
    if not len(clean):
        return ()
    names = [_name(scope) for scope in clean["scope"]]
    series = [_series("training against held-out", TOP, clean)]
    null = saved.rows(layers, selection="null").set_index("scope").reindex(clean["scope"])
    if null["auc"].notna().any():
        series.append(_series("held-out against held-out", RANDOM, null.reset_index()))
    alt = f"AUC: {prose.figures(names, clean['auc'])}."
    figure = dots("AUC by layer", names, series, x_title="AUC (0.5 is chance)", alt=alt)
    first = Group("", (figure,), legend([series]), columns=1)
    return (first, *_silencing_group(silenced))


def _silencing_group(silenced: pd.DataFrame) -> tuple[Group, ...]:
    fresh = saved.rows(silenced, attacker="refitted").sort_values("fraction")
    stale = saved.rows(silenced, attacker="stale").sort_values("fraction")
    if not len(fresh):
        return ()
    areas = [
        line("telling neurons, attacker refitted", TOP, fresh, _columns("auc")),
        banded("random sets, attacker refitted", RANDOM, fresh, _columns("random")),
        line("telling neurons, stale attacker", BOTTOM, stale, _columns("auc")),
    ]
    cost = [
        line("telling neurons", TOP, fresh, _columns("accuracy")),
        banded("random sets", MATCHED, fresh, _columns("random_accuracy")),
    ]
    figures = (
        _panel("AUC of the last layer", areas, "AUC"),
        _panel("Accuracy on held-out rows", cost, "accuracy"),
    )
    return (Group("With neurons silenced", figures, legend([areas, cost]), columns=2),)


def _columns(name: str) -> Columns:
    return Columns("fraction", name, f"{name}_low", f"{name}_high")


def _panel(title: str, lines: list[Line], y: str) -> Plot:
    axes = Axes("share of neurons silenced", y, {"range": [0, 1]}, {"range": [-0.03, 1.03]})
    said = prose.figures([one.name for one in lines], [one.y[-1] for one in lines])
    return curves(title, lines, axes, alt=f"{title}, most silenced: {said}.")


def _series(name: str, style: Style, rows: pd.DataFrame) -> Line:
    places = list(range(len(rows)))
    low, high = rows["auc_low"].tolist(), rows["auc_high"].tolist()
    return Line(name, style._replace(dash="none"), places, rows["auc"].tolist(), low, high)


def _name(scope: object) -> str:
    return NAMES.get(str(scope), f"layer {prose.plain(scope)}")


def _tables(layers: pd.DataFrame, silenced: pd.DataFrame) -> tuple[Table, ...]:
    shown = with_intervals(layers, "auc", "tpr")
    names = pd.Series([_name(s) for s in shown["scope"]], index=shown.index, dtype=object)
    kinds = {"clean": "training against held-out", "null": "held-out against held-out"}
    shown = shown.assign(scope=names, selection=shown["selection"].map(kinds))
    hidden = with_intervals(silenced, "auc", "random", "accuracy", "random_accuracy")
    made = (
        table_of("Attackers by layer", shown, BY_LAYER),
        table_of("With neurons silenced", hidden, BY_SHARE),
    )
    return tuple(table for table in made if table.rows)


BY_LAYER = (
    Column("reads", "scope", text),
    Column("tells", "selection", text),
    Column("rows", "n", COUNT),
    Column("AUC", "auc"),
    Column("95% interval", "auc_interval", text),
    Column("flagged at 1%", "tpr"),
    Column("95% interval", "tpr_interval", text),
)
BY_SHARE = (
    Column("silenced", "fraction", SHARE),
    Column("attacker", "attacker", text),
    Column("AUC", "auc"),
    Column("95% interval", "auc_interval", text),
    Column("random sets", "random"),
    Column("band of one more draw", "random_interval", text),
    Column("p random", "p_random"),
    Column("accuracy", "accuracy"),
    Column("95% interval", "accuracy_interval", text),
    Column("random sets", "random_accuracy"),
    Column("band of one more draw", "random_accuracy_interval", text),
)
