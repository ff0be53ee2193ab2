"""What a guard costs per input, and its detector beside pytorch-ood's where that is installed.

Cost: processor time of the guarded model over that of the host on the same batches, in turn. Canary
checks, once in so many calls, are timed apart. Detector: area under the curve of clean against
attacked inputs; pytorch-ood's Mahalanobis and KNN read the final layer's pooled state, as they are
published, ours read every layer.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from harness import machine, save, show, timed
from sklearn.metrics import roc_auc_score
from subjects import SHARED_MODELS, default_models

from synapse_audit import demo
from synapse_audit.data import load_data, split
from synapse_audit.guard import GuardedModel, GuardSettings
from synapse_audit.guard.attacks import all_attacks
from synapse_audit.guard.building import CleanStates, make_guard
from synapse_audit.guard.cost import overhead
from synapse_audit.model import Batch, Classifier, Encoded
from synapse_audit.model.activations import extract

Scorer = Callable[[torch.Tensor], torch.Tensor]


def subject(name: str, rows: int) -> tuple[Classifier, Encoded, CleanStates]:
    """A classifier, its encoded rows and its clean states."""
    bundled = name == "bundled"
    classifier = Classifier.load(demo.bundled_model() if bundled else SHARED_MODELS / name)
    csv = demo.bundled_data() if bundled else SHARED_MODELS / name / "test.csv"
    data = load_data(str(csv), classes=classifier.classes, max_examples=rows)
    encoded, splits = classifier.encode(data.inputs), split(data)
    found = extract(classifier, encoded, fit=splits.fit)
    states = tuple(map(np.asarray, (*found.activations.layers, found.activations.head_input)))
    parts = (splits.fit, splits.select, splits.evaluate)
    return classifier, encoded, CleanStates(states, found.logits, *parts, labels=data.labels)


def baselines(states: np.ndarray, predicted: np.ndarray) -> Mapping[str, Scorer]:
    """pytorch-ood's detectors on the final layer, fitted on clean states; none if not installed."""
    try:
        from pytorch_ood.detector import KNN, Mahalanobis
    except ImportError:
        return {}
    features, labels = torch.from_numpy(states).float(), torch.from_numpy(predicted)
    found: dict[str, Scorer] = {}
    for detector in (Mahalanobis(None), KNN(None)):
        detector.fit_features(features, labels)
        found[f"pytorch-ood {type(detector).__name__}"] = detector.predict_features
    return found


def detection(guarded: GuardedModel, encoded: Encoded, clean: CleanStates) -> list[dict[str, Any]]:
    """Areas under the curve per attack, ours and the baselines'."""
    rows = clean.evaluate[:100]
    batch = guarded.classifier.collate(encoded, rows)
    fit, last = clean.fit, guarded.classifier.n_layers
    others = baselines(clean.places[last][fit], clean.logits[fit].argmax(axis=1))

    def scores(batch: Batch) -> dict[str, np.ndarray]:
        with torch.no_grad():
            pooled = guarded.look(batch).pooled
        ours = {"combined": guarded.scores(pooled).numpy()}
        return ours | {n: np.asarray(f(pooled[last].float())) for n, f in others.items()}

    plain, lines = scores(batch), []
    states = [one[fit] for one in clean.places[:-1]]
    for attack in all_attacks(guarded.classifier, states, draws=1, seed=1):
        with attack.draws[0](batch):
            attacked = scores(batch)
        areas = {name: round(_area(plain[name], attacked[name]), 3) for name in plain}
        lines.append({"attack": attack.kind, "size": attack.setting, **areas})
    return lines


def _area(clean: np.ndarray, attacked: np.ndarray) -> float:
    labels = np.repeat([0, 1], [len(clean), len(attacked)])
    both = np.nan_to_num(np.concatenate([clean, attacked]), posinf=1e30)
    return float(roc_auc_score(labels, both))


def main() -> None:
    """Each model in turn."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="*", default=["bundled", *default_models()])
    parser.add_argument("--rows", type=int, default=600)
    options = parser.parse_args()
    at_start, costs, areas = machine(), [], []
    for name in dict.fromkeys(options.models):
        classifier, encoded, clean = subject(name, options.rows)
        guard = make_guard(clean, classifier, GuardSettings(false_alarm_rate=0.05))
        for head in ("hardened", "vote"):
            guarded = GuardedModel(classifier, guard, head=head)
            for size, found in overhead(guarded, encoded, clean.evaluate).items():
                costs.append({"model": name, "head": head, "batch": size, **found})
        _, spent = timed(guarded.ask_canaries)
        costs.append({"model": name, "head": "canaries alone", "guarded_ms": 1000 * spent.cpu})
        areas += [{"model": name, **line} for line in detection(guarded, encoded, clean)]
    show("Cost of a guard", costs)
    show("Detectors, area under the curve", areas)
    save("guard", at_start=at_start, results={"cost": costs, "detection": areas})


if __name__ == "__main__":
    main()
