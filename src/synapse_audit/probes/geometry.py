"""What the clean activations look like over ``fit``: per neuron, and per layer as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.artifacts import Activations, LayerStatistics, Splits
from synapse_audit.memory import Allocate, in_memory, row_chunks
from synapse_audit.probes.design import Design, Part, Scaler

CLAMPED = (0.05, 0.95)
"""Percentiles that clamping keeps."""


def layer_statistics(
    activations: Activations,
    splits: Splits,
    *,
    labels: Int[np.ndarray, " examples"] | None = None,
    classes: Sequence[str] = (),
    allocate: Allocate = in_memory,
) -> tuple[LayerStatistics, ...]:
    """Per neuron over ``fit``, layer 0 first; class means where labels are given.

    Args:
        allocate: where the ``fit`` examples' own values are kept, ``bank_00`` ... ``bank_LL``.
    """
    groups = _groups(labels, classes, splits)
    found = []
    for m, layer in enumerate(activations.layers):
        bank = allocate(f"bank_{m:02d}", (len(splits.fit), layer.shape[1]), layer.dtype.type)
        for some in row_chunks(*bank.shape):
            bank[some] = layer[splits.fit[some]]
        found.append(_statistics(bank, groups))
    return tuple(found)


def participation_ratio(activations: Activations, splits: Splits) -> tuple[float, ...]:
    """(Σλ)² / Σλ² of the ``fit`` covariance of each layer, layer 0 first.

    Between 1 (one direction holds all variance) and the number of neurons (isotropic); NaN where
    the layer does not vary (the embedding of a [CLS] token). It is bounded by the number of
    examples and dominated by the neurons with the widest spread.
    """
    return tuple(_participation(layer, splits.fit) for layer in activations.layers)


Groups = dict[str, Int[np.ndarray, " members"]]
"""Class name → its places in ``fit``; classes without an example are absent."""


def _groups(
    labels: Int[np.ndarray, " examples"] | None, classes: Sequence[str], splits: Splits
) -> Groups | None:
    if labels is None:
        return None
    own = labels[splits.fit]
    return {name: np.flatnonzero(own == c) for c, name in enumerate(classes) if (own == c).any()}


def _statistics(
    bank: Float[np.ndarray, "examples neurons"], groups: Groups | None
) -> LayerStatistics:
    parts = [_of_neurons(bank[:, some], groups) for some in row_chunks(bank.shape[1], len(bank))]
    means = None
    if groups is not None:
        means = {
            name: np.concatenate([(part.class_means or {})[name] for part in parts])
            for name in groups
        }
    numbers = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("mean", "spread", "norm", "low", "high")
    }
    return LayerStatistics(**numbers, class_means=means, bank=bank)


def _of_neurons(
    values: Float[np.ndarray, "examples neurons"], groups: Groups | None
) -> LayerStatistics:
    """Of a few neurons, without the bank."""
    exact = values.astype(np.float64)
    low, high = np.quantile(values, CLAMPED, axis=0)
    means = None
    if groups is not None:
        means = {n: exact[rows].mean(axis=0).astype(np.float32) for n, rows in groups.items()}
    return LayerStatistics(
        mean=exact.mean(axis=0).astype(np.float32),
        spread=exact.std(axis=0).astype(np.float32),
        norm=np.sqrt((exact**2).mean(axis=0)).astype(np.float32),
        low=low.astype(np.float32),
        high=high.astype(np.float32),
        class_means=means,
    )


def _participation(
    values: Float[np.ndarray, "examples neurons"], fit: Int[np.ndarray, " fit"]
) -> float:
    mean = Scaler.of(values, fit).mean
    centred = Design((Part(values, Scaler(mean, np.ones(len(mean)))),), fit)
    gram = centred.gram
    total = float(np.trace(gram))
    # Below this the variance is float32 rounding, whose eigenvalues mean nothing.
    if total <= 1e-12 * (total + len(fit) * float((mean**2).sum())):
        return float("nan")
    return total**2 / float((gram**2).sum())
