"""Token means: probes and rankings on the mean over tokens beside the token that the head reads.

Reads ``token_means.probes``, ``token_means.overlap`` and the summary.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import RATE_AXIS, Axes, Line, curves, legend
from synapse_audit.report.kit.lines import Columns, line
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import BOTTOM, MATCHED, RANDOM, TOP
from synapse_audit.tables.token_means import OVERLAP, PROBES

EMPTY = (
    "This section is empty: the run fitted no probes to means over tokens (grid: token_means), or "
    "the head reads several tokens itself."
)
NO_FIGURE = "The means over layers are not in the summary of this run; the tables have every layer."
READING = (
    "The head reads one token. Probes and rankings are made twice: of that token's states, as "
    "everywhere else in this report, and of the mean over all tokens of an input.",
    "Overlap is the share of neurons that both top tenths have in common. Found again is the share "
    "of a top tenth that the same ranking finds on resamples of the fitting examples: two readings "
    "cannot be expected to agree more than each agrees with itself.",
)
LIMITS = (
    "Neurons of both are those of the same layer, but a neuron may mean different things at "
    "different tokens.",
    "Nothing is silenced here: where the rankings differ, this does not say which is right. All "
    "interventions use the token's rankings.",
)
POOLED, MEAN = Columns("layer", "pooled_accuracy"), Columns("layer", "mean_accuracy")
METHODS = {"probe": TOP, "probeless": BOTTOM}


def token_means(result: Result) -> Section:
    """Accuracy by layer, and overlap of top sets beside chance."""
    read = saved.frame(result, PROBES).dropna(subset=["gain"])
    shared = saved.frame(result, OVERLAP).dropna(subset=["overlap"])
    pairs = [pair for pair in (_accuracy(read), _overlap(shared)) if pair is not None]
    figures, lines = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return Section(
        label="One token or all",
        heading="Do all tokens tell the same as the one that the head reads?",
        answer=_answer(result) if len(read) or len(shared) else (EMPTY,),
        groups=(Group("", tuple(figures), legend(lines)),) if figures else (),
        tables=_tables(read, shared),
        reading=READING,
        limits=LIMITS,
    )


# ---- sentences ---------------------------------------------------------------------------------


def _answer(result: Result) -> tuple[str, ...]:
    parts = [_gain(result), *(_shared(result, method) for method in METHODS)]
    return tuple(part for part in parts if part) or (NO_FIGURE,)


def _gain(result: Result) -> str:
    found = saved.estimate(result.summary, "token_means", "gain")
    if not found.known:
        return ""
    said = "Probes on the mean over all tokens"
    if found.low <= 0 <= found.high:
        return (
            f"{said} are not shown to read the label better or worse than probes on the head's "
            f"token: mean difference over blocks {prose.with_interval(found)}."
        )
    return (
        f"{said} read the label with {prose.more(found.value, found.low, found.high)} accuracy "
        "than probes on the head's token, mean over blocks."
    )


def _shared(result: Result, method: str) -> str:
    found = saved.estimate(result.summary, "token_means", "overlap", method)
    if not found.known:
        return ""
    at = {name: prose.as_float(value) for name, value in found.beside.items()}
    chance = f"chance {prose.percent(at.get('chance'), 2)}"
    band = prose.span_of_shares(
        *(round(prose.as_float(at.get(f"chance_{end}")), 3) for end in ("low", "high"))
    )
    said = (
        f"By {method}, the top {prose.percent(at.get('fraction'))} of both share "
        f"{prose.percent(found.value, 2)} of their neurons ({chance}, random pairs {band})"
    )
    again = [prose.percent(at[n], 2) for n in ("pooled_again", "mean_again") if n in at]
    if len(again) == 2:
        return f"{said}; on resamples each finds {prose.listing(again)} of its own again."
    return f"{said}."


# ---- figures -----------------------------------------------------------------------------------


def _accuracy(read: pd.DataFrame) -> tuple[Plot, list[Line]] | None:
    if read.empty:
        return None
    rows = read.sort_values("layer")
    lines = [line("probe on the head's token", TOP, rows, POOLED)]
    lines.append(line("probe on the mean over tokens", MATCHED, rows, MEAN))
    axes = Axes("layer", "accuracy", {"dtick": 1}, RATE_AXIS)
    return curves("Probe accuracy", lines, axes, alt=_alt("Probe accuracy by layer", lines)), lines


def _overlap(shared: pd.DataFrame) -> tuple[Plot, list[Line]] | None:
    rows = shared[shared["layer"].notna()].sort_values("layer")
    columns = Columns("layer", "overlap")
    lines = [
        line(f"overlap by {method}", style, saved.rows(rows, method=method), columns)
        for method, style in METHODS.items()
        if len(saved.rows(rows, method=method))
    ]
    if not lines:
        return None
    one = saved.rows(rows, method=rows["method"].iloc[0])
    band = Columns("layer", "chance", "chance_low", "chance_high")
    lines.append(line("random sets", RANDOM, one, band))
    axes = Axes("layer", "share in common", {"dtick": 1}, RATE_AXIS)
    title = "Top tenths in common"
    return curves(title, lines, axes, alt=_alt(f"{title}, by layer", lines)), lines


def _alt(title: str, lines: list[Line]) -> str:
    return f"{title}. {'; '.join(f'{o.name}: {prose.figures(o.x, o.y)}' for o in lines)}."


# ---- tables ------------------------------------------------------------------------------------


def _tables(read: pd.DataFrame, shared: pd.DataFrame) -> tuple[Table, ...]:
    layer = shared["layer"].map(lambda m: "all blocks" if pd.isna(m) else prose.whole(m))
    made = (
        table_of("Probes", with_intervals(read, "gain"), READ),
        table_of(
            "Top sets in common", with_intervals(shared.assign(layer=layer), "chance"), SHARED
        ),
    )
    return tuple(one for one in made if one.rows)


READ = (
    Column("layer", "layer", COUNT),
    Column("head's token", "pooled_accuracy"),
    Column("mean over tokens", "mean_accuracy"),
    Column("difference", "gain"),
    Column("95% interval", "gain_interval", text),
)
SHARED = (
    Column("layer", "layer", text),
    Column("ranking", "method", text),
    Column("share of the layer", "fraction", SHARE),
    Column("in common", "overlap"),
    Column("chance", "chance"),
    Column("95% of random pairs", "chance_interval", text),
    Column("token, found again", "pooled_again"),
    Column("mean, found again", "mean_again"),
)
