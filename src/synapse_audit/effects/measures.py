"""One function per metric, and the table of them.

In: :class:`Scored`. Out: one value per row with its interval. Everything is weighted by example
weights. A new metric = one function, one line of METRICS, and its columns in
``EFFECTS`` (``tables/run.py``).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from synapse_audit.effects.estimates import (
    Estimates,
    bounded,
    effective_size,
    either,
    paired_drop,
    proportion,
    unseen,
)
from synapse_audit.effects.scored import NO_CLASS, ClassCounts, Scored, ratio


def accuracy(scored: Scored) -> Estimates:
    """Share of examples predicted as labelled."""
    return proportion(scored, scored.right, _everyone(scored))


def accuracy_drop(scored: Scored) -> Estimates:
    """Clean accuracy minus accuracy, paired by example: positive = the action harms."""
    clean_right = scored.clean == scored.labels
    return paired_drop(scored, clean_right, scored.right)


def macro_f1(scored: Scored) -> Estimates:
    """Mean F1 over the classes that occur in the data (scikit-learn's with ``labels=`` those).

    A class that a resample lacks (grouped bootstrap only) is left out of that resample's mean.
    Where the bootstrap degenerates: Wilson, as if F1 were a proportion over an effective size of
    C² / Σ_c (1 / n_c), that of a mean in which each of C classes counts equally; approximate.
    """
    value = _mean_over_classes(scored.counts)[:, 0]
    samples = _mean_over_classes(scored.resampled_counts)
    sizes = class_sizes(scored)
    sizes = sizes[~np.isnan(sizes)]
    size = np.full(len(value), len(sizes) ** 2 / (1.0 / sizes).sum())
    beyond = unseen(scored, either(scored.right, _everyone(scored)), macro=True)
    return bounded(value, samples, size, beyond, estimated=scored.phases.estimated)


def weighted_f1(scored: Scored) -> Estimates:
    """Mean F1 over classes, each weighted by its support; degenerates as ``macro_f1``."""
    value = _support_mean(scored.counts)[:, 0]
    samples = _support_mean(scored.resampled_counts)
    size = effective_size(scored, _everyone(scored))
    beyond = unseen(scored, either(scored.right, _everyone(scored)))
    size = np.broadcast_to(size, value.shape)
    return bounded(value, samples, size, beyond, estimated=scored.phases.estimated)


def flip_rate(scored: Scored) -> Estimates:
    """Share of examples whose prediction is no longer the clean one, right or wrong."""
    return proportion(
        scored, scored.phases.of(lambda predicted: predicted != scored.clean), _everyone(scored)
    )


def redirect_rate(scored: Scored) -> Estimates:
    """Share of examples not predicted as the target when clean that are predicted so afterwards.

    With a source set: among the examples predicted as the source when clean. NaN without a target.
    """
    target, source = scored.target[:, None], scored.source[:, None]
    among = (target != NO_CLASS) & (scored.clean != target)
    among &= (source == NO_CLASS) | (scored.clean == source)
    return proportion(scored, scored.phases.of(lambda predicted: predicted == target), among)


def collateral(scored: Scored) -> Estimates:
    """Share of examples right when clean, outside the aimed-at classes, that become wrong.

    Outside = the true class is neither target nor source. NaN without a target.
    """
    target, source = scored.target[:, None], scored.source[:, None]
    among = (target != NO_CLASS) & (scored.clean == scored.labels)
    among &= (scored.labels != target) & (scored.labels != source)
    return proportion(scored, 1 - scored.right, among)


def mean_kl(scored: Scored) -> Estimates:
    """Mean KL(clean ‖ intervened) in nats; without an interval (heavy tails)."""
    value = np.maximum((scored.kl @ scored.weights)[:, 0] / scored.weights.sum(), 0.0)
    unknown = np.full(len(value), np.nan)
    return Estimates(value, unknown, unknown)


Metric = Callable[[Scored], Estimates]

METRICS: dict[str, Metric] = {
    "accuracy": accuracy,
    "accuracy_drop": accuracy_drop,
    "macro_f1": macro_f1,
    "weighted_f1": weighted_f1,
    "flip_rate": flip_rate,
    "redirect_rate": redirect_rate,
    "collateral": collateral,
    "mean_kl": mean_kl,
}


def class_sizes(scored: Scored) -> Float[np.ndarray, " classes"]:
    """Effective number of examples of each class; NaN for a class without any."""
    return effective_size(scored, scored.members)


def _everyone(scored: Scored) -> Bool[np.ndarray, "1 examples"]:
    return np.ones((1, len(scored.labels)), dtype=bool)


def _mean_over_classes(counts: ClassCounts) -> Float[np.ndarray, "rows draws"]:
    present = (counts.support > 0).sum(axis=0).astype(counts.hits.dtype)
    return ratio(np.nansum(counts.f1, axis=0), present)


def _support_mean(counts: ClassCounts) -> Float[np.ndarray, "rows draws"]:
    return ratio(np.nansum(counts.f1 * counts.support, axis=0), counts.support.sum(axis=0))
