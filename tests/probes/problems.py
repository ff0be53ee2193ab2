"""Small labelled problems for probes and rankings: activations without any model."""

from collections.abc import Sequence

import numpy as np

from synapse_audit.artifacts import Activations, LabelledData, Splits


def labelled(labels: Sequence[int] | np.ndarray, classes: int) -> LabelledData:
    """Labels without meaningful inputs; all weights 1."""
    n = len(labels)
    return LabelledData(
        inputs=tuple(f"text {i}" for i in range(n)),
        labels=np.asarray(labels, dtype=np.int64),
        classes=tuple(f"class {c}" for c in range(classes)),
        weights=np.ones(n),
        origin=np.zeros(n, dtype=np.int64),
        groups=None,
        sha256="",
        source="made up",
        n_rows=n,
        n_repeats=0,
    )


def thirds(n: int) -> Splits:
    """Every third example into fit, select and evaluate."""
    rows = np.arange(n)
    return Splits(*(rows[rows % 3 == part] for part in range(3)))


def activations(layers: Sequence[np.ndarray]) -> Activations:
    """Float32 layers; the head reads the last one."""
    arrays = tuple(np.asarray(layer, dtype=np.float32) for layer in layers)
    return Activations(arrays, arrays[-1])


def planted(
    n: int = 300, width: int = 20, neuron: int = 7, seed: int = 0
) -> tuple[Activations, LabelledData, Splits]:
    """Three layers of noise; in layer 2 one neuron tells the two classes apart, linearly."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, n)
    layers = [generator.normal(size=(n, width)) for _ in range(3)]
    layers[2][:, neuron] = 3.0 * (2 * labels - 1) + 0.3 * generator.normal(size=n)
    return activations(layers), labelled(labels, 2), thirds(n)
