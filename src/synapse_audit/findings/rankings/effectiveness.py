"""What silencing each ranking's sets did, beside random sets of the same size, all in one sweep.

In: evidence. Out: one row per operator and ranking, and one per dissociated set.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from synapse_audit.artifacts import GLOBAL, REMOVAL_GROUPS, SILENCING, Evidence
from synapse_audit.effects.breaking import effective_examples, half_lost
from synapse_audit.effects.curves import random_controls, where
from synapse_audit.effects.random_controls import excess, prediction_band
from synapse_audit.effects.resampled import Sampled, accuracy, clean_accuracy
from synapse_audit.neurons.dissociation import READABLE
from synapse_audit.statistics import paired_interval
from synapse_audit.tables.agreement import DISSOCIATED, EFFECTIVENESS


class RandomControls(NamedTuple):
    """Random sets at several fractions, every draw run at each of them."""

    fractions: Float[np.ndarray, " points"]
    drops: Float[np.ndarray, "points draws"]
    samples: Float[np.ndarray, "points resamples"]
    """Accuracy, mean over draws."""


def cells_of(evidence: Evidence, operator: str) -> pd.DataFrame:
    """Removal cells of one operator on the blocks' outputs, all layers, pooled position."""
    return where(evidence.cells(*REMOVAL_GROUPS), {"operator": operator})


def random_controls_of(
    evidence: Evidence, cells: pd.DataFrame, ranking: str
) -> RandomControls | None:
    """The random controls of a ranking's sets among some cells; None where there is none."""
    drawn = random_controls(cells, ranking)
    table = drawn.pivot_table(index="fraction", columns="draw", values="action", aggfunc="first")
    table = table.dropna()
    if table.empty:
        return None
    found = accuracy(evidence, table.to_numpy().ravel().tolist())
    shape = (*table.shape, -1)
    clean = clean_accuracy(evidence).value[0]
    return RandomControls(
        fractions=table.index.to_numpy(dtype=np.float64),
        drops=clean - found.value.reshape(table.shape),
        samples=found.samples.reshape(shape).mean(axis=1),
    )


# ---- whole curves --------------------------------------------------------------------------------


def effectiveness_table(evidence: Evidence) -> pd.DataFrame:
    """How much silencing each ranking's top costs, on average over the fractions of the sweep.

    ``mean_drop``: mean over the fractions at which every ranking and every draw was run;
    ``random_drop``: the same for random sets, with the band in which one more set would lie;
    ``excess``: the difference, its interval over draws and examples, so that it holds 0 where a
    ranking's sets are nothing but more random sets; ``half_fraction``: where half the distance
    from clean accuracy to chance is lost, linear between grid points, null where never, with an
    interval that holds the gap between them. Limits: the mean weighs the grid's fractions equally,
    wherever they lie; all rankings whose sets take the same number of neurons in each layer have
    the same random sets.
    """
    rows = [row for operator in SILENCING for row in _rows(evidence, operator)]
    return pd.DataFrame(rows, columns=EFFECTIVENESS.names).astype(_numbers(EFFECTIVENESS.names, 2))


def _rows(evidence: Evidence, operator: str) -> Iterator[tuple[object, ...]]:
    cells = cells_of(evidence, operator)
    tops = where(cells, {"selection": "top", "ranked_for": GLOBAL})
    table = tops.pivot_table(index="fraction", columns="ranking", values="action", aggfunc="first")
    table = table.dropna()
    beside = {str(name): random_controls_of(evidence, cells, str(name)) for name in table.columns}
    for drawn in beside.values():
        if drawn is not None:
            table = table[table.index.isin(drawn.fractions)]
    if table.empty:
        return
    fractions = table.index.to_numpy(dtype=np.float64)
    for ranking, mine in beside.items():
        curve = accuracy(evidence, table[ranking].tolist())
        yield (
            operator,
            ranking,
            len(fractions),
            *_mean_drop(evidence, curve),
            *_excess(evidence, curve, mine, fractions),
            *_half(evidence, fractions, table[ranking].tolist()),
            0 if mine is None else mine.drops.shape[1],
        )


def _mean_drop(evidence: Evidence, curve: Sampled) -> tuple[float, float, float]:
    clean = clean_accuracy(evidence)
    value = np.asarray((clean.value - curve.value).mean())
    samples = (clean.samples - curve.samples).mean(axis=0)
    ends = paired_interval(value, samples, effective_examples(evidence))
    return float(value), float(ends.low), float(ends.high)


def _excess(
    evidence: Evidence,
    curve: Sampled,
    drawn: RandomControls | None,
    fractions: Float[np.ndarray, " points"],
) -> tuple[float, ...]:
    """Random drop with its band, then excess with its interval."""
    if drawn is None:
        return (np.nan,) * 6
    at = np.isin(drawn.fractions, fractions)
    by_draw = drawn.drops[at].mean(axis=0)
    band = prediction_band(by_draw)
    drop = float((clean_accuracy(evidence).value - curve.value).mean())
    found = excess(drop, by_draw, (drawn.samples[at] - curve.samples).mean(axis=0))
    return float(by_draw.mean()), float(band.low), float(band.high), *found


def _half(
    evidence: Evidence, fractions: Float[np.ndarray, " points"], actions: list[str]
) -> tuple[float, float, float, float]:
    found = half_lost(evidence, fractions, actions)
    return found.value, found.low, found.high, found.never_share


# ---- dissociated sets ----------------------------------------------------------------------------


def dissociated_table(evidence: Evidence) -> pd.DataFrame:
    """What silencing readable but unused, and used but unreadable, neurons costs.

    One row per operator, selection and fraction; columns as in :func:`effectiveness_table`.
    """
    rows = [row for operator in SILENCING for row in _dissociated(evidence, operator)]
    return pd.DataFrame(rows, columns=DISSOCIATED.names).astype(_numbers(DISSOCIATED.names, 3))


def _dissociated(evidence: Evidence, operator: str) -> Iterator[tuple[object, ...]]:
    mine = where(evidence.cells("dissociated"), {"operator": operator})
    mine = mine.sort_values(["selection", "fraction"])
    drawn = (
        random_controls_of(evidence, cells_of(evidence, operator), READABLE) if len(mine) else None
    )
    for _, cell in mine.iterrows():
        curve = accuracy(evidence, [cell["action"]])
        fraction = float(cell["fraction"])
        known = drawn if drawn is not None and fraction in drawn.fractions else None
        yield (
            operator,
            cell["selection"],
            cell["used"],
            fraction,
            int(cell["k"]),
            *_mean_drop(evidence, curve),
            *_excess(evidence, curve, known, np.array([fraction])),
            0 if known is None else known.drops.shape[1],
        )


def _numbers(columns: list[str], names: int) -> dict[str, str]:
    """Column types, so that an empty table has them too; the first ``names`` columns are text."""
    whole = dict.fromkeys((c for c in columns if c in ("fractions", "k", "draws")), "int64")
    text = dict.fromkeys(columns[:names], "object")
    return dict.fromkeys(columns, "float64") | whole | text
