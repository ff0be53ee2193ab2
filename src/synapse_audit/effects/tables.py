"""Outcomes → the tables of effects.

Each distinct (action, target, source) is measured once, in chunks that bound memory, and joined
to every cell that asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Float32, Int

from synapse_audit.artifacts import Cell, Outcomes, Plan, Predictions
from synapse_audit.effects.controls import adjusted, positions
from synapse_audit.effects.estimates import bounded
from synapse_audit.effects.measures import METRICS, class_sizes
from synapse_audit.effects.samples import CellBasis, retested
from synapse_audit.effects.scored import Scored, ScoredSets
from synapse_audit.effects.set_measures import SET_METRICS
from synapse_audit.effects.two_phase import direct_phases, phase_error
from synapse_audit.memory import row_chunks
from synapse_audit.statistics import mcnemar, resampled_weights
from synapse_audit.tables.run import CLASS_EFFECTS, EFFECTS

ESTIMABLE = ("suffix", "two-phase")
"""Routes of pooled cells for which the stream route was run as well."""

COLUMNS: dict[str, str] = EFFECTS.types | {"n": "int64"}
"""Columns of the effects table in order, with their pandas types."""

SET_COLUMNS: tuple[str, ...] = tuple(column.name for column in EFFECTS.optional)
"""Further columns where examples have sets of labels."""

CLASS_COLUMNS: dict[str, str] = CLASS_EFFECTS.types | {"support": "int64"}
"""Columns of the class effects table in order, with their pandas types."""

_OF_CELL = {field.name for field in fields(Cell)} & {*COLUMNS} | {"k", "parameter"}
"""Columns that a cell itself has."""


OVER_CLASSES = [
    f"{name}{end}" for name in ("macro_f1", "weighted_f1") for end in ("", "_low", "_high")
]
"""Means over classes: unknown where some class has hardly an example in a sample."""


class Tables(NamedTuple):
    """What :func:`measure` returns."""

    effects: pd.DataFrame
    """One row per cell in plan order: COLUMNS, and of sets of labels SET_COLUMNS. Not applicable is
    null, never 0."""
    class_effects: pd.DataFrame
    """One row per cell and class: CLASS_COLUMNS; ``support`` counts the examples that the row rests
    on, unweighted."""


def measure(
    plan: Plan,
    outcomes: Outcomes,
    *,
    predictions: Predictions,
    classes: tuple[str, ...],
    weights: Float[np.ndarray, " examples"] | None = None,
    resampled: Float32[np.ndarray, "examples resamples"] | None = None,
    tests: bool = True,
    strata: Int[np.ndarray, " examples"] | None = None,
) -> Tables:
    """Every metric of every cell, with intervals and controls.

    Args:
        plan: the cells; every action must be among the outcomes.
        outcomes: what the model said, on the ``evaluate`` examples.
        predictions: what the untouched model said, on the same examples.
        classes: names in the model's output order.
        weights: of the same examples; 1 each where None.
        resampled: from ``resampled_weights``; all intervals share them. None: 1,000 resamples of
            single examples, seed 0.
        tests: whether curves are tested; otherwise ``p_adjusted`` is null.
        strata: by what the examples are resampled, where predictions are sets of labels; there
            accuracy is that of whole sets.

    Raises:
        DataError: no example.
    """
    if weights is None:
        weights = np.ones(len(predictions.labels))
    if resampled is None:
        known = predictions.labels if strata is None else strata
        resampled = resampled_weights(known, weights)
    row_of = {_row_key(cell): cell for cell in plan.cells}
    order = {key: row for row, key in enumerate(row_of)}
    base = CellBasis(
        predictions.labels.astype(np.int64),
        predictions.predicted.astype(np.int64),
        weights.astype(np.float64)[:, None],
        resampled,
        classes,
        strata=strata,
    )
    measured = _measure_rows(base, list(row_of.values()), outcomes)
    joined = np.array([order[_row_key(cell)] for cell in plan.cells], dtype=np.int64)
    measured = {name: values[..., joined] for name, values in measured.items()}
    class_values = {name: measured.pop(name) for name in [*CLASS_COLUMNS][2:]}
    rows = outcomes.rows([cell.action for cell in plan.cells])
    measured["phase_se"] = phase_error(outcomes, base.labels, weights.astype(np.float64))[rows]
    effects = _effects(plan, measured, len(predictions.labels))
    effects = effects.assign(**_phases(plan, outcomes, base))
    if strata is not None:
        effects = effects.assign(**{name: measured[name] for name in SET_COLUMNS})
    if tests:
        effects["p_adjusted"] = adjusted(effects)
    return Tables(effects, _class_effects(plan, classes, class_values))


def _measure_rows(
    base: CellBasis, cells: list[Cell], outcomes: Outcomes
) -> dict[str, Float[np.ndarray, "*classes rows"]]:
    rows = outcomes.rows([cell.action for cell in cells])
    estimated = np.zeros(len(rows), dtype=bool)
    if outcomes.direct is not None:
        estimated = outcomes.direct.estimated[rows]
    resamples = base.resampled.shape[1]
    parts, order = [], []
    for basis, places in _bases(base, rows, outcomes):
        for some in row_chunks(len(places), max(len(basis.labels), len(base.classes) * resamples)):
            mine = places[some]
            values = _measure_chunk(basis.score([cells[place] for place in mine], outcomes))
            if basis.thin(base.labels):
                values |= {name: np.full(len(mine), np.nan) for name in OVER_CLASSES}
            parts.append(retested(values, estimated[mine]))
            order.append(mine)
    back = np.argsort(np.concatenate(order))
    return {name: np.concatenate([p[name] for p in parts], axis=-1)[..., back] for name in parts[0]}


def _bases(
    base: CellBasis, rows: Int[np.ndarray, " rows"], outcomes: Outcomes
) -> Iterator[tuple[CellBasis, Int[np.ndarray, " places"]]]:
    """Which rows rest on all examples, and which on each sample."""
    direct = outcomes.direct
    sample = np.full(len(rows), -1) if direct is None else direct.sampled[rows]
    for number in np.unique(sample) if len(sample) else (-1,):
        basis = base if direct is None or number < 0 else base.sampled(direct, int(number))
        yield basis, np.flatnonzero(sample == number)


def _row_key(cell: Cell) -> tuple[str, str | None, str | None]:
    return cell.action, cell.target, cell.source


def _measure_chunk(scored: Scored) -> dict[str, Float[np.ndarray, "*classes rows"]]:
    values: dict[str, np.ndarray] = {}
    metrics = SET_METRICS if isinstance(scored, ScoredSets) else METRICS
    for name, metric in metrics.items():
        values[name], low, high = metric(scored)
        if f"{name}_low" in {*COLUMNS, *SET_COLUMNS}:
            values |= {f"{name}_low": low, f"{name}_high": high}
    right = scored.phases.predicted == scored.labels
    values["p_value"] = mcnemar(scored.clean == scored.labels, right)
    return values | _measure_classes(scored)


def _measure_classes(scored: Scored) -> dict[str, Float[np.ndarray, "classes rows"]]:
    recall = np.clip(scored.counts.recall[..., 0], 0.0, 1.0)
    sizes = np.broadcast_to(class_sizes(scored)[:, None], recall.shape)
    samples, estimated = scored.resampled_counts.recall, scored.phases.estimated
    bounds = bounded(recall, samples, sizes, estimated=estimated)
    clean = scored.clean_recall
    members = scored.members.sum(axis=1).astype(np.float64)
    return {
        "support": np.repeat(members[:, None], recall.shape[1], axis=1),
        "recall": recall,
        "recall_low": bounds.low,
        "recall_high": bounds.high,
        "precision": scored.counts.precision[..., 0],
        "f1": scored.counts.f1[..., 0],
        "recall_drop": clean[:, None] - recall,
    }


def _phases(plan: Plan, outcomes: Outcomes, base: CellBasis) -> dict[str, pd.Series[Any]]:
    """How many examples were exact, and the drop along the pooled row alone where it was run."""
    if outcomes.direct is None:
        return {}
    rows = outcomes.rows([cell.action for cell in plan.cells])
    weights = base.weights[:, 0] / base.weights.sum()
    clean = float(weights @ (base.clean == base.labels))
    # Row by row: a product of truth values and weights would make numbers of the whole array.
    drops = clean - np.array([weights @ (row == base.labels) for row in outcomes.direct.predicted])
    for some in row_chunks(len(drops), len(weights)):
        # A set that met a part of the examples has no prediction for the others.
        mine = np.arange(len(drops))[some]
        mine = mine[outcomes.direct.sampled[mine] >= 0]
        said = direct_phases(outcomes, outcomes.direct, mine)
        if len(mine):
            drops[mine] = clean - said.of(lambda predicted: predicted == base.labels) @ weights
    ran = [c.position == "pooled" and plan.routes[c.action] in ESTIMABLE for c in plan.cells]
    return {
        "n_exact": pd.Series(outcomes.direct.n_exact[rows], dtype="Int64"),
        "direct_drop": pd.Series(np.where(ran, drops[rows], np.nan), dtype="float64"),
    }


def _effects(
    plan: Plan, measured: Mapping[str, Float[np.ndarray, " cells"]], n: int
) -> pd.DataFrame:
    cells = plan.cells
    found = positions(cells, measured["accuracy_drop"], measured["phase_se"], plan.pools)
    columns: dict[str, Any] = {name: [getattr(c, name) for c in cells] for name in _OF_CELL}
    columns |= {
        "cell": [cell.key for cell in cells],
        "budget_l2": [None if cell.edit is None else cell.edit.l2 for cell in cells],
        "budget_linf": [None if cell.edit is None else cell.edit.linf for cell in cells],
        "n_changed": [None if cell.edit is None else cell.edit.n_changed for cell in cells],
        "n": n,
        "p_adjusted": np.nan,
        "z_random": [position.z for position in found],
        "p_random": [position.p for position in found],
        "route": [plan.routes.get(cell.action) for cell in cells],
        "n_exact": n,
        "direct_drop": np.nan,
        "action": [cell.action for cell in cells],
        "tier": [plan.tiers.get(cell.action) for cell in cells],
        "half_width": (measured["accuracy_drop_high"] - measured["accuracy_drop_low"]) / 2,
    }
    return pd.DataFrame(columns | dict(measured), index=range(len(cells)))[[*COLUMNS]].astype(
        COLUMNS
    )


def _class_effects(
    plan: Plan,
    classes: tuple[str, ...],
    values: Mapping[str, Float[np.ndarray, "classes cells"]],
) -> pd.DataFrame:
    columns: dict[str, Any] = {
        "cell": np.repeat([cell.key for cell in plan.cells], len(classes)),
        "class": np.tile(classes, len(plan.cells)),
    }
    columns |= {name: by_class.T.reshape(-1) for name, by_class in values.items()}
    return pd.DataFrame(columns)[[*CLASS_COLUMNS]].astype(CLASS_COLUMNS)
