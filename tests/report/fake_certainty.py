"""Calibration and detection of the synthetic run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from synapse_audit.tables.calibration import REMOVAL as CALIBRATED

FRACTIONS = (0.1, 0.3, 0.5, 0.8)
UNRESOLVED = "400 (effective) benign examples cannot resolve a false-alarm rate of 0.1%"


def figure(value: float | None, spread: float = 0.02) -> dict[str, Any]:
    if value is None:
        return {"value": None, "low": None, "high": None, "reason": UNRESOLVED}
    return {"value": value, "low": value - spread, "high": value + spread}


def _around(values: dict[str, float], spread: float = 0.02) -> dict[str, float]:
    ends = {f"{n}_low": v - spread for n, v in values.items()}
    return values | ends | {f"{n}_high": v + spread for n, v in values.items()}


def calibration() -> dict[str, pd.DataFrame]:
    rows = [{"space": "clean", "n": 400, **_said(0.02)}]
    rows += [
        {
            "space": "logit",
            "operator": "temperature",
            "strength": t,
            "n": 400,
            **_said(abs(np.log(t)) / 10),
        }
        for t in (0.5, 1.5, 4.0)
    ]
    rows += [
        {
            "space": "logit",
            "operator": "noise",
            "strength": 2.0,
            "draw": d,
            "n": 400,
            **_said(0.1 + d / 100),
        }
        for d in range(3)
    ]
    removal = [
        {
            "operator": o,
            "selection": s,
            "fraction": f,
            "n": 80,
            "draws": 20 if s == "random" else None,
            **_said(f * part),
        }
        for o in ("mean", "zero")
        for s, part in (("top", 0.4), ("random", 0.2))
        for f in FRACTIONS
    ]
    bins = [
        {
            "what": what,
            "operator": operator,
            "strength": t,
            "fraction": f,
            "bin": b,
            "lower": b / 15,
            "upper": (b + 1) / 15,
            "share": 1 / 15,
            "confidence": (b + 0.5) / 15,
            **_around({"accuracy": (b + 0.5) / 15 * 0.9}),
        }
        for what, operator, t, f in (
            ("clean", None, None, None),
            ("removal", "mean", None, 0.5),
            ("removal", "zero", None, 0.5),
            ("temperature", "temperature", 2.0, None),
        )
        for b in range(15)
    ]
    grid = np.geomspace(0.1, 10, 21)
    temperature = pd.DataFrame(
        {
            "temperature": grid,
            "ece": np.abs(np.log(grid / 1.6)) / 10,
            "log_loss": 0.2 + np.log(grid) ** 2,
            "confidence": 1 / (1 + grid / 8),
            "accuracy": 0.96,
        }
    )
    return {
        "cells": pd.DataFrame(rows),
        "removal": CALIBRATED.joined([pd.DataFrame(removal)]),
        "bins": pd.DataFrame(bins),
        "temperature": temperature,
    }


def _said(error: float) -> dict[str, float]:
    spread = _around({"ece": error, "overconfidence": error, "wrong_confidence": 0.7})
    return spread | {
        "chance_ece": 0.015,
        "ece_mass": error,
        "n_wrong": 14,
        "sure_errors": 0.3,
        "log_loss": 0.2,
    }


def calibration_summary() -> dict[str, Any]:
    figures = {
        "ece": 0.04,
        "chance_ece": 0.015,
        "overconfidence": 0.03,
        "wrong_confidence": 0.7,
        "sure_errors": 0.3,
        "n_wrong": 14.0,
        "temperature": 1.6,
        "ece_fitted": 0.02,
    }
    worst = {"fraction": 0.8, "overconfidence": 0.32, "wrong_confidence": 0.8, "ece": 0.33}
    removal = {o: {n: figure(v) for n, v in worst.items()} for o in ("mean", "zero")}
    return {n: figure(v, 0.01) for n, v in figures.items()} | {"removal": removal}


def _rates(missed: float) -> dict[str, float]:
    return _around(
        {
            "auc": 1 - missed / 2,
            "tpr_1": 1 - missed / 2,
            "false_alarm": 0.02,
            "missed_alarm": missed,
            "fixed_tpr_1": 1 - missed,
            "fixed_fpr_1": 0.01,
        }
    )


def operating(classes: Sequence[str]) -> dict[str, pd.DataFrame]:
    rows = [
        {
            "class": classes[1],
            "threshold": threshold,
            "current": threshold == 0.8,
            "predicted": int(100 * (1 - threshold)),
            **_around(
                {
                    "recall": 1 - threshold / 4,
                    "false_alarm": (1 - threshold) / 5,
                    "precision": 0.7 + threshold / 5,
                }
            ),
        }
        for threshold in (0.1, 0.3, 0.5, 0.8, 0.9)
    ]
    return {"curve": pd.DataFrame(rows)}


def operating_summary(classes: Sequence[str]) -> dict[str, Any]:
    rates = {"threshold": 0.8, "recall": 0.8, "false_alarm": 0.04, "precision": 0.86}
    return {classes[1]: {n: figure(v, 0.01) for n, v in rates.items()}}


def detection(classes: Sequence[str]) -> dict[str, pd.DataFrame]:
    rows: list[dict[str, Any]] = [{"space": "clean", **_rates(0.03)}]
    rows += [
        {
            "space": "weight",
            "operator": kind,
            "strength": b,
            "target": classes[0],
            "selection": selection,
            "fraction": share,
            **_rates(min(0.9, b)),
        }
        for kind, selection, share in (("push", "top", 0.25), ("bias", None, None))
        for b in (0.1, 0.3, 1.0)
    ]
    removal = [
        {
            "operator": o,
            "selection": s,
            "fraction": f,
            "n": 80,
            "draws": 20 if s == "random" else None,
            **_rates(f * part),
        }
        for o in ("mean", "zero")
        for s, part in (("top", 0.9), ("random", 0.5))
        for f in FRACTIONS
    ]
    x = np.linspace(0, 1, 11)
    roc = [
        pd.DataFrame(
            {"what": what, "operator": o, "fraction": f, "false_alarm": x, "caught": np.sqrt(x)}
        )
        for what, o, f in (("clean", None, None), ("removal", "mean", 0.5))
    ]
    thresholds = pd.DataFrame(
        {
            "limit": [0.01, 0.001],
            "probability": [0.2, None],
            "false_alarm": [0.009, None],
            "caught": [0.95, None],
            "needed": [100, 1000],
            "reason": [None, UNRESOLVED],
        }
    )
    failures = pd.DataFrame(
        {
            "space": ["neuron"],
            "operator": ["mean"],
            "cells": [40],
            "silent": [10],
            "loud": [3],
            "both": [2],
            "neither": [25],
            "largest_missed_rise": [0.6],
            "largest_false_rise": [0.2],
        }
    )
    return {
        "cells": pd.DataFrame(rows),
        "removal": pd.DataFrame(removal),
        "roc": pd.concat(roc, ignore_index=True),
        "thresholds": thresholds,
        "failures": failures,
    }


def detection_summary(classes: Sequence[str]) -> dict[str, Any]:
    clean = {
        "auc": 0.98,
        "eer": 0.04,
        "tpr_1": 0.95,
        "tpr_01": None,
        "false_alarm": 0.02,
        "missed_alarm": 0.03,
    }
    worst = {
        "fraction": 0.8,
        "missed_alarm": 0.72,
        "false_alarm": 0.02,
        "fixed_tpr_1": 0.3,
        "fixed_fpr_1": 0.9,
        "tpr_1": 0.6,
    }
    return {
        "benign": classes[0],
        "failures": {"cells": 40, "silent": 10, "loud": 3, "both": 2, "neither": 25},
        "removal": {o: {n: figure(v) for n, v in worst.items()} for o in ("mean", "zero")},
        **{n: figure(v) for n, v in clean.items()},
    }
