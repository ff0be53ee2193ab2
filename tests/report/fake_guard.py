"""Advice and a guard's evaluation, with every column."""

import pandas as pd

from synapse_audit.advice import Recommendation, as_table
from synapse_audit.advice.recommendation import Gain
from synapse_audit.summary import Figure

ENDS = ("", "_low", "_high")


def advice_tables() -> dict[str, pd.DataFrame]:
    before, after = Figure(0.7, 0.6, 0.8), Figure(0.1, 0.05, 0.2)
    unknown = Figure.unknown("not measured")
    found = [
        Recommendation("head_edit", ("norm",), "An edit redirects.", "Harden the head.",
                       Gain("share redirected", before, after)),
        Recommendation("fragile_class", ("cmdi",), "It is fragile.", "Add data.",
                       Gain("recall lost", unknown, unknown, "not measured: retrain")),
    ]  # fmt: skip
    return {"recommendations": as_table(found)}


def guard_tables() -> dict[str, pd.DataFrame]:
    rows = []
    for kind, setting, level in (("none", "", 0.96), ("neurons to zero", "50%", 0.5)):
        row: dict[str, object] = {"kind": kind, "setting": setting, "measure": "accuracy"}
        row |= {"adaptive": False, "draws": 3, "n": 400}
        for name in ("host", "ranges", "hardened", "vote", "detected", "auc", "canaries"):
            row |= {f"{name}{end}": level + 0.01 * i for i, end in enumerate(ENDS)}
        row |= {"auc_mahalanobis": 0.6, "auc_knn": 0.6, "auc_range": 0.7}
        rows.append(row)
    curve = pd.DataFrame(
        {
            "change": ["zero", "zero"],
            "changed": [0, 1],
            "certified": [0.9, 0.7],
            "certified_low": [0.85, 0.6],
            "certified_high": [0.95, 0.8],
            "attacked": [0.9, 0.85],
        }
    )
    return {"evaluation": pd.DataFrame(rows), "certificate": curve, "typed": _typed()}


def _typed() -> pd.DataFrame:
    """Two kinds on all classes and one, and any of them; half of what evades is silent."""
    rows = []
    for attack in ("append", "zero_width", "any"):
        for name in (None, "cmdi"):
            row: dict[str, object] = {"attack": attack, "class": name, "n": 40}
            levels = {"evaded": 0.8, "guarded": 0.7, "silent": 0.4, "untouched": 0.02}
            if attack != "any":
                levels |= {"detected": 0.45, "random": 0.05, "excess": 0.4}
            for column, level in levels.items():
                ends = zip(ENDS, (0, -0.01, 0.1), strict=True)
                row |= {f"{column}{end}": level + change for end, change in ends}
            rows.append(row)
    return pd.DataFrame(rows)
