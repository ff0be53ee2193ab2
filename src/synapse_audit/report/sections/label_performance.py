"""How well a model of several labels does untouched: over all labels, for each, probabilities.

Reads ``labels.overall``, ``labels.labels``, ``labels.reliability`` and the summary.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import RATE_AXIS, Axes, Line, curves, dots
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import REFERENCE, TOP
from synapse_audit.tables.label_sets import LABELS, OVERALL, RELIABILITY

NAMES = {
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
    "sample_f1": "F1 of examples",
    "subset_accuracy": "subset accuracy",
    "hamming_loss": "Hamming loss",
}
FEW = 30
"""Examples of a label below which its own figures are wide."""

EMPTY = "This section is empty: the run holds no figures of labels (tables labels.*)."
READING = (
    "Every label is decided by itself: present where its probability is above its threshold. Micro "
    "F1 counts all pairs of example and label together, macro F1 is the mean over labels, F1 of "
    "examples the mean over examples (0 where neither side names a label). Subset accuracy is the "
    "share of examples whose whole set is right, Hamming loss the share of pairs that are wrong.",
    "Constant: the best that one and the same answer for all examples reaches on that figure; a "
    "Hamming loss is to be below it.",
    "AUC needs no threshold: the chance that an example with the label scores above one without.",
)
LIMITS = (
    "Examples are drawn by the rarest of their labels and weighted back, so that rare labels are "
    "there at all; numbers of examples are plain counts.",
    "Intervals of single labels hold for each by itself. Those of the best and the worst hold for "
    "all labels at once.",
)


def labels(result: Result) -> Section:
    """Figures over all labels, and every label's own."""
    overall = saved.frame(result, OVERALL).dropna(subset=["value"])
    table = saved.frame(result, LABELS)
    return Section(
        label="The untouched model",
        heading="How does the untouched model do?",
        answer=_answer(result, overall, table) if len(overall) else (EMPTY,),
        groups=(Group("", (_dots(table),), columns=1),) if table["f1"].notna().any() else (),
        tables=_tables(overall, table),
        reading=READING,
        limits=LIMITS,
    )


def label_calibration(result: Result) -> Section:
    """Probabilities against what is there: in bins over all labels, and label by label."""
    table, bins = saved.frame(result, LABELS), saved.frame(result, RELIABILITY)
    bins = bins.dropna(subset=["probability", "present"])
    return Section(
        label="Calibration",
        heading="Do its probabilities mean what they say?",
        answer=_calibration_answer(table[table["support"] > 0]) if len(table) else (EMPTY,),
        groups=(Group("", (_reliability(bins),), columns=1),) if len(bins) else (),
        tables=tuple(t for t in (_gap_table(table), _bin_table(bins)) if t.rows),
        reading=(
            "Probabilities are the model's own sigmoids, whatever the thresholds. A label's gap is "
            "its mean probability minus the share of examples that have it.",
        ),
        limits=(
            "A gap of 0 does not say that high and low probabilities are right each.",
            "Intervals take the file's shares of rare labels, by which rows are drawn, as known.",
        ),
    )


def _answer(result: Result, overall: pd.DataFrame, table: pd.DataFrame) -> tuple[str, ...]:
    figures = {name: saved.estimate(result.summary, "labels", name) for name in NAMES}
    best_of, micro = "micro_f1", figures["micro_f1"]
    best = overall[overall["metric"] == best_of].iloc[0]
    others = ", ".join(
        f"{NAMES[name]} {prose.with_interval(figures[name])}" for name in NAMES if name != best_of
    )
    first = (
        f"Micro F1 is {prose.with_interval(micro)}; answering {prose.quoted(best['answer'])} for "
        f"every example would reach {prose.number(best['constant'])}. Besides: {others}."
    )
    auc = saved.estimate(result.summary, "labels", "auc")
    said = [first]
    if auc.known:
        count = prose.whole(auc.beside.get("labels"))
        said.append(f"Mean AUC over {count} labels is {prose.with_interval(auc)}.")
    never = table[(table["recall"] == 0) & (table["support"] > 0)]
    if len(never):
        names = prose.some([prose.quoted(name) for name in never["label"]])
        said.append(
            f"Labels with examples here that are never found at their thresholds: "
            f"{prose.whole(len(never))} ({names})."
        )
    return (*said, *_extremes(result))


def _extremes(result: Result) -> tuple[str, ...]:
    """The best and the worst label, with all that are indistinguishable from them."""
    said = []
    for name, words in (("best", "highest"), ("worst", "lowest")):
        found = saved.estimate(result.summary, "labels", name)
        tied = [prose.quoted(one) for one in found.beside.get("tied") or ()]
        if not found.known:
            continue
        if len(tied) == 1:
            said.append(f"F1 is {words} for {tied[0]}: {prose.with_interval(found)}.")
        elif len(tied) > 1:
            value = prose.number(found.value)
            said.append(
                f"F1 is {words}, {value}, for {prose.quoted(found.beside.get('label'))}; "
                f"indistinguishable from it: {prose.plural(len(tied) - 1, 'other label')}."
            )
    return (" ".join(said),) if said else ()


def _dots(table: pd.DataFrame) -> Plot:
    """Every label's F1, the highest first."""
    rows = table.dropna(subset=["f1"]).sort_values("f1", ascending=False, kind="stable")
    names = [str(name) for name in rows["label"]]
    places = list(range(len(names)))
    series = Line(
        "F1",
        TOP,
        places,
        rows["f1"].tolist(),
        rows["f1_low"].tolist(),
        rows["f1_high"].tolist(),
    )
    alt = f"F1 by label: {prose.figures(names, rows['f1'])}."
    return dots("F1 of each label", names, [series], x_title="F1", alt=alt)


def _reliability(bins: pd.DataFrame) -> Plot:
    measured = Line(
        "labels that are there",
        TOP,
        bins["probability"].tolist(),
        bins["present"].tolist(),
        bins["present_low"].tolist(),
        bins["present_high"].tolist(),
    )
    exact = Line("as probable as said", REFERENCE, [0.0, 1.0], [0.0, 1.0])
    axes = Axes("mean probability", "share present", RATE_AXIS, RATE_AXIS)
    said = prose.figures(map(prose.percent, bins["probability"]), bins["present"])
    alt = f"Share present by mean probability: {said}."
    return curves("All pairs of example and label", [exact, measured], axes, alt=alt)


def _calibration_answer(table: pd.DataFrame) -> tuple[str, ...]:
    over, under = table[table["gap_low"] > 0], table[table["gap_high"] < 0]
    parts = []
    for rows, words in ((over, "too probable"), (under, "too improbable")):
        if len(rows):
            names = prose.some([prose.quoted(name) for name in rows["label"]])
            parts.append(f"{prose.plural(len(rows), 'label')} {words} on average ({names})")
    if not parts:
        return ("No label is shown to be given too high or too low a probability on average.",)
    share = f"Of {prose.plural(len(table), 'label')}, each at 95% by itself"
    return (f"{share}: {'; '.join(parts)}. About one in 20 would be named by chance.",)


def _tables(overall: pd.DataFrame, table: pd.DataFrame) -> tuple[Table, ...]:
    named = overall.assign(name=[NAMES.get(name, name) for name in overall["metric"]])
    made = (
        table_of("Over all labels", with_intervals(named, "value"), OVERALL_TABLE),
        table_of(
            "Per label",
            with_intervals(
                table.sort_values("support", ascending=False, kind="stable"),
                *("precision", "recall", "f1", "auc"),
            ),
            LABEL_TABLE,
        ),
    )
    return tuple(t for t in made if t.rows)


def _gap_table(table: pd.DataFrame) -> Table:
    order = table["gap"].abs().sort_values(ascending=False, kind="stable").index
    return table_of("Per label", with_intervals(table.loc[order], "gap"), GAP_TABLE)


def _bin_table(bins: pd.DataFrame) -> Table:
    return table_of("Bins over all labels", with_intervals(bins, "present"), BIN_TABLE)


OVERALL_TABLE = (
    Column("figure", "name", text),
    Column("value", "value"),
    Column("95% interval", "value_interval", text),
    Column("constant", "constant"),
    Column("constant answer", "answer", text),
)
LABEL_TABLE = (
    Column("label", "label", text),
    Column("examples", "support", COUNT),
    Column("threshold", "threshold"),
    Column("precision", "precision"),
    Column("95% interval", "precision_interval", text),
    Column("recall", "recall"),
    Column("95% interval", "recall_interval", text),
    Column("F1", "f1"),
    Column("95% interval", "f1_interval", text),
    Column("AUC", "auc"),
    Column("95% interval", "auc_interval", text),
)
GAP_TABLE = (
    Column("label", "label", text),
    Column("examples", "support", COUNT),
    Column("share", "prevalence", SHARE),
    Column("mean probability", "probability", SHARE),
    Column("gap", "gap"),
    Column("95% interval", "gap_interval", text),
    Column("Brier", "brier"),
)
BIN_TABLE = (
    Column("from", "low"),
    Column("to", "high"),
    Column("pairs", "pairs", COUNT),
    Column("mean probability", "probability"),
    Column("present", "present"),
    Column("95% interval", "present_interval", text),
)
