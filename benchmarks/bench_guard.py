"""What a guard costs per input, and its detector beside pytorch-ood's where that is installed.

Cost: processor time of the guarded model over that of the host on the same batches, in turn.
Checksums and canaries, once in so many calls, are timed apart. Detector: area under the curve of
clean against attacked inputs, and inputs that alarm at the same threshold from ``select``;
pytorch-ood's Mahalanobis and KNN on the final layer's pooled state, as they are published, and at
every place, where ours reads. Attacks that know the guard are left out: they know one detector.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from harness import machine, save, show, timed
from sklearn.metrics import roc_auc_score
from subjects import SHARED_MODELS, default_models

from synapse_audit import demo
from synapse_audit.data import load_data, split
from synapse_audit.errors import UsageError
from synapse_audit.guard import GuardedModel, GuardSettings
from synapse_audit.guard.attacks import all_attacks
from synapse_audit.guard.building import make_guard
from synapse_audit.guard.clean import CleanStates
from synapse_audit.guard.cost import overhead
from synapse_audit.guard.gradient import gradient_attacks
from synapse_audit.guard.other_detectors import fit_scores, pytorch_ood
from synapse_audit.guard.spared import spared_noise
from synapse_audit.model import Classifier, Encoded
from synapse_audit.model.activations import extract

DRAWS = 1
"""Of each random attack."""


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


def detectors(guarded: GuardedModel, clean: CleanStates) -> dict[str, Any]:
    """Ours, and pytorch-ood's on the final layer and at every place; ours alone without it."""
    found: dict[str, Any] = {"ours": guarded.scores}
    try:
        known = pytorch_ood()
    except UsageError as error:
        print(error)
        return found
    last = guarded.classifier.n_layers
    for name, make in known.items():
        found[f"{name}, last"] = fit_scores(make, clean, places=[last])
        found[f"{name}, all"] = fit_scores(make, clean)
    return found


def detection(
    guarded: GuardedModel, encoded: Encoded, clean: CleanStates, examples: int
) -> list[dict[str, Any]]:
    """Areas under the curve per attack and detector, on some of ``evaluate``."""
    batch = guarded.classifier.collate(encoded, clean.evaluate[:examples])
    others = detectors(guarded, clean)

    def scores() -> dict[str, np.ndarray]:
        with torch.no_grad():
            pooled = guarded.look(batch).pooled
            return {name: one(pooled).numpy() for name, one in others.items()}

    plain, lines = scores(), []
    states = [one[clean.fit] for one in clean.places[:-1]]
    attacks = [*all_attacks(guarded.classifier, states, draws=DRAWS, seed=1)]
    attacks += spared_noise(guarded, draws=DRAWS, seed=1)
    attacks += [one for one in gradient_attacks(guarded) if not one.kind.startswith("adaptive")]
    for attack in attacks:
        areas: dict[str, list[float]] = {name: [] for name in plain}
        for draw in attack.draws:
            with draw(batch):
                attacked = scores()
            for name, found in attacked.items():
                areas[name].append(_area(plain[name], found))
        mean = {name: round(float(np.mean(each)), 3) for name, each in areas.items()}
        lines.append({"attack": attack.kind, "size": attack.setting, **mean})
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
    parser.add_argument("--examples", type=int, default=100)
    options = parser.parse_args()
    at_start, costs, areas = machine(), [], []
    for name in dict.fromkeys(options.models):
        classifier, encoded, clean = subject(name, options.rows)
        guard = make_guard(clean, classifier, GuardSettings(false_alarm_rate=0.05))
        for head in ("hardened", "vote"):
            guarded = GuardedModel(classifier, guard, head=head)
            for size, found in overhead(guarded, encoded, clean.evaluate).items():
                costs.append({"model": name, "head": head, "batch": size, **found})
        for what, check in (("canaries", guarded.ask_canaries), ("both checks", guarded.verify)):
            _, spent = timed(check)
            costs.append({"model": name, "head": f"{what} alone", "guarded_ms": 1000 * spent.cpu})
        found = detection(guarded, encoded, clean, options.examples)
        areas += [{"model": name, **line} for line in found]
    show("Cost of a guard", costs)
    show("Detectors, area under the curve", areas)
    save("guard", at_start=at_start, results={"cost": costs, "detection": areas})


if __name__ == "__main__":
    main()
