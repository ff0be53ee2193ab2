"""Paired differences of figures: swaps by brute force, known differences, the null."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom

from synapse_audit.compare.joint import Sample, joint_differences, swapped
from synapse_audit.compare.per_example import Contribution
from synapse_audit.compare.unpaired import difference
from synapse_audit.effects.calibration import BINS, calibration_error, equal_width
from synapse_audit.statistics import resampled_weights, wilson
from synapse_audit.summary import Figure

ECE, HELD, PLATEAU = ("calibration", "ece"), ("silenced", "accuracy", "0.5"), ("redundancy",
                                                                             "plateau")  # fmt: skip


def sample_of(n: int, *, units=None, weights=None, seed: int = 0) -> Sample:
    weights = np.ones(n) if weights is None else weights
    drawn = resampled_weights(np.zeros(n, dtype=np.int64), weights, resamples=500, seed=seed)
    units = np.arange(n) if units is None else units
    return Sample(weights, drawn.astype(np.float64), units, seed)


def rate(hits: np.ndarray) -> Contribution:
    columns = np.stack([hits.astype(float), np.ones(len(hits))], axis=1)
    return Contribution(columns, lambda sums: sums[0] / sums[1])


def calibration(sure: np.ndarray, right: np.ndarray) -> Contribution:
    inside = equal_width(sure[None])[0][:, None] == np.arange(BINS)
    columns = np.concatenate([inside * (right - sure)[:, None], np.ones((len(sure), 1))], axis=1)
    return Contribution(columns, lambda sums: np.abs(sums[:-1]).sum(axis=0) / sums[-1])


def ece(sure: np.ndarray, right: np.ndarray, weights: np.ndarray) -> float:
    bins = equal_width(sure[None])
    return float(calibration_error(sure[None], right[None], bins, weights[:, None])[0, 0])


def test_swaps_of_a_figure_that_is_no_mean_are_those_of_brute_force() -> None:
    """Calibration error of five examples in four units under all 16 swaps."""
    generator = np.random.default_rng(0)
    sure, right = generator.uniform(0.3, 1, (2, 5)), generator.random((2, 5)) < 0.6
    weights, units = generator.uniform(0.5, 2, 5), np.array([0, 1, 1, 2, 3])
    both = tuple(calibration(*one) for one in zip(sure, right, strict=True))
    found = swapped([both], sample_of(5, units=units, weights=weights))[0]
    expected = []
    for flips in product((False, True), repeat=4):
        moved = np.array(flips)[units]
        mine, theirs = (
            [np.where(moved, one[1 - i], one[i]) for one in (sure, right)] for i in (0, 1)
        )
        expected.append(ece(*theirs, weights) - ece(*mine, weights))
    assert {round(value, 9) for value in found} == {round(value, 9) for value in expected}


def test_pairing_shows_what_independent_intervals_cannot() -> None:
    """12 of 400 lose what they had and none gains: a loss of .03."""
    before = np.arange(400) < 320
    after = before & (np.arange(400) >= 12)
    (found,) = joint_differences({HELD: (rate(before), rate(after))}, sample_of(400), among=1)
    assert found.value == pytest.approx(-0.03) and found.high < 0 < 0.06 + found.low
    figures = [Figure(x, *map(float, wilson(x * 400, 400))) for x in (0.8, 0.77)]
    alone = difference(*figures)
    assert alone.low < 0 < alone.high
    (joint,) = joint_differences({HELD: (rate(before), rate(after))}, sample_of(400), among=500)
    assert joint.low < found.low and joint.high >= 0.0, "no swap test reaches .05 / 500"


def test_equal_models_are_not_shown_to_be_equal() -> None:
    same = rate(np.arange(50) < 40)
    (found,) = joint_differences({HELD: (same, same)}, sample_of(50), among=1)
    assert found.value == 0.0 and found.low < -0.04 and found.high > 0.04


def test_a_plateau_is_known_up_to_the_gap_of_its_grid() -> None:
    """One plateau ends at .3, the other at .1: the truth lies within [.1, .3) and [.3, .5)."""

    def plateau(reached: int, gap: float) -> Contribution:
        lost = np.zeros((100, 4))
        lost[:, reached:3] = 1.0
        lost[:, 3] = 1.0
        shares = np.array([0.0, 0.1, 0.3, 0.5])

        def value(sums: np.ndarray) -> np.ndarray:
            held = sums[:-1] / sums[-1] <= 0.02
            return shares[np.cumprod(held, axis=0).sum(axis=0)]

        return Contribution(lost, value, gap)

    both = (plateau(2, 0.2), plateau(1, 0.2))
    (found,) = joint_differences({PLATEAU: both}, sample_of(100), among=1)
    assert found.value == pytest.approx(-0.2)
    assert (found.low, found.high) == pytest.approx((-0.4, 0.0))


def null_pair(seed: int) -> dict[tuple[str, ...], tuple[Contribution, Contribution]]:
    """Two models that err alike: calibration error, accuracy and ten shares silenced."""
    generator = np.random.default_rng([seed, 3])
    hard = generator.random(150)
    models = []
    for _ in range(2):
        right = generator.random(150) < 0.6 + 0.35 * hard
        sure = np.clip(0.5 + 0.5 * hard + generator.normal(0, 0.1, 150), 0.2, 1.0)
        held = [rate(right & (generator.random(150) < share)) for share in np.linspace(1, 0.3, 10)]
        models.append([calibration(sure, right), *held])
    keys = [ECE, *[("silenced", "accuracy", str(i)) for i in range(10)]]
    return dict(zip(keys, zip(*models, strict=True), strict=True))


def claims(audits: int) -> tuple[int, int]:
    """In how many pairs of equal models any figure differs: jointly, and the first one alone."""
    any_of, first = 0, 0
    for seed in range(audits):
        pairs, sample = null_pair(seed), sample_of(150, seed=seed)
        found = joint_differences(pairs, sample, among=len(pairs))
        any_of += any(one.low > 0 or one.high < 0 for one in found)
        (alone,) = joint_differences({ECE: pairs[ECE]}, sample, among=1)
        first += alone.low > 0 or alone.high < 0
    return any_of, first


def test_equal_models_rarely_differ() -> None:
    assert max(claims(12)) <= binom.ppf(0.999, 12, 0.05)


@pytest.mark.proof
def test_equal_models_differ_as_rarely_as_claimed() -> None:
    """200 pairs; at most 5 % and three standard errors of such a share."""
    limit = 200 * (0.05 + 3 * np.sqrt(0.05 * 0.95 / 200))
    assert max(claims(200)) <= limit
