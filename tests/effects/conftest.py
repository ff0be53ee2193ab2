from types import SimpleNamespace

import numpy as np
import pytest
from groups import grouped

from synapse_audit.artifacts import Cell, Outcomes, Plan, Predictions
from synapse_audit.effects import NO_CLASS, Scored, measure
from synapse_audit.effects.two_phase import Phases
from synapse_audit.neurons import NeuronSet
from synapse_audit.statistics import resampled_weights


def make_scored(labels, clean, predicted, *, target=None, source=None, **rest):
    """One row per prediction; weights 1 and 200 resamples unless given."""
    labels = np.asarray(labels, dtype=np.int64)
    predicted = np.atleast_2d(np.asarray(predicted, dtype=np.uint16))
    weights = np.asarray(rest.get("weights", np.ones(len(labels))), dtype=np.float64)
    resampled = rest.get("resampled")
    if resampled is None:
        resampled = resampled_weights(labels, weights, resamples=200, seed=0)
    nobody = [NO_CLASS] * len(predicted)
    return Scored(
        labels=labels,
        clean=np.asarray(clean, dtype=np.int64),
        phases=rest.get("phases", Phases(predicted)),
        kl=np.asarray(rest.get("kl", np.zeros(predicted.shape)), dtype=np.float32),
        target=np.asarray(nobody if target is None else target, dtype=np.int64),
        source=np.asarray(nobody if source is None else source, dtype=np.int64),
        n_classes=rest.get("n_classes", 3),
        weights=weights[:, None],
        resampled=resampled,
    )


def make_cell(ids, **purpose):
    """A mean-silencing cell over all layers (here: layer 1)."""
    given = {"space": "neuron", "operator": "mean", "site": "block_output"}
    given |= {"position": "pooled", "layers": "all", "neurons": NeuronSet.of({1: ids})}
    return Cell(**(given | purpose))


def make_run(cells, predicted, labels, clean, **options):
    """Measures a plan whose actions predict the given rows (same order as plan.actions)."""
    cells = [grouped(cell) for cell in cells]
    plan = Plan(tuple(cells), {cell.action: "full" for cell in cells})
    predicted = np.asarray(predicted, dtype=np.uint16).reshape(len(plan.actions), len(labels))
    blank = np.zeros(predicted.shape, dtype=np.float32)
    actions = tuple(cell.action for cell in plan.actions)
    classes = options.pop("classes", ("a", "b", "c"))
    labels = np.asarray(labels, dtype=np.int64)
    outcomes = Outcomes(actions, predicted, blank, blank, blank, blank)
    logits = np.eye(len(classes), dtype=np.float32)[np.asarray(clean)]
    weights = options.setdefault("weights", np.ones(len(labels)))
    resamples = options.pop("resamples", 100)
    resampled = resampled_weights(labels, weights, resamples=resamples, seed=0)
    predictions = Predictions(labels, logits)
    return measure(
        plan, outcomes, predictions=predictions, resampled=resampled, classes=classes, **options
    )


@pytest.fixture
def build():
    """The builders above: ``build.scored``, ``build.cell``, ``build.run``."""
    return SimpleNamespace(scored=make_scored, cell=make_cell, run=make_run)
