"""A synthetic run with every table of the contract; nothing here loads a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from . import fake_certainty
from .agreement_tables import agreement_summary, agreement_tables
from .attack_tables import attack_tables, profile_tables
from .fake_certificates import certificates, certificates_summary
from .fake_guard import advice_tables, guard_tables
from .fake_redundancy import CHANCE, CLEAN, FRACTIONS, WIDTH, logistic, pathways, redundancy
from .fake_sites import seed_tables, site_summary, site_tables
from .fake_units import (
    attention_summary,
    attention_tables,
    direction_summary,
    direction_tables,
    token_mean_summary,
    token_mean_tables,
)
from .fault_tables import fault_rate_tables, fault_tables
from .membership_tables import membership_summary, membership_tables
from .named_neurons_tables import given_tables
from .paper_tables import paper_summary, paper_tables
from .slice_tables import slice_summary, slice_tables
from .typed_tables import typed_summary, typed_tables

CLASSES = ("norm", "sqli", "xss", "cmdi", "path-traversal")
BUDGETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class FakeResult:
    folder: Path | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    predictions: pd.DataFrame = field(default_factory=pd.DataFrame)
    probes: pd.DataFrame = field(default_factory=pd.DataFrame)
    rankings: pd.DataFrame = field(default_factory=pd.DataFrame)
    effects: pd.DataFrame = field(default_factory=pd.DataFrame)
    class_effects: pd.DataFrame = field(default_factory=pd.DataFrame)
    label_probes: pd.DataFrame = field(default_factory=pd.DataFrame)
    findings: Mapping[str, Mapping[str, pd.DataFrame]] = field(default_factory=dict)


def make_result(
    classes: Sequence[str] = CLASSES, *, layers: int = 6, tests: bool = True, seed: int = 0
) -> FakeResult:
    random = np.random.default_rng(seed)
    return FakeResult(
        manifest=_manifest(layers, tests),
        summary=_summary(classes) | site_summary(classes, layers) | attention_summary(layers)
        | direction_summary(layers)
        | token_mean_summary(),
        predictions=_predictions(classes, random),
        probes=_probes(layers),
        rankings=_rankings(classes, layers, random),
        effects=pd.DataFrame({"cell": [str(i) for i in range(900)],
                              "route": ["two-phase"] * 500 + ["suffix"] * 300 + ["head"] * 100,
                              "n": 1000, "n_exact": [80] * 500 + [1000] * 400}),
        findings={
            "redundancy": redundancy(layers, tests, random),
            "pathways": pathways(),
            "sites": site_tables(classes, layers),
            "attention": attention_tables(classes, layers),
            "directions": direction_tables(classes, layers),
            "token_means": token_mean_tables(layers),
            "given": given_tables(classes),
            "seeds": seed_tables(classes),
            "asymmetry": _asymmetry(classes, tests, random),
            "vulnerability": _vulnerability(classes, random),
            "certificates": certificates(classes),
            "calibration": fake_certainty.calibration(),
            "operating": fake_certainty.operating(classes),
            "detection": fake_certainty.detection(classes),
            "slices": slice_tables(classes),
            "faults": fault_tables(classes),
            "fault_rate": fault_rate_tables(),
            "agreement": agreement_tables(layers),
            "inputs": attack_tables(classes),
            "typed": typed_tables(classes),
            "membership": membership_tables(layers),
            "profile": profile_tables(classes),
            "paper": paper_tables(classes, layers),
            "advice": advice_tables(),
            "guard": guard_tables(),
        },
    )  # fmt: skip


def _figure(value: Any, spread: float = 0.02) -> dict[str, Any]:
    return {"value": value, "low": value - spread, "high": value + spread}


def _manifest(layers: int, tests: bool) -> dict[str, Any]:
    grid = {"draws": 20 if tests else 5, "tests": tests, "rankings": ["probe", "probeless"]}
    return {
        "schema": 1,
        "device": "cpu",
        "config": {
            "model": "models/minilm-http-params",
            "data": "web_payloads/test.csv",
            "preset": "standard" if tests else "quick",
            "seed": 0,
            "resamples": 1000,
            "precision": 0.01,
            "grid": grid,
        },
        "model": {
            "family": "bert",
            "layers": layers,
            "hidden_size": WIDTH,
            "sha256": "9f2c" * 16,
        },
        "data": {
            "sha256": "0ab1" * 16,
            "kind": "text",
            "n_rows": 4000,
            "n_repeats": 12,
            "n_rows_used": 2500,
            "n_examples": 2500,
            "n_used": 2500,
        },
        "versions": {"torch": "2.13.0", "transformers": "5.23.0", "synapse-audit": "0.1.0"},
        "splits": {"fit": 1000, "select": 500, "evaluate": 1000},
        "times": {"extract": 12.31, "sweep": 240.5},
        "label_map": {"0": "norm"},
    }


def _summary(classes: Sequence[str]) -> dict[str, Any]:
    return {
        "model": "minilm-http-params",
        "advice": [{"rule": "head_edit", "about": ["norm"], "gain": {"after": _figure(0.1)}}],
        "classes": list(classes),
        "n_evaluate": 1000,
        "clean": {"accuracy": _figure(CLEAN, 0.011), "macro_f1": _figure(0.948, 0.014)},
        "paper": paper_summary(),
        "worst_slice": slice_summary(),
        "typed": typed_summary(),
        "membership": membership_summary(),
        "redundancy": {
            "plateau": _figure(0.3, 0.05),
            "half_point": _figure(0.65, 0.1),
            "sufficient_k": {"value": 24, "low": None, "high": None},
            "disjoint_sets": {"value": 5, "low": None, "high": None, "capped": False},
            "chance": {"value": CHANCE, "low": None, "high": None},
            "costliest_layer": _figure(0.2, 0.1) | {"layer": 1, "fraction": 0.5, "tied": [1]},
        },
        "head_edit": _figure(0.2, 0.1)
        | {"targets": [classes[0]], "tried": 90, "rate": _figure(0.6, 0.12)},
        "inputs": {
            "aimed": _figure(0.04, 0.03)
            | {"target": "xss", "strength": 0.05, "collateral": 0.1, "tied": ["xss"]}
        },
        "faults": {
            "paper_push": _figure(0.2, 0.1)
            | {"setting": "paper malware a", "target": "norm", "budget": 1.0}
        },
        "pathways": {
            operator: {
                "largest_indirect": _figure(through, 0.03)
                | {"fraction": 0.5, "drop": 0.2, "direct_drop": 0.2 - through, "n_exact": 80},
                "largest_disagreement": _figure(0.06, 0.03) | {"fraction": 0.8, "n_exact": 80},
            }
            for operator, through in (("mean", 0.01), ("zero", 0.08))
        },
        "asymmetry": {
            "most_fragile": {"value": classes[-1], "share": 0.93},
            "least_fragile": {"value": classes[0], "share": 0.88},
            "gap": _figure(0.31, 0.06),
            "fraction": {"value": 0.5, "low": None, "high": None},
        },
        "weakest": {
            space: {"redirects": _figure(size, 0.05) | {"aimed": classes[0], "tried": 90}}
            for space, size in (("weight", 0.2), ("logit", 0.4))
        },
        "agreement": agreement_summary(),
        "load_bearing": [
            {
                "layer": 4,
                "site": "block_output",
                "neuron": 223,
                "address": "4:block_output:223",
                "zero_drop": 0.31,
                "mean_drop": 0.001,
            }
        ],
        "cost": {"seconds": 301.2, "cells": 900},
        "certificates": certificates_summary(),
        "calibration": fake_certainty.calibration_summary(),
        "operating": fake_certainty.operating_summary(classes),
        "detection": fake_certainty.detection_summary(classes),
    }


def _predictions(classes: Sequence[str], random: np.random.Generator) -> pd.DataFrame:
    labels = random.choice(len(classes), size=1000)
    wrong = random.random(1000) > CLEAN
    predicted = np.where(wrong, (labels + 1) % len(classes), labels)
    scores = {"probability": random.random(1000), "margin": random.normal(4, 2, 1000)}
    columns = {"example": np.arange(1000), "label": labels, "predicted": predicted}
    return pd.DataFrame({**columns, **scores})


def _probes(layers: int) -> pd.DataFrame:
    scopes = [*(str(i) for i in range(layers + 1)), "joint", "head_input"]
    depth = np.array([*np.arange(layers + 1) / layers, 1.0, 1.0])
    accuracy = 0.62 + 0.34 * logistic(depth, 0.35)
    return pd.DataFrame({
        "scope": scopes, "accuracy": accuracy, "macro_f1": accuracy - 0.02,
        "majority_accuracy": CHANCE, "fit_accuracy": np.minimum(accuracy + 0.03, 1),
        "control_accuracy": 0.55 + 0.05 * depth, "selectivity": accuracy - 0.52 - 0.05 * depth,
        "null_accuracy": CHANCE - 0.03, "strength": 0.1,
    })  # fmt: skip


def _rankings(classes: Sequence[str], layers: int, random: np.random.Generator) -> pd.DataFrame:
    parts = []
    for method in ("probe", "probeless"):
        for owner in (None, classes[0]):
            for layer in range(layers + 1):
                score = np.sort(random.gamma(1 + layer / 3, size=WIDTH))[::-1]
                parts.append(pd.DataFrame({
                    "method": method, "ranked_for": owner, "layer": layer,
                    "neuron": random.permutation(WIDTH), "score": score,
                    "rank": np.arange(1, WIDTH + 1)}))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _asymmetry(
    classes: Sequence[str], tests: bool, random: np.random.Generator
) -> dict[str, pd.DataFrame]:
    drops = {c: 0.08 + 0.3 * i / len(classes) for i, c in enumerate(classes)}
    return {
        "matrix": _matrix(classes, tests, random),
        "fragility": pd.DataFrame([
            {"class": c, "support": 200 - 20 * i, "recall": 0.98 - 0.01 * i, "mean_drop": d,
             "mean_drop_low": d - 0.03, "mean_drop_high": d + 0.03,
             "half_fraction": None if i == 0 else 0.5}
            for i, (c, d) in enumerate(drops.items())]),
        "curves": pd.DataFrame([
            {"class": c, "fraction": f, "recall": top, "recall_low": top - 0.03,
             "recall_high": min(1, top + 0.03), "random_recall": control,
             "random_low": control - 0.05, "random_high": min(1, control + 0.05)}
            for c, d in drops.items() for f in FRACTIONS
            for top in (0.98 - float(logistic(f, 1.0 - 1.4 * d, 12)) * 0.95,)
            for control in (0.98 - float(logistic(f, 1.1 - 1.2 * d, 12)) * 0.9,)]),
    }  # fmt: skip


def _matrix(classes: Sequence[str], tests: bool, random: np.random.Generator) -> pd.DataFrame:
    rows = []
    for operator in ("mean", "zero"):
        for f in (0.1, 0.5):
            for i, owner in enumerate(classes):
                for j, name in enumerate(classes):
                    value = (0.25 if i == j and i % 2 else 0.03) * f * 2 + random.normal(0, 0.02)
                    p = 0.001 if value > 0.15 else 0.7
                    rows.append({
                        "operator": operator, "fraction": f, "ranked_for": owner, "class": name,
                        "value": value, "low": value - 0.04, "high": value + 0.04,
                        "specificity": value - 0.05, "specificity_low": value - 0.1,
                        "specificity_high": value, "p_value": p if tests else None,
                        "p_adjusted": min(1, 5 * p) if tests else None})  # fmt: skip
    return pd.DataFrame(rows)


def _vulnerability(classes: Sequence[str], random: np.random.Generator) -> dict[str, pd.DataFrame]:
    ease = {c: 0.06 * 1.8**i if i < 6 else 0.8 for i, c in enumerate(classes)}
    edits = [
        _edit((space, c, columns), b, float(logistic(np.log10(b), np.log10(need * slow), 4)))
        for c, need in ease.items()
        for space, columns, slow in (("weight", 0.05, 2.5), ("weight", 0.25, 1.4),
                                     ("weight", 1.0, 1.0), ("random", 0.05, 9.0),
                                     ("random", 0.25, 4.0), ("bias", None, 2.0))
        for b in BUDGETS
    ]  # fmt: skip
    margins = {c: np.sort(random.normal(6 + 20 * e, 2, 400)) for c, e in ease.items()}
    grid = np.linspace(0, 25, 60)
    return {
        "budgets": pd.DataFrame(edits),
        "floor": pd.DataFrame([
            {"target": c, "budget": b,
             "bound": float(logistic(np.log10(b), np.log10(need * 0.5), 5)),
             "bound_all_rows": float(logistic(np.log10(b), np.log10(need * 0.4), 5))}
            for c, need in ease.items() for b in BUDGETS]),
        "margins": pd.DataFrame([
            {"target": c, "constant": x, "redirect_rate": float((m < x).mean()),
             "collateral": float((m < x).mean() * 0.9)}
            for c, m in margins.items() for x in grid]),
        "constants": pd.DataFrame([
            {"target": c, "median_margin": float(np.median(m)),
             "p95_margin": float(np.quantile(m, 0.95)),
             **{f"redirect_{p}": float(np.quantile(m, p / 100)) for p in (10, 50, 90)}}
            for c, m in margins.items()]),
    }  # fmt: skip


def _edit(what: tuple[str, str, float | None], budget: float, rate: float) -> dict[str, Any]:
    space, target, columns = what
    return {
        "space": space, "target": target, "columns": columns, "budget": budget, "constant": None,
        "redirect_rate": rate, "redirect_low": max(0, rate - 0.02),
        "redirect_high": min(1, rate + 0.02), "collateral": rate * 0.9,
        "collateral_low": rate * 0.85, "collateral_high": rate * 0.95,
    }  # fmt: skip
