"""Fits the detector on clean pooled states: no training of the host, no anomalies needed.

In: pooled states per place. Out: :class:`Detector`. The ``fit`` examples are used in two parts: on
the larger one covariances and neighbours, on the other what their scores are on examples not
fitted on; the threshold comes from ``select``, which neither has seen.

A neuron that never varies over clean inputs has no spread to count its deviations in, and says
most where it moves: the embedding of a first token [CLS] is the same for every text, unless
somebody changes it. Where a whole place is like that, units are ``CONSTANT_UNIT`` of its root mean
square. Rounding is far below that: between batches of 1 to 48 and one or two threads, states of the
bundled classifier and of a MiniLM differ by at most 3e-6 of that size in single precision, and
embeddings not at all, in half precision neither. Where other neurons of the place vary, one that
never did is left out: that it is constant is not shown by so few examples, and one clean input
that moves it (a ReLU that is seldom above 0) would score so much that the threshold, which such
inputs set, lies above every attack.

Limits: the false-alarm rate is one over all inputs like those audited. Inputs of a class of which
few were fitted lie farther out than those of others, and alarm more often. A neuron that moves on
one fitted input has a small spread, so that a second such input, in ``select``, can still raise the
threshold above attacks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import stats
from sklearn.covariance import empirical_covariance, ledoit_wolf_shrinkage, shrunk_covariance

from synapse_audit.errors import DataError
from synapse_audit.guard.parts import SCORES, Detector, PlaceScorer, Ranges
from synapse_audit.guard.scoring import Scores

NEIGHBOURS = 10
FITTED = 0.75
"""Share of ``fit`` that covariances and neighbours come from."""
TAIL = 0.95
"""Quantile of clean scores that puts the three kinds on one scale, but for ``SCORE_SCALE``."""
MOST_KEPT = 2_000
"""Clean states kept for the nearest neighbours."""
FLOOR = 1e-4
"""Least variance of a direction, in units of the neurons' own total variance."""
VARIES = 1e-5
"""Least spread, relative to the neuron's own size, at which it counts as varying."""
SHRINKAGE = 0.01
"""Share of the Ledoit-Wolf shrinkage that is applied. The whole of it suits the directions in which
clean states vary most, and hides changes where they hardly vary: under noise on a block's weights
of 0.3 of their RMS (3 draws, a false-alarm rate of .05) .12 of 100 inputs of the bundled classifier
alarmed with all of it, and all of them with a tenth or a hundredth; of 40 of minilm-http-params
.17, .29 and .33 did."""
SCORE_SCALE = np.array([1.0, 2.0, 2.0])
"""What each of ``SCORES`` is divided by, beside its tail. Neighbours and ranges saw less than the
Mahalanobis distance in nearly every attack tried, and with equal weight their tails set the
threshold."""
CONSTANT_UNIT = 0.01
"""Unit at a place where no neuron varied, as a share of its root mean square."""
SMALLEST = 1e-6
"""Unit at a place where every state is 0."""


def fit_detector(
    states: Sequence[Float[np.ndarray, "examples _"]],
    predicted: Int[np.ndarray, " examples"],
    ranges: Ranges,
    *,
    fit: Int[np.ndarray, " fit"],
    calibrate: Int[np.ndarray, " calibrate"],
    false_alarm_rate: float,
    seed: int = 0,
) -> Detector:
    """Scorers for every place, their common scale, and the calibration scores.

    Args:
        states: per place, of all examples.
        predicted: the untouched model's class of each.
        fit, calibrate: disjoint rows.
        false_alarm_rate: share of clean inputs that may raise an alarm.

    Raises:
        DataError: too few calibration examples to state such a rate.
    """
    check_rate(false_alarm_rate, len(calibrate))
    order = np.random.default_rng([seed, 11]).permutation(fit)
    cut = max(2, round(FITTED * len(order)))
    fitted, rest = np.sort(order[:cut]), np.sort(order[cut:])
    scorers = tuple(_scorer(one[fitted], predicted[fitted]) for one in states)
    plain = np.zeros((len(states), len(SCORES)), np.float32)
    ones = np.ones(len(SCORES), np.float32)
    unscaled = Detector(
        scorers, NEIGHBOURS, plain, plain + 1, ones, np.zeros(1, np.float32), false_alarm_rate
    )
    # Ranges of all of fit hold the rest too, which would never leave them: theirs are the others'.
    own = [(one[fitted].min(axis=0), one[fitted].max(axis=0)) for one in states]
    others = Ranges(tuple(low for low, _ in own), tuple(high for _, high in own))
    raw = _raw(unscaled, others, [one[rest] for one in states])
    centre = np.median(raw, axis=0)
    least = 1e-3 * np.abs(centre) + np.stack([_least_scale(one) for one in scorers])
    scale = np.maximum(np.quantile(raw, 0.9, axis=0) - centre, least)
    tail = SCORE_SCALE * np.maximum(
        np.quantile(((raw - centre) / scale).max(axis=1), TAIL, axis=0), 1.0
    )
    clean = (_raw(unscaled, ranges, [one[calibrate] for one in states]) - centre) / scale
    scores = np.sort((clean.max(axis=1) / tail).max(axis=1))
    small = [array.astype(np.float32) for array in (centre, scale, tail, scores)]
    return Detector(scorers, NEIGHBOURS, small[0], small[1], small[2], small[3], false_alarm_rate)


def check_rate(rate: float, n: int) -> None:
    """Refuses a false-alarm rate that so many calibration examples cannot state.

    Raises:
        DataError: the smallest possible p-value, 1 / (n + 1), lies above it.
    """
    if not 0 < rate < 1 or rate < 1 / (n + 1):
        raise DataError(
            f"false-alarm rate {rate:g} given with {n:,} calibration examples; expected at least "
            f"{1 / (n + 1):.2g} and less than 1: a run with more examples allows less"
        )


def highest_rate(rate: float, n: int) -> float:
    """Share of clean inputs that raise an alarm at most, in 95 of 100 guards made like this one.

    ``rate`` is kept on average over calibration sets. That of one set of ``n`` is distributed as
    Beta(k, n + 1 − k) with k = ⌊rate (n + 1)⌋, where scores do not tie (Vovk 2012, arXiv
    1209.2673), so few examples leave it wide.

    >>> round(highest_rate(0.01, 120), 4), round(highest_rate(0.01, 2000), 4)
    (0.0247, 0.0139)
    """
    below = int(np.floor(rate * (n + 1) + 1e-9))
    return float(stats.beta.ppf(0.95, below, n + 1 - below))


def _raw(
    detector: Detector, ranges: Ranges, states: Sequence[Float[np.ndarray, "examples _"]]
) -> Float[np.ndarray, "examples places 3"]:
    with torch.inference_mode():
        tensors = [torch.from_numpy(np.array(one, np.float32)) for one in states]
        found: np.ndarray = Scores(detector, ranges).raw(tensors).numpy().astype(np.float64)
    return found


def _least_scale(scorer: PlaceScorer) -> Float[np.ndarray, " scores"]:
    """Where nothing ever varied, what a deviation of every neuron by its unit scores.

    Clean inputs all score 0 there, and rounding must not count for more than it is.
    """
    n = len(scorer.spread)
    still = bool(np.isinf(scorer.spread).all())
    return np.array([n, np.sqrt(n), n]) if still else np.full(len(SCORES), 1e-6)


def _scorer(
    states: Float[np.ndarray, "fit neurons"], predicted: Int[np.ndarray, " fit"]
) -> PlaceScorer:
    wide = np.asarray(states, np.float64)
    present = np.unique(predicted)
    centres = np.stack([wide[predicted == c].mean(axis=0) for c in present])
    residual = wide - centres[np.searchsorted(present, predicted)]
    spread = wide.std(axis=0)
    varies = spread > VARIES * (np.abs(wide).mean(axis=0) + VARIES)
    spread = np.where(varies, spread, np.inf)
    if varies.any():
        units, whitening = spread, np.zeros((len(spread), len(spread)))
        # In units of the spread: one loud neuron must not set the shrinkage of all others.
        per_spread = 1.0 / spread[varies]
        scaled = residual[:, varies] * per_spread
        share = SHRINKAGE * float(ledoit_wolf_shrinkage(scaled, assume_centered=True))
        plain = empirical_covariance(scaled, assume_centered=True)
        covariance = shrunk_covariance(plain, shrinkage=share)
        # Where a class has always the same states, some directions have no variance: a floor
        # keeps them finite.
        size, direction = np.linalg.eigh(covariance)
        root = per_spread[:, None] * direction / np.sqrt(np.maximum(size, FLOOR))
        whitening[np.ix_(varies, varies)] = root
    else:
        size = CONSTANT_UNIT * np.sqrt(np.square(wide).mean())
        units = np.full(len(spread), max(size, SMALLEST))
        whitening = np.diag(1.0 / units)
    kept = wide[:MOST_KEPT] / units
    parts = (centres, whitening, spread, units, kept)
    return PlaceScorer(*(one.astype(np.float32) for one in parts))
