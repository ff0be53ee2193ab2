"""What the clean activations look like over ``fit``: per neuron, and per layer as a whole."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from synapse_audit.artifacts import Activations, LayerStatistics, Splits


def layer_statistics(activations: Activations, splits: Splits) -> tuple[LayerStatistics, ...]:
    """Mean, standard deviation and root mean square per neuron over ``fit``, layer 0 first."""
    return tuple(_statistics(layer[splits.fit]) for layer in activations.layers)


def participation_ratio(activations: Activations, splits: Splits) -> tuple[float, ...]:
    """(Σλ)² / Σλ² of the ``fit`` covariance of each layer, layer 0 first.

    Between 1 (one direction holds all variance) and the number of neurons (isotropic); NaN where
    the layer does not vary (the embedding of a [CLS] token). It is bounded by the number of
    examples and dominated by the neurons with the widest spread.
    """
    return tuple(_participation(layer[splits.fit]) for layer in activations.layers)


def _statistics(values: Float[np.ndarray, "examples neurons"]) -> LayerStatistics:
    exact = values.astype(np.float64)
    return LayerStatistics(
        mean=exact.mean(axis=0).astype(np.float32),
        spread=exact.std(axis=0).astype(np.float32),
        norm=np.sqrt((exact**2).mean(axis=0)).astype(np.float32),
    )


def _participation(values: Float[np.ndarray, "examples neurons"]) -> float:
    exact = values.astype(np.float64)
    centred = exact - exact.mean(axis=0)
    total = float((centred**2).sum())
    # Below this the variance is float32 rounding, whose eigenvalues mean nothing.
    if total <= 1e-12 * float((exact**2).sum()):
        return float("nan")
    wide = centred.shape[1] > centred.shape[0]
    gram = centred @ centred.T if wide else centred.T @ centred
    return total**2 / float((gram**2).sum())
