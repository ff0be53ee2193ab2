"""The guard: what it stops and what it does not, attack by attack.

Reads ``guard.evaluation``.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.commands import with_path
from synapse_audit.report.kit.contents import Group, Result, Section
from synapse_audit.report.kit.figures import Line, dots, legend
from synapse_audit.report.kit.tables import Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import TOP
from synapse_audit.tables.guard import CERTIFICATE, EVALUATION

ENDS = ("", "_low", "_high")
EMPTY = (
    "This section is empty: no guard of this model was measured (synapse-audit guard RUN "
    "--evaluate)."
)
READING = (
    "Each row is one attack on the examples that the guard has not seen. The first columns are the "
    "accuracy that is left, or the share of examples redirected to the target: without a guard, "
    "behind ranges with the model's own head, with the hardened head, and with the vote.",
    "“Alarms” is the share of inputs that the detector reports; in the row without an attack that "
    "is its false-alarm rate. The area under the curve (AUC) is 0.5 for a detector that sees "
    "nothing. “Canaries” is the share of changed models that canary inputs notice in memory.",
    "The certificate of the vote says which share of the examples is right and stays so however "
    "that many of the head's inputs are changed; “attacked” is what a greedy attack leaves, so "
    "that the truth lies between.",
)
LIMITS = (
    "An edit of the head leaves all states clean: no detector of states sees it. Anyone who can "
    "edit the weights can edit the guard's as well; checksums find that when the model is "
    "loaded.",
    "Adaptive rows are attacks that know the guard; others may do better than those tried. Those "
    "by gradient are searches: an example counts by the best of all starts, each of so many steps, "
    "and an example that no start changes is not shown to be safe.",
)


def guard(result: Result) -> Section:
    """All attacks in one table."""
    table = saved.frame(result, EVALUATION).dropna(subset=["kind"])
    shown = with_intervals(table, "host", "ranges", "hardened", "vote", "detected", "auc")
    made = table_of("Attacks on the guarded model", shown, GUARD_TABLE)
    curve = saved.frame(result, CERTIFICATE).dropna(subset=["changed"])
    certificate = table_of(
        "Certificate of the vote", with_intervals(curve, "certified"), CURVE_TABLE
    )
    return Section(
        label="Guard",
        heading="What does a guard stop?",
        answer=_answer(table) if len(table) else (with_path(EMPTY, result),),
        groups=_groups(table),
        tables=tuple(one for one in (made, certificate) if one.rows),
        reading=READING,
        limits=LIMITS,
    )


def _groups(table: pd.DataFrame) -> tuple[Group, ...]:
    """Area under the curve of every attack that the detector may see."""
    known = table.dropna(subset=["auc"])
    if known.empty:
        return ()
    names = [f"{prose.plain(k)}, {prose.plain(s)}" for k, s in known[["kind", "setting"]].values]
    value, low, high = (known[f"auc{end}"].tolist() for end in ENDS)
    line = Line("detector", TOP._replace(dash="none"), list(range(len(known))), value, low, high)
    alt = f"Area under the detector's curve: {prose.figures(names, line.y)}."
    figure = dots("What the detector sees", names, [line], x_title="area under curve", alt=alt)
    return (Group("", (figure,), legend([[line]]), columns=1),)


def _answer(table: pd.DataFrame) -> tuple[str, ...]:
    said = []
    clean = table[table["kind"] == "none"]
    for row in clean.to_dict("records"):
        said.append(
            f"Untouched, accuracy is {prose.number(row['host'])} without the guard, "
            f"{prose.number(row['hardened'])} with the hardened head and "
            f"{prose.number(row['vote'])} with the vote; {prose.number(row['detected'])} "
            f"({prose.number(row['detected_low'])} to {prose.number(row['detected_high'])}) of "
            "clean inputs raise an alarm."
        )
    harmful = table[(table["kind"] != "none") & table["auc"].notna()]
    unseen = harmful[harmful["auc_low"] <= HALF]
    if len(unseen):
        names = [f"{row['kind']} ({row['setting']})" for row in unseen.to_dict("records")]
        said.append(f"Not shown to be detected at all: {prose.some(names)}.")
    return tuple(said)


HALF = 0.5

CURVE_TABLE = (
    Column("inputs become", "change", text),
    Column("changed inputs", "changed", prose.whole),
    Column("certified", "certified"),
    Column("95% interval", "certified_interval", text),
    Column("attacked", "attacked"),
)

GUARD_TABLE = (
    Column("attack", "kind", text),
    Column("size", "setting", text),
    Column("starts", "starts", prose.whole),
    Column("steps", "steps", prose.whole),
    Column("measure", "measure", text),
    Column("no guard", "host"),
    Column("95% interval", "host_interval", text),
    Column("ranges", "ranges"),
    Column("hardened", "hardened"),
    Column("95% interval", "hardened_interval", text),
    Column("vote", "vote"),
    Column("alarms", "detected"),
    Column("95% interval", "detected_interval", text),
    Column("AUC", "auc"),
    Column("95% interval", "auc_interval", text),
    Column("canaries", "canaries"),
)
