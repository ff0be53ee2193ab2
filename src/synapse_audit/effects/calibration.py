"""How far what a model says of its own certainty is from how often it is right.

In: per row (action) and example the probability of the predicted class, whether it was right, and
weights in one or many draws (resamples). Out: expected calibration error and its parts. Numbers
in, numbers out.

Expected calibration error (Guo et al. 2017, equation 3): examples are put in bins by confidence,
ECE = Σ_b W_b / W · |accuracy of b − mean confidence of b|. It is biased upward in small samples;
:func:`chance_error` says by how much.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import minimize_scalar
from scipy.sparse import coo_array
from scipy.special import logsumexp

from synapse_audit.effects.scored import ratio
from synapse_audit.statistics import Interval, interval

BINS = 15
"""Bins of both kinds; the usual number for ECE."""

TEMPERATURES = (0.02, 50.0)
"""A best temperature beyond them is called unknown."""

SMALLEST = float(np.finfo(np.float32).tiny)
"""Probabilities below it count as this, so that a logarithm exists."""


class Reliability(NamedTuple):
    """One reliability curve; NaN where a bin is empty."""

    share: Float[np.ndarray, " bins"]
    """Of the weight."""
    confidence: Float[np.ndarray, " bins"]
    accuracy: Float[np.ndarray, " bins"]


# ---- bins ----------------------------------------------------------------------------------------


def equal_width(confidence: Float[np.ndarray, "rows examples"]) -> Int[np.ndarray, "rows examples"]:
    """Bin b holds confidences in (b / 15, (b + 1) / 15]; 0 goes into the first."""
    edges = np.linspace(0.0, 1.0, BINS + 1)[1:-1]
    return np.searchsorted(edges, confidence.astype(np.float64), side="left")


def equal_mass(
    confidence: Float[np.ndarray, "rows examples"], weights: Float[np.ndarray, "*rows examples"]
) -> Int[np.ndarray, "rows examples"]:
    """Bins of equal weight, as far as ties allow: equal confidences share a bin.

    Args:
        weights: of each row, or of all.
    """
    order = np.argsort(confidence, axis=1, kind="stable")
    ordered = np.take_along_axis(confidence, order, axis=1)
    mass = np.take_along_axis(np.broadcast_to(weights, confidence.shape), order, axis=1)
    before, total = mass.cumsum(axis=1) - mass, mass.sum(axis=1, keepdims=True)
    first, last = _ends_of_ties(ordered)
    start, end = (
        np.take_along_axis(x, places, axis=1)
        for x, places in ((before, first), (before + mass, last))
    )
    middle = ratio((start + end) / 2, total)
    # A middle on an edge up to rounding must not fall to either side by chance.
    bins = np.nan_to_num(np.floor(BINS * middle + 1e-9)).astype(np.int64)
    found = np.empty_like(bins)
    np.put_along_axis(found, order, np.minimum(bins, BINS - 1), axis=1)
    return found


def _ends_of_ties(
    ordered: Float[np.ndarray, "rows examples"],
) -> tuple[Int[np.ndarray, "rows examples"], Int[np.ndarray, "rows examples"]]:
    """The first and the last place of each value's group of equal ones."""
    n = ordered.shape[1]
    differs = np.diff(ordered, axis=1) != 0
    first, last = np.zeros(ordered.shape, np.int64), np.full(ordered.shape, n - 1)
    first[:, 1:] = np.where(differs, np.arange(1, n), 0)
    last[:, :-1] = np.where(differs, np.arange(n - 1), n - 1)
    first = np.maximum.accumulate(first, axis=1)
    return first, np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]


# ---- errors --------------------------------------------------------------------------------------


def calibration_error(
    confidence: Float[np.ndarray, "rows examples"],
    right: Bool[np.ndarray, "rows examples"],
    bins: Int[np.ndarray, "rows examples"],
    weights: Float[np.ndarray, "examples draws"],
) -> Float[np.ndarray, "rows draws"]:
    """ECE of each row in each draw; NaN in a draw without weight."""
    gaps = np.abs(_sums(right - confidence, bins, weights)).sum(axis=1)
    return ratio(gaps, weights.sum(axis=0, keepdims=True))


def binned_error(
    over: Float[np.ndarray, "rows examples"],
    bins: Int[np.ndarray, "rows examples"],
    weights: Float[np.ndarray, "rows examples"],
) -> Float[np.ndarray, " rows"]:
    """ECE of each row on weights of its own; ``over``: confidence minus whether it was right."""
    return np.asarray(np.abs(_binned(over * weights, bins)).sum(axis=1) / weights.sum(axis=1))


def binned_chance(
    confidence: Float[np.ndarray, "rows examples"],
    bins: Int[np.ndarray, "rows examples"],
    weights: Float[np.ndarray, "rows examples"],
) -> Float[np.ndarray, " rows"]:
    """:func:`chance_error` of each row on weights of its own."""
    spread = confidence * np.clip(1.0 - confidence, 0.0, None)
    variance = _binned(spread * weights**2, bins)
    return np.asarray(np.sqrt(2.0 / np.pi * variance).sum(axis=1) / weights.sum(axis=1))


def _binned(
    values: Float[np.ndarray, "rows examples"], bins: Int[np.ndarray, "rows examples"]
) -> Float[np.ndarray, "rows bins"]:
    """Sums per row and bin."""
    line = np.arange(len(values))[:, None] * BINS + bins
    sums = np.bincount(line.ravel(), values.ravel(), minlength=len(values) * BINS)
    return sums.reshape(len(values), BINS).astype(np.float64)  # of nothing they are whole numbers


def chance_error(
    confidence: Float[np.ndarray, "rows examples"],
    bins: Int[np.ndarray, "rows examples"],
    weights: Float[np.ndarray, " examples"],
) -> Float[np.ndarray, " rows"]:
    """ECE that a perfectly calibrated model with these confidences would show on average.

    Σ_b √(2/π · Σ_b w² c (1 − c)) / W: each bin's gap is close to normal with mean 0. Approximate,
    too high where bins hold few examples.
    """
    spread = confidence * np.clip(1.0 - confidence, 0.0, None)
    variance = _sums(spread, bins, weights[:, None] ** 2)[..., 0]
    return np.sqrt(2.0 / np.pi * variance).sum(axis=1) / weights.sum()


def reflected(
    value: Float[np.ndarray, " rows"], samples: Float[np.ndarray, "rows resamples"]
) -> Interval:
    """Basic bootstrap interval 2θ − q (Davison & Hinkley 1997, 5.2), within [0, 1].

    Resampling adds noise, and noise only ever raises an ECE, so percentiles lie too high by as much
    again as the value itself does; reflection takes both out. Widened to hold the value.
    """
    found = interval(samples)
    low, high = 2 * value - found.high, 2 * value - found.low
    return Interval(np.clip(np.minimum(low, value), 0, 1), np.clip(np.maximum(high, value), 0, 1))


def reliability(
    confidence: Float[np.ndarray, " examples"],
    right: Bool[np.ndarray, " examples"],
    weights: Float[np.ndarray, "examples 1"],
) -> Reliability:
    """Accuracy over confidence in bins of equal width."""
    bins = equal_width(confidence[None, :])
    hits, said = right[None, :].astype(np.float64), confidence[None, :].astype(np.float64)
    mass = _sums(np.ones_like(said), bins, weights)[0]
    return Reliability(
        share=mass[:, 0] / mass.sum(),
        confidence=ratio(_sums(said, bins, weights)[0], mass)[:, 0],
        accuracy=ratio(_sums(hits, bins, weights)[0], mass)[:, 0],
    )


def _sums(
    values: Float[np.ndarray, "rows examples"],
    bins: Int[np.ndarray, "rows examples"],
    weights: Float[np.ndarray, "examples draws"],
) -> Float[np.ndarray, "rows bins draws"]:
    """Weighted sums per row and bin. Sparse: each example lies in one bin."""
    rows, examples = values.shape
    line = (np.arange(rows)[:, None] * BINS + bins).reshape(-1)
    example = np.tile(np.arange(examples), rows)
    data = values.reshape(-1).astype(weights.dtype)
    matrix = coo_array((data, (line, example)), shape=(rows * BINS, examples)).tocsr()
    return (matrix @ weights).reshape(rows, BINS, weights.shape[1])


# ---- temperature ---------------------------------------------------------------------------------


def log_loss(
    logits: Float[np.ndarray, "examples classes"],
    labels: Int[np.ndarray, " examples"],
    weights: Float[np.ndarray, " examples"],
    temperature: float = 1.0,
) -> float:
    """Weighted mean of −log P(true class) in nats, all logits divided by ``temperature``."""
    scaled = logits.astype(np.float64) / temperature
    loss = logsumexp(scaled, axis=1) - scaled[np.arange(len(labels)), labels]
    return float(loss @ weights / weights.sum())


class Answers(NamedTuple):
    """What is answered, and how sure that is."""

    predicted: Int[np.ndarray, " examples"]
    confidence: Float[np.ndarray, " examples"]
    """Probability of the class predicted: the most likely one where there are no thresholds."""


def answers(
    logits: Float[np.ndarray, "examples classes"],
    temperature: float = 1.0,
    shift: Float[np.ndarray, " classes"] | None = None,
) -> Answers:
    """Predictions and their probability, all logits divided by ``temperature``.

    Args:
        logits: the model's own.
        shift: of the decision thresholds, which stay where they are.
    """
    scaled = logits.astype(np.float64) / temperature
    predicted = (scaled if shift is None else scaled + shift).argmax(axis=1)
    own = scaled[np.arange(len(scaled)), predicted]
    return Answers(predicted, np.exp(own - logsumexp(scaled, axis=1)))


def fit_temperature(
    logits: Float[np.ndarray, "examples classes"],
    labels: Int[np.ndarray, " examples"],
    weights: Float[np.ndarray, " examples"],
) -> float:
    """The temperature with the smallest log loss (Guo et al. 2017, section 4.2).

    NaN where it lies beyond ``TEMPERATURES``: with every example right any smaller one is better.
    """
    if not len(labels):
        return float("nan")
    low, high = np.log(TEMPERATURES)
    found = minimize_scalar(
        lambda t: log_loss(logits, labels, weights, float(np.exp(t))),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-6},
    )
    ends = [log_loss(logits, labels, weights, end) for end in TEMPERATURES]
    return float(np.exp(found.x)) if found.fun < min(ends) - 1e-12 else float("nan")
