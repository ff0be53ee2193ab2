"""How small an edit of its row switches one label on or off.

In: the cells that push each label's row, the clean logits, the head. Out: two tables and the
figures ``switching``. A label's row is read by no other label, so edits of it change none: the
column ``collateral`` shows it. The constants are exact, from the clean logits; ``possible`` bounds
every edit of a size from above, since each example is given its own best one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from synapse_audit.artifacts import Evidence, Finding
from synapse_audit.effects.curves import where
from synapse_audit.effects.minimum_edit_norms import with_bias
from synapse_audit.effects.selection import widened
from synapse_audit.statistics import interval, weighted_quantiles
from synapse_audit.summary import Figure
from synapse_audit.tables.label_sets import CONSTANTS, SWITCHING

HALF = 0.5
ON, OFF = "on", "off"

LEAST_MOVABLE = 5
"""Examples that could be switched, from which a label is called easiest."""


class Aim(NamedTuple):
    """One label in one direction."""

    label: int
    direction: str
    movable: Bool[np.ndarray, " examples"]
    """Examples that are not so when clean."""
    distance: Float[np.ndarray, " examples"]
    """What must be added to the logit (on), or taken from it (off); of others infinite."""


def switching(evidence: Evidence) -> Finding:
    """What pushes of each label's row reach, and the constant that would."""
    aims = list(_aims(evidence))
    budgets = budgets_table(evidence, aims)
    tables = {"budgets": budgets, "constants": constants_table(evidence, aims)}
    figures = {direction: easiest(budgets, direction) for direction in (ON, OFF)}
    return Finding("switching", tables, {"switching": figures})


def _aims(evidence: Evidence) -> Iterator[Aim]:
    logits = evidence.predictions.logits.astype(np.float64)
    for label in range(len(evidence.classes)):
        said = logits[:, label] > 0
        for direction, movable in ((ON, ~said), (OFF, said)):
            distance = np.where(movable, np.abs(logits[:, label]), np.inf)
            yield Aim(label, direction, movable, distance)


def budgets_table(evidence: Evidence, aims: list[Aim]) -> pd.DataFrame:
    """``SWITCHING``: one row per label, direction and size; only where an example can move."""
    pushes = evidence.cells("push")
    size = np.linalg.norm(with_bias(evidence.head_input), axis=1)
    rows = []
    for aim in aims:
        name = evidence.classes[aim.label]
        column = "target" if aim.direction == ON else "source"
        mine = where(pushes, {column: name}).sort_values("strength")
        norm = float(np.linalg.norm(evidence.head_weight[aim.label]))
        drawn = where(mine, {"selection": "random"}).set_index("strength")["redirect_rate"]
        for row in where(mine, {"selection": "top"}).to_dict("records"):
            if not aim.movable.any():
                continue
            reach = aim.distance < row["strength"] * norm * size
            weight = evidence.weights * aim.movable
            rows.append(
                {
                    "label": name,
                    "direction": aim.direction,
                    "budget": row["strength"],
                    "rate": row["redirect_rate"],
                    "rate_low": row["redirect_rate_low"],
                    "rate_high": row["redirect_rate_high"],
                    "random_rate": drawn.get(row["strength"], np.nan),
                    "possible": float((weight * reach).sum() / weight.sum()),
                    "collateral": row["collateral"],
                    "movable": int(aim.movable.sum()),
                }
            )
    return pd.DataFrame(rows, columns=SWITCHING.names)


def constants_table(evidence: Evidence, aims: list[Aim]) -> pd.DataFrame:
    """``CONSTANTS``: quantiles of the distance to the threshold of those that could be switched."""
    weights, shares = evidence.weights.astype(np.float64)[:, None], [0.25, 0.5, 0.9]
    rows = []
    for aim in aims:
        if not aim.movable.any():
            continue
        value = weighted_quantiles(aim.distance, weights, shares, aim.movable)[0]
        samples = weighted_quantiles(aim.distance, evidence.resampled, shares, aim.movable)
        low, high = interval(samples.T)
        rows.append(
            {
                "label": evidence.classes[aim.label],
                "direction": aim.direction,
                "movable": int(aim.movable.sum()),
                "quarter": value[0],
                "half": value[1],
                "half_low": low[1],
                "half_high": high[1],
                "most": value[2],
            }
        )
    return pd.DataFrame(rows, columns=CONSTANTS.names)


def easiest(budgets: pd.DataFrame, direction: str) -> Figure:
    """The smallest push that switches half of the examples that could be, over all labels.

    ``high``: the smallest that does so with certainty, for all pushes tried at once; ``labels``:
    all that are switched with ``value``. The row must be known to have ``LEAST_MOVABLE`` examples.
    """
    rows: Any = where(budgets, {"direction": direction}).dropna(subset=["rate"])
    rows = rows[rows["movable"] >= LEAST_MOVABLE]
    if rows.empty:
        return Figure.unknown(
            f"no label has {LEAST_MOVABLE} examples that could be switched {direction}"
        )
    enough = rows[rows["rate"] >= HALF]
    tried = {"tried": len(rows)}
    if enough.empty:
        return Figure(np.nan, reason="no push that was tried is enough", beside=tried)
    ends = (rows[name].to_numpy(dtype=float) for name in ("rate", "rate_low", "rate_high"))
    sure = rows["budget"][widened(*ends, among=len(rows)).low >= HALF].min()
    first = enough[enough["budget"] == enough["budget"].min()]
    labels = list(first.sort_values("rate", ascending=False)["label"])
    beside = tried | {"labels": labels}
    return Figure(float(first["budget"].iloc[0]), high=sure, beside=beside)
