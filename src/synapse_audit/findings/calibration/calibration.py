"""Calibration: how sure the model is, when it is right and when it is wrong.

In: the probability of the predicted class, clean and under every cell. Out: calibration errors,
reliability curves, what a temperature on all logits does, and the figures ``calibration``.

Cells that were estimated in two phases are read on their exact examples only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from synapse_audit.artifacts import SILENCING, Evidence, Finding
from synapse_audit.effects import calibration as measures
from synapse_audit.effects.curves import headline_cells, where
from synapse_audit.effects.estimates import proportion
from synapse_audit.effects.exact_subsample import (
    NAMES,
    Sample,
    drawn,
    exact_examples,
    population,
    removal_curves,
    samples,
    whole,
)
from synapse_audit.effects.selection import widened
from synapse_audit.findings.calibration import certainty
from synapse_audit.findings.calibration.certainty import Confidences
from synapse_audit.memory import paced
from synapse_audit.summary import Figure
from synapse_audit.tables.calibration import BINS, CELLS, REMOVAL, TEMPERATURE

POINTS = 61
"""Temperatures of the closed-form curve."""

SPREAD = ("ece", "chance_ece", "overconfidence", "wrong_confidence")
FIGURES = ("ece", "overconfidence", "wrong_confidence", "sure_errors")
NO_WRONG = "no wrong answer on the evaluate split"
NO_CURVE = "no removal curve of the headline ranking was run"
NOT_FITTED = "no temperature was fitted"
NO_BEST = (
    "the log loss on the select split has no least value between temperatures 0.02 and 50, as "
    "where every example is right"
)


def calibration(evidence: Evidence) -> Finding:
    """Calibration errors and reliability curves, clean and under every cell."""
    cells = cells_table(evidence)
    tables = {
        "cells": cells,
        "removal": removal_curves(evidence, cells, SPREAD)[REMOVAL.names],
        "bins": bins_table(evidence),
        "temperature": temperature_table(evidence),
    }
    return Finding("calibration", tables, {"calibration": _figures(evidence, tables)})


# ---- tables --------------------------------------------------------------------------------------


def cells_table(evidence: Evidence) -> pd.DataFrame:
    """The untouched model (``space`` = clean), then one row per cell.

    Rows that are one draw of several have no intervals: the band of one more draw takes that place.
    """
    effects = evidence.effects
    # An action is spread as soon as one of its cells is no draw.
    single = (~pd.Series(drawn(effects))).groupby(effects["action"].to_numpy(), sort=False).any()
    found = _actions(evidence, list(single.index), single.to_numpy(dtype=bool))
    named = effects[[*NAMES, "action"]].merge(found, on="action", how="left")
    clean = _clean(evidence).assign(cell="clean", space="clean")
    return CELLS.joined((clean, named)).astype({"draw": "Int64"})


def bins_table(evidence: Evidence) -> pd.DataFrame:
    """Reliability curves in bins of equal width: clean, headline removal, every temperature."""
    everyone = whole(evidence)
    parts = [_bins(_clean_said(evidence), 0, everyone).assign(what="clean")]
    chosen = _curves(evidence)
    for sample in samples(evidence, list(chosen["action"])):
        said = _said(evidence, sample.rows[:, None], sample.known)
        for row, place in enumerate(sample.places):
            cell = chosen.iloc[int(place)]
            names = {name: cell[name] for name in ("operator", "strength", "fraction")}
            what = "removal" if cell["space"] == "neuron" else "temperature"
            parts.append(_bins(said, row, sample).assign(what=what, **names))
    table = pd.concat([part.reindex(columns=BINS.names).astype(object) for part in parts])
    numbers = dict.fromkeys(
        [name for name in BINS.names if name not in ("what", "operator")], "float64"
    )
    return table.reset_index(drop=True).astype(numbers | {"what": "str"})


def temperature_table(evidence: Evidence) -> pd.DataFrame:
    """Every temperature in closed form from the clean logits.

    The accuracy cannot change unless there are thresholds, which a temperature leaves where they
    are.
    """
    grid = np.geomspace(0.1, 10.0, POINTS)
    rows = [_at_temperature(evidence, float(value)) for value in grid]
    return pd.DataFrame(rows, columns=TEMPERATURE.names)


def _at_temperature(evidence: Evidence, value: float) -> tuple[float, ...]:
    clean, weights = evidence.predictions, evidence.weights.astype(np.float64)
    answers = measures.answers(clean.model_logits, value, clean.shift)
    said, right = answers.confidence[None, :], (answers.predicted == clean.labels)[None, :]
    bins = measures.equal_width(said)
    error = measures.calibration_error(said, right, bins, weights[:, None])[0, 0]
    loss = measures.log_loss(clean.model_logits, clean.labels, weights, value)
    means = (float(row[0] @ weights / weights.sum()) for row in (said, right))
    return (value, float(error), loss, *means)


# ---- what was said -------------------------------------------------------------------------------


def _actions(
    evidence: Evidence, actions: list[str], spread: Bool[np.ndarray, " actions"]
) -> pd.DataFrame:
    """``action``, ``n`` (exact examples) and ``MEASURES``; intervals where ``spread`` says so."""
    counts = {name: np.zeros(len(actions), dtype=np.int64) for name in ("n", "n_wrong")}
    table = {name: np.full(len(actions), np.nan) for name in certainty.NAMES} | counts
    for some in exact_examples(evidence, actions):
        said = _said(evidence, some.rows[:, None], some.known)
        found = certainty.averages(said, some.weights, some.met)
        for name, values in {"n": some.n, **found}.items():
            table[name][some.places] = values
    for block in certainty.in_blocks(_resampled(evidence, actions, np.flatnonzero(spread))):
        for name, values in certainty.bounds(block, table["ece"][block.places]).items():
            table[name][block.places] = values
    return pd.DataFrame({"action": pd.array(actions, dtype="str"), **table})


def _resampled(
    evidence: Evidence, actions: list[str], chosen: Int[np.ndarray, " chosen"]
) -> Iterator[certainty.Resampled]:
    for sample in paced(samples(evidence, [actions[place] for place in chosen])):
        said = _said(evidence, sample.rows[:, None], sample.known)
        yield certainty.resample(chosen[sample.places], said, sample.weights, sample.resampled)


def _said(
    evidence: Evidence, rows: Int[np.ndarray, "rows 1"], known: Int[np.ndarray, "*rows examples"]
) -> Confidences:
    """Of some rows of the outcomes, on the examples that all or each of them have."""
    outcomes, places = evidence.outcomes, (rows, known)
    right = outcomes.predicted[places] == evidence.predictions.labels[known]
    return Confidences(outcomes.confidence[places], right, outcomes.probability[places])


def _clean_said(evidence: Evidence, temperature: float = 1.0) -> Confidences:
    clean = evidence.predictions
    predicted, sure = measures.answers(clean.model_logits, temperature, clean.shift)
    scaled, rows = clean.model_logits.astype(np.float64) / temperature, np.arange(len(sure))
    own = np.exp(scaled[rows, clean.labels] - scaled[rows, predicted]) * sure
    return Confidences(sure[None, :], (predicted == clean.labels)[None, :], own[None, :])


def _clean(evidence: Evidence, temperature: float = 1.0) -> pd.DataFrame:
    everyone, said = whole(evidence), _clean_said(evidence, temperature)
    weights = everyone.weights.T
    found = certainty.averages(said, weights, np.ones(weights.shape, dtype=bool))
    again = certainty.resample(np.zeros(1, int), said, everyone.weights, everyone.resampled)
    table = pd.DataFrame(found | certainty.bounds(again, found["ece"]))
    return table.assign(n=len(everyone.known))


def _bins(said: Confidences, row: int, sample: Sample) -> pd.DataFrame:
    sure, right = said.confidence[row], said.right[row]
    found = measures.reliability(sure, right, sample.weights)
    inside = measures.equal_width(sure[None, :]) == np.arange(measures.BINS)[:, None]
    hits = np.broadcast_to(right, inside.shape)
    bounds = proportion(population(sample.weights, sample.resampled), hits, inside)
    edges: Float[np.ndarray, " edges"] = np.linspace(0.0, 1.0, measures.BINS + 1)
    ends = {"accuracy_low": bounds.low, "accuracy_high": bounds.high}
    return pd.DataFrame(
        {
            "bin": np.arange(measures.BINS),
            "lower": edges[:-1],
            "upper": edges[1:],
            "share": found.share,
            "confidence": found.confidence,
            "accuracy": found.accuracy,
            **ends,
        }
    )


def _curves(evidence: Evidence) -> pd.DataFrame:
    """Cells that get a reliability curve of their own."""
    rows = [headline_cells(evidence, operator) for operator in SILENCING]
    rows.append(evidence.cells("temperature"))
    return pd.concat(rows, ignore_index=True)


# ---- figures -------------------------------------------------------------------------------------


def _figures(evidence: Evidence, tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    clean = tables["cells"].iloc[0]
    figures: dict[str, Any] = {name: _measure(clean, name) for name in FIGURES}
    plain = ("chance_ece", "ece_mass", "brier", "log_loss", "confidence", "n_wrong")
    figures |= {name: Figure(float(clean[name])) for name in plain}
    figures |= _fitted(evidence)
    figures["removal"] = {name: _worst(tables["removal"], name) for name in SILENCING}
    return figures


def _measure(row: pd.Series, name: str, *, among: int = 1) -> Figure:
    """A figure whose interval holds for as many rows as it was picked from."""
    if pd.isna(row[name]):
        return Figure.unknown(NO_WRONG)
    value, low, high = (np.array(float(row[f"{name}{end}"])) for end in ("", "_low", "_high"))
    wide = widened(value, low, high, among=among)
    return Figure(float(value), float(wide.low), float(wide.high))


def _fitted(evidence: Evidence) -> dict[str, Any]:
    """The temperature that was fitted on ``select``, and the error that it leaves here.

    ``improves``: whether that is less than without it, which a fit on few examples need not be.
    """
    value = evidence.temperature
    if value is None or np.isnan(value):
        why = Figure.unknown(NOT_FITTED if value is None else NO_BEST)
        return {"temperature": why, "ece_fitted": why}
    row, untouched = _clean(evidence, value).iloc[0], _clean(evidence).iloc[0]
    better = {"improves": bool(row["ece"] < untouched["ece"])}
    left = replace(_measure(row, "ece"), beside=better)
    return {"temperature": Figure(value), "ece_fitted": left}


def _worst(removal: pd.DataFrame, operator: str) -> dict[str, Any]:
    """Where the headline curve is most overconfident; intervals hold for all its points at once."""
    curve = where(removal, {"operator": operator, "selection": "top"})
    curve = curve.dropna(subset=["overconfidence"])
    if curve.empty:
        return {"overconfidence": Figure.unknown(NO_CURVE), "ece": Figure.unknown(NO_CURVE)}
    row = curve.iloc[int(curve["overconfidence"].to_numpy(dtype=float).argmax())]
    return {
        "fraction": Figure(float(row["fraction"])),
        "n": Figure(float(row["n"])),
        **{
            name: _measure(row, name, among=len(curve))
            for name in ("overconfidence", "ece", "wrong_confidence")
        },
    }
