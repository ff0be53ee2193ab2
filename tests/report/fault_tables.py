"""Synthetic tables of the finding on faults, for the synthetic run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

HARM = {
    ("searched", "any"): 0.5,
    ("top", "exponent_msb"): 0.4,
    ("random", "exponent_msb"): 0.2,
    ("random", "mantissa"): 0.001,
}


def fault_tables(classes: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Every table of ``faults``, by name."""
    return {
        "flips": pd.DataFrame([*_flips(), _targeted(classes[0])]),
        "halving": pd.DataFrame([
            {"format": f, "kind": "any", "part": "head", "layer": np.nan, "selection": "searched",
             "bits": bits, "low": bits, "high": bits, "most": most}
            for f, bits, most in (("fp32", 1.0, 20.0), ("int8", np.nan, 20.0))]),
        "noise": pd.DataFrame([
            {"setting": "relative", "part": part, "layer": layer, "sigma": 2.0, "share": 0.2,
             "selection": "random", "drop": 0.01, "drop_low": 0.0, "drop_high": 0.02}
            for part, layer in (("head", np.nan), ("mlp", 4.0))]),
        "gains": pd.DataFrame([
            {"layer": 4.0, "factor": 0.0, "share": 0.5, "selection": chosen, "drop": 0.03,
             "drop_low": 0.01, "drop_high": 0.05} for chosen in ("top", "random")]),
        "rows": _rows(classes),
        "pushes": _pushes(classes),
    }  # fmt: skip


def _flips() -> list[dict[str, Any]]:
    return [
        {"format": format, "kind": kind, "part": part, "layer": layer, "selection": selection,
         "target": None, "bits": float(n), "drop": min(0.9, harm * n), "drop_low": 0.0,
         "drop_high": min(0.95, harm * n + 0.1), "redirect": np.nan, "redirect_low": np.nan,
         "redirect_high": np.nan, "overflowed": 0.0, "crashed": 0.0 if part == "head" else 0.5,
         "draws": 5 if selection == "random" else None}
        for format in ("fp32", "fp16") for part, layer in (("head", np.nan), ("mlp", 4.0))
        for (selection, kind), harm in HARM.items() for n in (1, 5, 20)
    ]  # fmt: skip


def _targeted(name: str) -> dict[str, Any]:
    return _flips()[0] | {"target": name, "redirect": 0.9, "redirect_low": 0.85,
                          "redirect_high": 0.95}  # fmt: skip


def _rows(classes: Sequence[str]) -> pd.DataFrame:
    rows = [("row_swap", classes[0], classes[1], np.nan, 1.0),
            ("row_scale", None, classes[1], 4.0, 0.3)]  # fmt: skip
    return pd.DataFrame([
        {"operator": operator, "source": source, "target": target, "factor": factor,
         "drop": 0.2, "drop_low": 0.1, "drop_high": 0.3, "redirect": rate,
         "redirect_low": rate - 0.1, "redirect_high": rate, "collateral": 0.1,
         "collateral_low": 0.0, "collateral_high": 0.2}
        for operator, source, target, factor, rate in rows])  # fmt: skip


def _pushes(classes: Sequence[str]) -> pd.DataFrame:
    shapes = [("balanced", "top", 0.4), ("balanced", "random", 0.2), ("rival", "top", 0.6),
              ("paper_push", "top", 0.1)]  # fmt: skip
    return pd.DataFrame([
        {"operator": operator, "setting": "paper malware a" if operator == "paper_push" else None,
         "target": target, "columns": 0.25, "selection": selection, "size": size, "budget": size,
         "budget_linf": size, "n_changed": 32.0, "redirect": min(1.0, rate * size * 2),
         "redirect_low": 0.0, "redirect_high": 1.0, "collateral": 0.1, "collateral_low": 0.0,
         "collateral_high": 0.2, "draws": 3 if selection == "random" else None}
        for operator, selection, rate in shapes for target in classes for size in (0.1, 1.0)
    ])  # fmt: skip


def fault_rate_tables() -> dict[str, pd.DataFrame]:
    """Every table of ``fault_rate``, by name: only the top bit of the exponent breaks anything."""
    strata = [
        {"part": part, "bit_kind": kind, "share": share, "bits": bits, "faults": 20,
         "broken": broken, "no_numbers": broken // 2, "rate": broken / 20, "low": 0.0,
         "high": 0.4 if broken else 0.17}
        for share in (0.0, 0.01)
        for part in ("embeddings", "mlp", "head")
        for kind, bits, broken in (("exponent_msb", 10_000, 4), ("mantissa", 230_000, 0))
    ]  # fmt: skip
    totals = [
        {"over": over, "name": name, "share": share, "bits": 720_000, "faults": 120, "broken": 12,
         "no_numbers": 6, "rate": 0.008, "low": 0.004, "high": 0.02}
        for share in (0.0, 0.01)
        for over, name in (("all", "every bit"), ("part", "mlp"), ("bit_kind", "mantissa"))
    ]  # fmt: skip
    places = [row | {"bit": 30 if row["bit_kind"] == "exponent_msb" else 4} for row in strata]
    tables = {"strata": strata, "totals": totals, "places": places}
    return {name: pd.DataFrame(rows) for name, rows in tables.items()}
