"""The untouched model: confusion matrix and per-class scores.

Reads ``predictions``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.heat import Heat, heat
from synapse_audit.report.kit.tables import COUNT, Column, table_of, text
from synapse_audit.tables.run import PREDICTIONS

EMPTY = "This section is empty: the run holds no clean predictions (table predictions)."
READING = (
    "Rows are true classes, columns predicted ones; each row sums to 1. The diagonal is the "
    "recall of each class.",
)
LIMITS = (
    "Examples are weighted back to the class shares of the data; the numbers of examples in the "
    "table and in the sentences are plain counts.",
)

ROUNDING = 1e-9
"""Recalls that differ by less are equal but for the rounding of weights."""


def clean(result: Result) -> Section:
    """What the model does when nothing is touched."""
    table = saved.frame(result, PREDICTIONS).dropna(subset=["label", "predicted"])
    table = table[table["split"].isna() | (table["split"] == "evaluate")]
    names = _names(result, table)
    counts = _confusion(table, len(names), weighted=False)
    shares = _confusion(table, len(names), weighted=True)
    scores = _scores(shares, names).assign(support=counts.sum(axis=1))
    return Section(
        label="The untouched model",
        heading="How does the untouched model do?",
        answer=_answer(result, scores, counts) if len(table) else (EMPTY,),
        groups=(Group("", (_heat(shares, names),), columns=1),) if len(table) else (),
        tables=_tables(scores) if len(table) else (),
        reading=READING,
        limits=LIMITS,
    )


def _names(result: Result, table: pd.DataFrame) -> list[str]:
    """Class names in output order; output numbers where the summary names none."""
    last = int(table[["label", "predicted"]].to_numpy(dtype=np.int64).max(initial=-1))
    known = saved.classes(result)
    return [*known, *(str(i) for i in range(len(known), last + 1))]


def _confusion(table: pd.DataFrame, size: int, weighted: bool) -> np.ndarray:
    """Examples, or their weights, by true and predicted class."""
    matrix = np.zeros((size, size))
    places = table[["label", "predicted"]].to_numpy(dtype=np.int64)
    weights = table["weight"].fillna(1.0) if weighted else np.ones(len(table))
    np.add.at(matrix, (places[:, 0], places[:, 1]), np.asarray(weights, dtype=float))
    return matrix


def _scores(counts: np.ndarray, names: list[str]) -> pd.DataFrame:
    hits, support, said = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, precision = hits / support, hits / said
        f1 = 2 * hits / (support + said)
    columns = {"class": names, "precision": precision, "recall": recall}
    return pd.DataFrame({**columns, "f1": f1})


def _answer(result: Result, scores: pd.DataFrame, counts: np.ndarray) -> tuple[str, ...]:
    accuracy = saved.estimate(result.summary, "clean", "accuracy")
    macro = saved.estimate(result.summary, "clean", "macro_f1")
    start = (
        f"Accuracy is {prose.with_interval(accuracy)} and macro F1 {prose.with_interval(macro)}."
        if accuracy.known
        else f"{prose.number(np.trace(counts) / counts.sum())} of the rows are predicted correctly."
    )
    known = scores.dropna(subset=["recall"])
    if not len(known):
        return (start,)
    return start, _lowest(known) + _confused(counts, list(scores["class"]))


def _lowest(known: pd.DataFrame) -> str:
    """The class of least recall; where several share it, none of them is picked."""
    worst = saved.extreme(known, "recall", largest=False)
    recall = prose.number(worst["recall"])
    tied = known[known["recall"] <= worst["recall"] + ROUNDING]
    if len(tied) == len(known) > 1:
        return f"Every class has a recall of {recall}."
    names = prose.some([prose.quoted(name) for name in tied["class"]])
    if len(tied) > 1:
        return f"Recall is lowest for {names}: {recall} each."
    examples = prose.plural(int(worst["support"]), "example")
    return f"Recall is lowest for {names}: {recall} of {examples}."


def _confused(counts: np.ndarray, names: list[str]) -> str:
    off = counts - np.diag(np.diag(counts))
    if not off.sum():
        return ""
    i, j = np.unravel_index(int(off.argmax()), off.shape)
    if (off == off[i, j]).sum() > 1:
        return f" The commonest mistakes occur {prose.plural(int(off[i, j]), 'time')} each."
    return (
        f" The commonest mistake is to call {prose.quoted(names[int(i)])} "
        f"{prose.quoted(names[int(j)])} ({prose.plural(int(off[i, j]), 'time')})."
    )


def _heat(counts: np.ndarray, names: list[str]) -> Plot:
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = counts / counts.sum(axis=1, keepdims=True)
    recall = prose.figures(names, np.diag(shares))
    alt = f"Share of each true class by prediction. Recall: {recall}."
    cells = Heat(names, names, shares.tolist(), "predicted", "true class", limit=1.0)
    return heat("Confusion matrix", cells, alt=alt)


def _tables(scores: pd.DataFrame) -> tuple[Table, ...]:
    made = table_of("Per class", scores, SCORE_TABLE)
    return (made,) if made.rows else ()


SCORE_TABLE = (
    Column("class", "class", text),
    Column("examples", "support", COUNT),
    Column("precision", "precision"),
    Column("recall", "recall"),
    Column("F1", "f1"),
)
