"""Whether each layer tells training rows from held-out ones, and whether silencing hides it.

In: per row the rank that an attacker gave it, for every attacker (:mod:`synapse_audit.pipeline`'s
membership stage). Out: AUC and the share of training rows flagged where 1 % of the held-out rows
are, with intervals; the same with the most telling neurons silenced, beside random sets, and what
that costs in accuracy.

**Intervals.** Rows are resampled within class and side. Attackers of different folds share most of
the rows that they were fitted on, which the resamples of fixed ranks do not show: where attackers
know nothing the AUC scattered 1.4 to 1.5 times as wide, and 80 % of intervals held .5. Arms are
made wider by √(1 + K / (K − 1)) for K folds (Nadeau & Bengio 2003, Machine Learning 52:239).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from synapse_audit.artifacts import Evidence, Finding
from synapse_audit.effects.detection import area, caught, resolvable, roc
from synapse_audit.effects.random_controls import prediction_band
from synapse_audit.effects.selection import largest_of
from synapse_audit.statistics import interval, resampled_weights, wilson
from synapse_audit.summary import Figure
from synapse_audit.tables.membership import LAYERS, SILENCED

LIMIT = 0.01
"""Share of the held-out rows that may be flagged."""

FOLDS = 5
"""In which attackers are fitted."""

WIDER = float(np.sqrt(1 + FOLDS / (FOLDS - 1)))

RESAMPLES = 500
FIXED = "loss"
"""The scope whose score is fitted to nothing."""

AUC = ["auc", "auc_low", "auc_high"]
NONE = "no rows that the model was trained on were given (--membership)"
FEW = f"fewer than {round(1 / LIMIT)} held-out rows cannot show a rate of {LIMIT:.0%}"


def membership(evidence: Evidence) -> Finding:
    """Attackers by layer, the null beside them, and what silencing does."""
    table = evidence.membership
    if table is None or table.empty:
        empty = {one.key[1]: one.empty() for one in (LAYERS, SILENCED)}
        return Finding("membership", empty, {"membership": Figure.unknown(NONE)})
    layers = pd.DataFrame([*_layer_rows(table)], columns=LAYERS.names)
    silenced = pd.DataFrame([*_silenced_rows(table)], columns=SILENCED.names)
    summary = _figures(layers, silenced)
    return Finding("membership", {"layers": layers, "silenced": silenced}, {"membership": summary})


def _layer_rows(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    whole = table[table["selection"].isin(["clean", "null"])]
    for (selection, scope), rows in whole.groupby(["selection", "scope"], sort=False):
        wider = 1.0 if scope == FIXED else WIDER
        yield {"scope": scope, "selection": selection, "n": len(rows)} | _rates(rows, wider)


def _silenced_rows(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Per share and attacker: the telling neurons silenced, and the band of one more random set."""
    some = table[table["selection"].isin(["top", "random"])]
    for (fraction, attacker), rows in some.groupby(["fraction", "attacker"], sort=True):
        chosen = rows[rows["selection"] == "top"]
        draws = [part for _, part in rows[rows["selection"] == "random"].groupby("draw")]
        rates = _rates(chosen, WIDER)
        aucs = np.array([_auc(part) for part in draws])
        accuracies = np.array([_accuracy(part) for part in draws])
        yield {
            "fraction": fraction,
            "attacker": attacker,
            "n": len(chosen),
            "draws": len(draws),
            **{name: rates[name] for name in AUC},
            **_band(aucs, "random"),
            # How many random sets hide at least as much.
            "p_random": (1 + int((aucs <= rates["auc"]).sum())) / (len(draws) + 1),
            **_with_wilson(chosen),
            **_band(accuracies, "random_accuracy"),
        }


# ---- numbers -------------------------------------------------------------------------------------


def _rates(rows: pd.DataFrame, wider: float) -> dict[str, float]:
    """AUC and the rate at 1 % with their intervals; NaN where too few rows can show it."""
    member = rows["member"].to_numpy(dtype=bool)
    score = rows["score"].to_numpy(dtype=np.float64)
    strata = 2 * rows["label"].to_numpy(dtype=np.int64) + member
    weights = resampled_weights(strata, np.ones(len(rows)), resamples=RESAMPLES)
    weights = np.concatenate([np.ones((len(rows), 1)), weights], axis=1)
    curve = roc(score, member, weights.astype(np.float64))
    found = {"auc": area(curve), "tpr": caught(curve, LIMIT)}
    if not resolvable(LIMIT, float((~member).sum())):
        found["tpr"] = np.full(weights.shape[1], np.nan)
    ends: dict[str, float] = {}
    for name, samples in found.items():
        value, around = float(samples[0]), interval(samples[None, 1:])
        ends |= {
            name: value,
            f"{name}_low": max(0.0, value - wider * (value - float(around.low[0]))),
            f"{name}_high": min(1.0, value + wider * (float(around.high[0]) - value)),
        }
    return ends


def _auc(rows: pd.DataFrame) -> float:
    member: Bool[np.ndarray, " rows"] = rows["member"].to_numpy(dtype=bool)
    score: Float[np.ndarray, " rows"] = rows["score"].to_numpy(dtype=np.float64)
    return float(area(roc(score, member, np.ones((len(rows), 1))))[0])


def _accuracy(rows: pd.DataFrame) -> float:
    """Of the held-out rows: what the silenced model is still worth."""
    return float(rows.loc[~rows["member"].to_numpy(dtype=bool), "right"].mean())


def _with_wilson(rows: pd.DataFrame) -> dict[str, float]:
    n = int((~rows["member"].to_numpy(dtype=bool)).sum())
    value = _accuracy(rows)
    ends = wilson(value * n, n)
    return {
        "accuracy": value,
        "accuracy_low": float(ends.low),
        "accuracy_high": float(ends.high),
    }


def _band(draws: Float[np.ndarray, " draws"], name: str) -> dict[str, float]:
    """Mean over random sets, and where one more would lie with 95 %."""
    if not len(draws):
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), np.nan)
    band = prediction_band(draws)
    low, high = max(0.0, float(band.low)), min(1.0, float(band.high))
    return {name: float(draws.mean()), f"{name}_low": low, f"{name}_high": high}


# ---- figures -------------------------------------------------------------------------------------


def _figures(layers: pd.DataFrame, silenced: pd.DataFrame) -> dict[str, Any]:
    clean = layers[layers["selection"] == "clean"]
    by_layer = clean[~clean["scope"].isin([FIXED, "inputs"])]
    found: dict[str, Any] = {
        "auc": {str(r["scope"]): _figure(r, "auc") for _, r in clean.iterrows()},
        "tpr": {str(r["scope"]): _figure(r, "tpr") for _, r in clean.iterrows()},
        "worst": _worst(by_layer),
    }
    mine = silenced[silenced["attacker"] == "refitted"]
    for name in ("auc", "random", "accuracy"):
        found[f"silenced_{name}"] = _by_share(mine, name)
    return found


def _by_share(rows: pd.DataFrame, name: str) -> dict[str, Any] | Figure:
    if rows.empty:
        return Figure.unknown("too few rows were left to rank neurons on")
    return {f"{row['fraction']:g}": _figure(row, name) for _, row in rows.iterrows()}


def _figure(row: pd.Series, name: str) -> Figure:
    value = float(row[name])
    if np.isnan(value):
        return Figure.unknown(FEW)
    return Figure(value, row[f"{name}_low"], row[f"{name}_high"], n=int(row["n"]))


def _worst(rows: pd.DataFrame) -> Figure:
    """The layer that tells most, with an interval that holds for all layers at once."""
    if rows.empty:
        return Figure.unknown("no layer was attacked")
    best = largest_of(*(rows[name].to_numpy(dtype=np.float64) for name in AUC))
    row = rows.iloc[best.place]
    beside = {"layer": str(row["scope"]), "tied": int(best.tied.sum()) - 1}
    low, high = max(0.0, best.low), min(1.0, best.high)
    return Figure(best.value, low, high, n=int(row["n"]), beside=beside)
