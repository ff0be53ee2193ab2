"""Where knowledge sits: probe accuracy per layer, and how steeply rankings fall off.

Reads ``probes`` and ``rankings``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import RATE_AXIS, Axes, Line, curves, legend
from synapse_audit.report.kit.heat import Heat, heat
from synapse_audit.report.kit.tables import Column, table_of, text
from synapse_audit.report.kit.theme import SERIES
from synapse_audit.tables.run import PROBES, RANKINGS

BINS = 10
SHORT = {"head_input": "head", "paper_converged": "converged"}
MEASURES = {
    "accuracy": ("probe, unseen examples", SERIES[0]),
    "control_accuracy": ("control: permuted labels, fitted examples", SERIES[1]),
    "majority_accuracy": ("always the commonest class", SERIES[2]),
    "null_accuracy": ("leak check: control probe on unseen examples", SERIES[4]),
}
EMPTY = "This section is empty: the run holds no probes (table probes)."
READING = (
    "A probe is a linear classifier that reads the label from one layer of the untouched model. "
    "High accuracy says that the label can be read there, not that the model uses it there.",
    "The control probe is fitted to labels permuted over the same inputs: what it reaches on its "
    "own examples is memorisation. The leak check is that probe on unseen examples and should sit "
    "near chance.",
    "In the heat strip each row is a layer, and neurons run from the most to the least important "
    "tenth; colour is the mean score relative to the strongest tenth of the same layer.",
)
LIMITS = (
    "One fit per layer, so no interval is drawn; differences of a point or two between layers mean "
    "little.",
    "Scores of different layers are not comparable; the strip compares neurons within a row only.",
)


def probes(result: Result) -> Section:
    """Probe accuracy over layers with control, majority and leak check."""
    table = saved.frame(result, PROBES)
    layers, others = _by_layer(table)
    strip = _strip(result)
    return Section(
        label="Probes by layer",
        heading="Where can the label be read?",
        answer=_answer(layers, others) if len(layers) else (EMPTY,),
        groups=tuple(g for g in (_curves(layers, others), strip) if g.figures),
        tables=_tables(table),
        reading=READING,
        limits=LIMITS,
    )


def _by_layer(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of single layers with a numeric ``layer``, ascending, and the other scopes."""
    layer = pd.to_numeric(table["scope"], errors="coerce")
    single = table.assign(layer=layer)[layer.notna()].sort_values("layer")
    return single.dropna(subset=["accuracy"]), table[layer.isna()].dropna(subset=["accuracy"])


def _answer(layers: pd.DataFrame, others: pd.DataFrame) -> tuple[str, ...]:
    best = saved.extreme(layers, "accuracy")
    close = layers[layers["accuracy"] >= best["accuracy"] - 0.01]
    first = close.iloc[0]
    sentences = [
        f"The label can be read linearly with accuracy {prose.number(best['accuracy'])} from layer "
        f"{prose.whole(best['layer'])} (always the commonest class: "
        f"{prose.number(best['majority_accuracy'])}); layer {prose.whole(first['layer'])} is the "
        "first within one point of that.",
        f"At layer {prose.whole(layers.iloc[0]['layer'])} it is "
        f"{prose.number(layers.iloc[0]['accuracy'])}, and the control probe of the best layer "
        f"memorises permuted labels with accuracy {prose.number(best['control_accuracy'])}.",
    ]
    return (*sentences, *_leak(layers, others))


def _leak(layers: pd.DataFrame, others: pd.DataFrame) -> tuple[str, ...]:
    rows = pd.concat([layers, others])
    above = (rows["null_accuracy"] - rows["majority_accuracy"]).max()
    if not above > 0.05:
        return ()
    return (
        f"Careful: a probe fitted to permuted labels is up to {prose.number(above)} above the "
        "commonest class on unseen examples, which chance should not reach; inputs may leak "
        "between splits.",
    )


def _curves(layers: pd.DataFrame, others: pd.DataFrame) -> Group:
    if not len(layers):
        return Group("", ())
    ends = int(layers["layer"].max())
    spots = {scope: ends + 1 + i for i, scope in enumerate(others["scope"].astype(str))}
    others = others.assign(at=others["scope"].map(spots))
    drawn = [one for column in MEASURES for one in _measure(layers, others, column)]
    names = {**{int(v): str(int(v)) for v in layers["layer"]}, **{v: k for k, v in spots.items()}}
    ticks = {"tickvals": list(names), "ticktext": [SHORT.get(n, n) for n in names.values()]}
    axes = Axes("layer (0 = embeddings)", "accuracy", {**ticks, "showgrid": False}, RATE_AXIS)
    values = ", ".join(prose.number(v) for v in layers["accuracy"])
    alt = f"Probe accuracy by layer, from layer {prose.whole(layers['layer'].min())}: {values}."
    figure = curves("How well the label can be read from each layer", drawn, axes, alt=alt)
    return Group("", (figure,), legend([drawn]), columns=1)


def _measure(layers: pd.DataFrame, others: pd.DataFrame, column: str) -> list[Line]:
    """One line over the layers, and a lone point for every other scope."""
    if layers[column].isna().all():
        return []
    name, style = MEASURES[column]
    apart = others.dropna(subset=[column])
    points = zip(apart["at"], apart[column], strict=True)
    along = Line(name, style, layers["layer"].tolist(), layers[column].tolist())
    return [along, *(Line(name, style, [at], [y]) for at, y in points)]


def _strip(result: Result) -> Group:
    table = saved.frame(result, RANKINGS)
    found = saved.rows(table, ranked_for=None).dropna(subset=["score", "rank"])
    methods = saved.in_order(found["method"].tolist(), (saved.facts(result).ranking,))
    figures = tuple(_profile(method, saved.rows(found, method=method)) for method in methods[:2])
    blank = saved.rows(found, rank=1)["score"].le(0).any()
    note = (
        "A blank row: the ranking gives no neuron of that layer a score above 0." if blank else ""
    )
    return Group("How steeply importance falls off within a layer", figures, note=note)


def _profile(method: str, rows: pd.DataFrame) -> Plot:
    """Mean score per tenth of the neurons, relative to the strongest tenth of the layer."""
    layers = sorted(set(rows["layer"]))
    tenths = [_tenths(saved.rows(rows, layer=layer)) for layer in layers]
    names = [str(i + 1) for i in range(BINS)]
    last = prose.listing([prose.number(row[-1], 2) for row in tenths])
    alt = f"Ranking {prose.plain(method)}: the weakest tenth scores {last} of the strongest tenth."
    layer_names = [prose.whole(layer) for layer in layers]
    matrix = Heat(names, layer_names, tenths, "tenth of the neurons, by rank", "layer", limit=1.0)
    return heat(f"Ranking “{prose.short(method)}”", matrix, alt=alt)


def _tenths(rows: pd.DataFrame) -> list[float]:
    scores = rows.sort_values("rank")["score"].to_numpy(dtype=float)
    means = [float(part.mean()) if len(part) else np.nan for part in np.array_split(scores, BINS)]
    return [m / means[0] if means[0] > 0 else np.nan for m in means]


def _tables(table: pd.DataFrame) -> tuple[Table, ...]:
    shown = table_of("Probes", table, PROBE_TABLE)
    return (shown,) if shown.rows else ()


PROBE_TABLE = (
    Column("scope", "scope", text),
    Column("accuracy", "accuracy"),
    Column("macro F1", "macro_f1"),
    Column("commonest class", "majority_accuracy"),
    Column("accuracy on fit", "fit_accuracy"),
    Column("control on fit", "control_accuracy"),
    Column("selectivity", "selectivity"),
    Column("leak check", "null_accuracy"),
    Column("strength (C)", "strength"),
)
