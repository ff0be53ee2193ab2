"""Metrics of sets of labels: one function each, and the table of them.

In: :class:`ScoredSets`. Out: one value per row with its interval, weighted by example weights. F1
is 2 hits / (called + support) over the labels of an example, over the examples of a label (macro:
the mean over labels that occur), or over both (micro); with labels ``zero_division=0`` as in
scikit-learn. A metric that is not defined for some rows is NaN there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Num

from synapse_audit.artifacts.label_sets import holds, size
from synapse_audit.effects.estimates import Estimates, bounded, effective_size, proportion
from synapse_audit.effects.measures import accuracy, accuracy_drop, flip_rate, mean_kl
from synapse_audit.effects.scored import NO_CLASS, ClassCounts, Scored, ratio
from synapse_audit.statistics import paired_interval


def micro_f1(scored: Scored) -> Estimates:
    """F1 over all pairs of example and label: 2 hits / (called + support)."""
    return _of_resamples(scored, _micro(scored.counts)[:, 0], _micro(scored.resampled_counts))


def macro_f1(scored: Scored) -> Estimates:
    """Mean F1 over the labels that occur in the data (scikit-learn's with ``labels=`` those).

    A label that a resample lacks is left out of that resample's mean.
    """
    return _of_resamples(scored, _macro(scored.counts)[:, 0], _macro(scored.resampled_counts))


def weighted_f1(scored: Scored) -> Estimates:
    """Mean F1 over labels, each weighted by how many examples have it."""
    value, samples = (_by_support(x) for x in (scored.counts, scored.resampled_counts))
    return _of_resamples(scored, value[:, 0], samples)


def micro_f1_drop(scored: Scored) -> Estimates:
    """Clean micro F1 minus micro F1, paired by example: positive = the action harms."""
    clean = scored.untouched
    value = _micro(clean.counts)[0, 0] - _micro(scored.counts)[:, 0]
    samples = _micro(clean.resampled_counts)[0] - _micro(scored.resampled_counts)
    return Estimates(value, *paired_interval(value, samples, _examples(scored)))


def sample_f1(scored: Scored) -> Estimates:
    """Mean over examples of 2 hits / (called + had); 0 where both sets are empty.

    scikit-learn's ``average="samples"`` with ``zero_division=0``: an example without a label of
    which none is predicted counts as 0, though nothing is wrong with it.
    """
    return _mean(scored, lambda predicted: _overlap(predicted, scored.labels))


def hamming_loss(scored: Scored) -> Estimates:
    """Share of all pairs of example and label that are decided wrongly."""
    count = scored.n_classes
    return _mean(scored, lambda predicted: size(predicted ^ scored.labels) / count)


def hamming_rise(scored: Scored) -> Estimates:
    """Hamming loss minus the clean one, paired by example: positive = the action harms."""
    before = size(scored.clean ^ scored.labels) / scored.n_classes
    after = scored.phases.of(
        lambda predicted: size(predicted ^ scored.labels) / scored.n_classes - before
    )
    value = (after @ scored.weights)[:, 0] / scored.weights.sum()
    samples = after @ scored.resampled / scored.resampled.sum(axis=0)
    decisions = _examples(scored) * scored.n_classes  # the change that was not seen is one of these
    return Estimates(value, *paired_interval(value, samples, decisions))


def switch_rate(scored: Scored) -> Estimates:
    """Share of examples in which the label aimed at is switched.

    With a target: of those without it when clean, the share that have it afterwards. With a source:
    of those with it, the share that lose it. NaN without either.
    """
    on, off = scored.target[:, None], scored.source[:, None]
    label = np.where(on != NO_CLASS, on, off)
    known = label != NO_CLASS
    had = holds(scored.clean, np.maximum(label, 0))
    among = known & (had == (on == NO_CLASS))
    moved = scored.phases.of(lambda predicted: holds(predicted, np.maximum(label, 0)) != had)
    return proportion(scored, moved, among)


def collateral(scored: Scored) -> Estimates:
    """Share of examples right in every label but the one aimed at, in which another goes wrong.

    NaN without a label aimed at, or where no example is right in all others.
    """
    label = np.where(scored.target != NO_CLASS, scored.target, scored.source)[:, None]
    others = np.where(label == NO_CLASS, 0, ~np.left_shift(np.int64(1), np.maximum(label, 0)))
    among = (label != NO_CLASS) & (((scored.clean ^ scored.labels) & others) == 0)
    wrong = scored.phases.of(lambda predicted: ((predicted ^ scored.labels) & others) != 0)
    return proportion(scored, wrong, among)


SET_METRICS: dict[str, Callable[[Scored], Estimates]] = {
    "accuracy": accuracy,
    "accuracy_drop": accuracy_drop,
    "macro_f1": macro_f1,
    "weighted_f1": weighted_f1,
    "flip_rate": flip_rate,
    "redirect_rate": switch_rate,
    "collateral": collateral,
    "mean_kl": mean_kl,
    "micro_f1": micro_f1,
    "micro_f1_drop": micro_f1_drop,
    "sample_f1": sample_f1,
    "hamming_loss": hamming_loss,
    "hamming_rise": hamming_rise,
}
"""Accuracy and flips are those of whole sets: subset accuracy, and sets that change."""


def _everyone(scored: Scored) -> Bool[np.ndarray, "1 examples"]:
    return np.ones((1, len(scored.labels)), dtype=bool)


def _examples(scored: Scored) -> float:
    """Effective number of examples (Kish)."""
    return float(effective_size(scored, _everyone(scored))[0])


def _micro(counts: ClassCounts) -> Float[np.ndarray, "rows draws"]:
    """0 where nothing is there and nothing said, as scikit-learn has it."""
    found = ratio(2 * counts.hits.sum(axis=0), (counts.called + counts.support).sum(axis=0))
    return np.nan_to_num(found, nan=0.0)


def _macro(counts: ClassCounts) -> Float[np.ndarray, "rows draws"]:
    present = (counts.support > 0).sum(axis=0).astype(counts.hits.dtype)
    return ratio(np.nansum(counts.f1, axis=0), present)


def _by_support(counts: ClassCounts) -> Float[np.ndarray, "rows draws"]:
    return ratio(np.nansum(counts.f1 * counts.support, axis=0), counts.support.sum(axis=0))


def _overlap(
    predicted: Num[np.ndarray, "rows examples"], true: Num[np.ndarray, " examples"]
) -> Float[np.ndarray, "rows examples"]:
    return 2 * size(predicted & true) / np.maximum(size(predicted) + size(true), 1)


def _mean(
    scored: Scored,
    value: Callable[[Num[np.ndarray, "rows examples"]], Float[np.ndarray, "rows examples"]],
) -> Estimates:
    """Weighted mean over examples of something within [0, 1]."""
    each = scored.phases.of(value)
    mean = (each @ scored.weights)[:, 0] / scored.weights.sum()
    return _of_resamples(scored, mean, each @ scored.resampled / scored.resampled.sum(axis=0))


def _of_resamples(
    scored: Scored, value: Float[np.ndarray, " rows"], samples: Float[np.ndarray, "rows draws"]
) -> Estimates:
    """The interval of the resamples; Wilson's, as of so many examples, where it degenerates."""
    value = np.clip(value, 0.0, 1.0)  # a corrected share may leave [0, 1] by a hair
    size = np.full(len(value), _examples(scored))
    return bounded(value, samples, size, estimated=scored.phases.estimated)
