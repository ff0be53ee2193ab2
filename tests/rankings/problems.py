"""Ranking problems without any model: three layers of 12 neurons, one of them planted."""

import numpy as np

from synapse_audit.artifacts import Activations, LabelledData, Splits
from synapse_audit.probes import fit_probes
from synapse_audit.rankings import RankingContext
from synapse_audit.rankings.attributions import Attributions

CLASSES = ("a", "b", "c")
PLANTED = 7
N, WIDTH = 240, 12


def context(order: np.ndarray | None = None) -> RankingContext:
    """Neuron 7 of layer 1 tells the three classes apart; with ``order`` its layer is permuted."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, N)
    layers = [generator.normal(size=(N, WIDTH)).astype(np.float32) for _ in range(3)]
    layers[1][:, PLANTED] = 2.0 * labels + 0.2 * generator.normal(size=N)
    slopes = [generator.normal(size=(N, WIDTH)).astype(np.float32) for _ in range(3)]
    slopes[1][:, PLANTED] *= 10
    if order is not None:
        layers[1], slopes[1] = layers[1][:, order], slopes[1][:, order]
    rows = np.arange(N)
    splits = Splits(*(rows[rows % 3 == part] for part in range(3)))
    return build(Activations(tuple(layers), layers[-1]), labels, splits, tuple(slopes))


def build(
    held: Activations,
    labels: np.ndarray,
    splits: Splits,
    slopes: tuple[np.ndarray, ...],
    weights: np.ndarray | None = None,
) -> RankingContext:
    """A context whose probes are fitted here; every other ``fit`` example is attributed."""
    n = len(labels)
    weights = np.ones(n) if weights is None else weights
    data = LabelledData(
        tuple(map(str, range(n))),
        labels,
        CLASSES,
        weights,
        np.zeros(n, dtype=np.int64),
        None,
        "",
        "made up",
        n,
        0,
    )
    probes = fit_probes(held, data, splits, seed=0)
    found = attributed(splits.fit[::2], slopes)
    return RankingContext(held, labels, CLASSES, splits, probes, 0, weights, found)


def attributed(rows: np.ndarray, values: tuple[np.ndarray, ...]) -> Attributions:
    """Attributions of some rows; conductances are twice the gradients."""
    nothing = np.zeros(len(rows))
    return Attributions(
        rows,
        tuple(layer[rows] for layer in values),
        tuple(2 * layer[rows] for layer in values),
        nothing,
        nothing,
    )
