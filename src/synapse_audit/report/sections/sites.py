"""Sites: which part of a block carries the knowledge.

Reads ``sites.removal`` and ``sites.sublayers``.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import Axes, Line, curves, legend
from synapse_audit.report.kit.lines import Columns, line
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import BOTTOM, MATCHED, TOP, Style
from synapse_audit.tables.sites import REMOVAL, SUBLAYERS

NAMES = {
    "attention_output": "attention output",
    "mlp_output": "MLP output",
    "mlp_activation": "MLP activations",
    "head_input": "head input",
    "block_output": "block output",
}
STYLES: dict[str, Style] = {
    "attention_output": TOP,
    "mlp_output": BOTTOM,
    "mlp_activation": MATCHED,
}
"""Sites of the figure; all of the head's input is all that the model knows, which says nothing."""

DROP = Columns("layer", "drop", "drop_low", "drop_high")
EMPTY = "This section is empty: the run swept no site besides the block output (grid: sites)."
NO_FIGURE = "Which layer costs most is not in the summary of this run; the table has every loss."
READING = (
    "A block adds to the residual stream twice: the attention output and the MLP output. The "
    "MLP activations are the neurons inside the MLP. Silencing a whole sublayer at the pooled "
    "position holds everything it adds there at its average.",
    "The table sets top-ranked neurons of each site beside equally many random ones. Neurons of "
    "these sites are ranked by the distance of their class means (probeless).",
)
LIMITS = (
    "A sublayer that can be silenced alone at no cost may still be needed together with others: "
    "the residual stream carries the same information past it.",
    "The same share means different numbers of neurons at different sites.",
    "The largest of several losses is quoted, so it leans upward; its interval holds for all "
    "layers of that site at once. The table has all of them, each with its own.",
)


def sites(result: Result) -> Section:
    """Cost of whole sublayers by layer, and of shares of each site."""
    sublayers = saved.frame(result, SUBLAYERS).dropna(subset=["drop"])
    removal = saved.frame(result, REMOVAL).dropna(subset=["drop"])
    inside = [site for site in STYLES if (sublayers["site"] == site).any()]
    lines = [_line(site, sublayers) for site in inside]
    return Section(
        label="Attention and MLP",
        heading="Which part of a block matters?",
        answer=_answer(result, sublayers) if len(sublayers) else (EMPTY,),
        groups=(Group("", (_figure(lines),), legend([lines]), columns=1),) if lines else (),
        tables=_tables(removal, sublayers),
        reading=READING,
        limits=LIMITS,
    )


def _answer(result: Result, sublayers: pd.DataFrame) -> tuple[str, ...]:
    swept = [site for site in NAMES if (sublayers["site"] == site).any()]
    return tuple(filter(None, (_costliest(result, site) for site in swept))) or (NO_FIGURE,)


def _costliest(result: Result, site: str) -> str:
    """What the sublayer that costs most costs; it is named where it differs from the others."""
    found = saved.estimate(result.summary, "sites", site, "largest_drop")
    if not found.known:
        return ""
    tried, tied = prose.as_float(found.beside.get("tried")), found.beside.get("tied") or ()
    layer = saved.dig(result.summary, "sites", site, "layer")
    falls = f"accuracy {prose.falls(found.value, found.low, found.high)}"
    if tried == 1:
        return f"With the whole {NAMES[site]} silenced, {falls}."
    if not found.low > 0:
        most = f"with the costliest silenced, accuracy {prose.falls(found.value)} in this sample"
        return f"The {NAMES[site]} of no single layer is shown to cost accuracy ({most})."
    if layer is None:
        several = prose.listing([prose.whole(one) for one in tied])
        return (
            f"With the whole {NAMES[site]} of the costliest layer silenced, {falls}; layers "
            f"{several} are indistinguishable in that."
        )
    return (
        f"With the whole {NAMES[site]} in layer {prose.whole(layer)} silenced, {falls}, the most."
    )


def _line(site: str, sublayers: pd.DataFrame) -> Line:
    rows = sublayers[sublayers["site"] == site].sort_values("layer")
    return line(NAMES[site], STYLES[site], rows, DROP)


def _figure(lines: list[Line]) -> Plot:
    parts = [f"{one.name}: {prose.figures(one.x, one.y)}" for one in lines]
    axes = Axes("layer", "accuracy lost", x_options={"dtick": 1})
    alt = f"Accuracy lost when a whole sublayer is silenced, by layer. {'; '.join(parts)}."
    return curves("A whole sublayer held at its mean, one layer at a time", lines, axes, alt=alt)


def _tables(removal: pd.DataFrame, sublayers: pd.DataFrame) -> tuple[Table, ...]:
    named = removal.assign(site=removal["site"].map(lambda name: NAMES.get(name, name)))
    whole = sublayers.assign(site=sublayers["site"].map(lambda name: NAMES.get(name, name)))
    made = (
        table_of("Shares of each site", with_intervals(named, "drop", "random"), SHARES),
        table_of("Whole sublayers", with_intervals(whole, "drop"), WHOLE),
    )
    return tuple(one for one in made if one.rows)


SHARES = (
    Column("site", "site", text),
    Column("operator", "operator", text),
    Column("position", "position", text),
    Column("share silenced", "fraction", SHARE),
    Column("neurons", "selection", text),
    Column("accuracy lost", "drop"),
    Column("95% interval", "drop_interval", text),
    Column("random neurons", "random_drop"),
    Column("band of one more draw", "random_interval", text),
)
WHOLE = (
    Column("site", "site", text),
    Column("layer", "layer", COUNT),
    Column("neurons", "neurons", COUNT),
    Column("accuracy lost", "drop"),
    Column("95% interval", "drop_interval", text),
)
