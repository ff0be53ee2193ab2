"""Tables ``seeds.*``: the same audit under several seeds."""

from __future__ import annotations

from synapse_audit.tables.column import Column, count, number, share, text
from synapse_audit.tables.run import EFFECTS as CELLS
from synapse_audit.tables.shared import FRACTION, LAYER_INDEX, METHOD, RANKED_FOR, K
from synapse_audit.tables.table import of_finding

MEASURES = ("accuracy", "accuracy_drop", "macro_f1", "flip_rate", "redirect_rate", "collateral")
FIGURE = text("figure", "dotted path in `summary.json`")
SEEDS = count("seeds", "seeds", "seeds that have a value")

PURPOSE = tuple(
    CELLS.column(name)
    for name in (
        *("group", "space", "operator", "strength", "site", "position", "layers", "ranking"),
        *("ranked_for", "selection", "fraction", "source", "target", "parameter"),
    )
)
"""What makes cells of different seeds the same experiment."""


def _spread(name: str) -> tuple[Column, ...]:
    column = CELLS.column(name)
    of = {"": "mean", "_sd": "standard deviation", "_min": "smallest", "_max": "largest"}
    return tuple(
        number(f"{name}{end}", column.unit, f"{what} over seeds of: {column.meaning}")
        for end, what in of.items()
    )


FIGURES = of_finding(
    "seeds",
    "figures",
    "a figure of the summary",
    FIGURE,
    SEEDS,
    number("mean", "of the figure", "mean over seeds"),
    number("sd", "of the figure", "standard deviation over seeds (n − 1)"),
    number("low", "of the figure", "smallest value"),
    number("high", "of the figure", "largest value"),
    number("half_width", "of the figure", "mean half width of the runs' own intervals"),
)
NAMES = of_finding(
    "seeds",
    "names",
    "a name that some seeds gave as an answer",
    FIGURE,
    text("name", "the answer"),
    count("seeds", "seeds", "seeds that gave it"),
)
EFFECTS = of_finding(
    "seeds",
    "effects",
    "an experiment; draws of one seed are averaged first",
    *PURPOSE,
    SEEDS,
    *(column for name in MEASURES for column in _spread(name)),
)
RANKINGS = of_finding(
    "seeds",
    "rankings",
    "a ranking in one layer, under all pairs of seeds",
    METHOD,
    RANKED_FOR,
    LAYER_INDEX,
    count("pairs", "pairs", "pairs of seeds"),
    FRACTION,
    K,
    number("overlap", "share", "share of the top sets that is common, mean over pairs"),
    number("overlap_low", "share", "smallest pair"),
    number("overlap_high", "share", "largest pair"),
    number("spearman", "correlation", "rank correlation of the scores, mean over pairs"),
    share("chance", "share that is common to two random sets"),
)

TABLES = (FIGURES, NAMES, EFFECTS, RANKINGS)
