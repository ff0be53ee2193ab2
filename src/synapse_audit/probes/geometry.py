"""What the clean activations look like over ``fit``: per neuron, and per layer as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.artifacts import Activations, LayerStatistics, Splits

CLAMPED = (0.05, 0.95)
"""Percentiles that clamping keeps."""


def layer_statistics(
    activations: Activations,
    splits: Splits,
    *,
    labels: Int[np.ndarray, " examples"] | None = None,
    classes: Sequence[str] = (),
) -> tuple[LayerStatistics, ...]:
    """Per neuron over ``fit``, layer 0 first; class means where labels are given."""
    fit_labels = None if labels is None else labels[splits.fit]
    return tuple(
        _statistics(layer[splits.fit], fit_labels, classes) for layer in activations.layers
    )


def participation_ratio(activations: Activations, splits: Splits) -> tuple[float, ...]:
    """(Σλ)² / Σλ² of the ``fit`` covariance of each layer, layer 0 first.

    Between 1 (one direction holds all variance) and the number of neurons (isotropic); NaN where
    the layer does not vary (the embedding of a [CLS] token). It is bounded by the number of
    examples and dominated by the neurons with the widest spread.
    """
    return tuple(_participation(layer[splits.fit]) for layer in activations.layers)


def _statistics(
    values: Float[np.ndarray, "examples neurons"],
    labels: Int[np.ndarray, " examples"] | None,
    classes: Sequence[str],
) -> LayerStatistics:
    exact = values.astype(np.float64)
    low, high = np.quantile(values, CLAMPED, axis=0)
    means = None
    if labels is not None:
        means = {
            name: exact[labels == label].mean(axis=0).astype(np.float32)
            for label, name in enumerate(classes)
            if (labels == label).any()
        }
    return LayerStatistics(
        mean=exact.mean(axis=0).astype(np.float32),
        spread=exact.std(axis=0).astype(np.float32),
        norm=np.sqrt((exact**2).mean(axis=0)).astype(np.float32),
        low=low.astype(np.float32),
        high=high.astype(np.float32),
        class_means=means,
        bank=values,
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
