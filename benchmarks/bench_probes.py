"""Probes of all layers: scikit-learn's LogisticRegression one by one against ours.

For each scope (every layer, and all blocks side by side) scikit-learn fits every strength, and the
control task (permuted labels) at the chosen one, with its own lbfgs at its own tolerance; ours
chooses the strength, refits to a tighter tolerance and fits the control task. Same standardised
features, same 1,000 ``fit`` rows. MiniLM's states are real; those of the BERT-base size are drawn
with a spectrum that decays as theirs does (singular values ∝ rank^-0.75) and a class signal.
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any, NamedTuple

import numpy as np
from harness import Spent, machine, save, show, timed
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from subjects import default_models, source_folder

from synapse_audit import demo
from synapse_audit.artifacts import LabelledData, Probe, Splits
from synapse_audit.data import load_data
from synapse_audit.model import Classifier
from synapse_audit.model.activations import extract
from synapse_audit.probes import fit_probe
from synapse_audit.probes.fit import STRENGTHS

FIT, SELECT, EVALUATE = 1000, 100, 100
ITERATIONS = 1000


class Problem(NamedTuple):
    """Features per scope and the labels."""

    name: str
    scopes: dict[str, np.ndarray]
    data: LabelledData
    splits: Splits


def real(name: str) -> Problem:
    """Pooled states of a classifier on its own data."""
    folder = source_folder(name)
    classifier = Classifier.load(folder)
    bundled = folder == demo.bundled_model()
    csv = demo.bundled_data() if bundled else folder / "test.csv"
    rows = FIT + SELECT + EVALUATE
    data = load_data(str(csv), classes=classifier.classes, max_examples=rows)
    found = extract(classifier, classifier.encode(data.inputs), fit=np.arange(0)).activations
    scopes = {str(layer): states for layer, states in enumerate(found.layers)}
    scopes["joint"] = np.concatenate([found.layers[m] for m in found.blocks], axis=1)
    return Problem(name, scopes, data, _splits(len(data)))


def bert_base(classes: int = 6) -> Problem:
    """13 layers of 768, and 12 of them side by side."""
    generator = np.random.default_rng(0)
    n, width, depth = FIT + SELECT + EVALUATE, 768, 12
    labels = generator.integers(0, classes, n)
    signal = 0.5 * generator.normal(size=(classes, width))[labels]
    layers = []
    for _ in range(depth + 1):
        decay = np.arange(1, width + 1) ** -0.75
        mixing = np.linalg.qr(generator.normal(size=(width, width)))[0]
        states = ((generator.normal(size=(n, width)) + signal) * decay) @ mixing
        layers.append((10 * states).astype(np.float32))
    scopes = {str(layer): states for layer, states in enumerate(layers)}
    scopes["joint"] = np.concatenate(layers[1:], axis=1)
    data = LabelledData(
        inputs=tuple(str(i) for i in range(n)),
        labels=labels,
        classes=tuple("abcdefgh"[:classes]),
        weights=np.ones(n),
        origin=np.zeros(n, dtype=np.int64),
        groups=None,
        sha256="",
        source="drawn",
        n_rows=n,
        n_repeats=0,
    )
    return Problem("bert-base-size", scopes, data, _splits(n))


def _splits(n: int) -> Splits:
    order = np.random.default_rng(0).permutation(n)
    fit = n - SELECT - EVALUATE
    parts = (order[:fit], order[fit : fit + SELECT], order[fit + SELECT :])
    return Splits(*(np.sort(part) for part in parts))


def one_by_one(features: np.ndarray, problem: Problem) -> tuple[float, np.ndarray]:
    """The strength chosen on ``select``, and the coefficients at it."""
    fit, select, labels = problem.splits.fit, problem.splits.select, problem.data.labels
    scaler = StandardScaler().fit(features[fit].astype(np.float64))
    x, held = scaler.transform(features[fit]), scaler.transform(features[select])
    found = {}
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=ITERATIONS).fit(x, labels[fit])
        found[strength] = (model.score(held, labels[select]), model.coef_)
    best = max(STRENGTHS, key=lambda s: found[s][0])
    shuffled = np.random.default_rng(0).permutation(labels[fit])
    LogisticRegression(C=best, max_iter=ITERATIONS).fit(x, shuffled)
    return best, found[best][1]


def bench(problem: Problem, scopes: list[str]) -> dict[str, Any]:
    """Both, scope by scope in turn."""
    lines, totals = [], {"scikit-learn": Spent(), "ours": Spent()}
    for scope in scopes:
        features = problem.scopes[scope]
        (_, coefficients), theirs = timed(lambda x=features: one_by_one(x, problem))
        found, ours = timed(
            lambda x=features, s=scope: fit_probe(s, x, problem.data, problem.splits, seed=0)
        )
        # The joint scope stands once in an audit, the layers measured stand for all layers.
        share = 1.0 if scope == "joint" else (len(problem.scopes) - 1) / (len(scopes) - 1)
        totals["scikit-learn"] += theirs * share
        totals["ours"] += ours * share
        wall, cpu = theirs.over(ours)
        lines.append(
            {
                "scope": scope,
                "features": features.shape[1],
                "scikit-learn, CPU s": theirs.cpu,
                "ours, CPU s": ours.cpu,
                "ratio, wall": wall,
                "ratio, CPU": cpu,
                "correlation of weights": _agreement(found, coefficients),
            }
        )
    wall, cpu = totals["scikit-learn"].over(totals["ours"])
    lines.append(
        {
            "scope": "all",
            "scikit-learn, CPU s": totals["scikit-learn"].cpu,
            "ours, CPU s": totals["ours"].cpu,
            "ratio, wall": wall,
            "ratio, CPU": cpu,
        }
    )
    show(f"{problem.name}: probes, {len(problem.splits.fit)} fit rows", lines)
    return {"fit rows": len(problem.splits.fit), "scopes": lines}


def _agreement(ours: Probe, theirs: np.ndarray) -> float | None:
    """Correlation of the weights; None where another strength was chosen or rows are missing."""
    if ours.weights.shape != theirs.shape:
        return None
    return float(np.corrcoef(ours.weights.ravel(), (theirs - theirs.mean(0)).ravel())[0, 1])


def main() -> None:
    """MiniLM in full; of the BERT-base size some layers and, if asked for, all blocks together."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="*", default=[default_models()[-1]])
    parser.add_argument("--layers", type=int, default=3, help="of the BERT-base size")
    options = parser.parse_args()
    at_start, results = machine(), {}
    for name in options.models:
        problem = real(name)
        results[name] = bench(problem, list(problem.scopes))
    if options.layers:
        problem = bert_base()
        chosen = [str(m) for m in np.linspace(0, 12, options.layers).astype(int)]
        results[problem.name] = bench(problem, [*chosen, "joint"])
    save("probes", at_start=at_start, results={"options": vars(options), "models": results})


if __name__ == "__main__":
    main()
