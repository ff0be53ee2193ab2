"""The detector: scores against scikit-learn, SciPy and numbers by hand; false alarms as stated."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import LedoitWolf, ShrunkCovariance
from sklearn.neighbors import NearestNeighbors

from synapse_audit import DataError
from synapse_audit.guard.detecting import fit_detector, highest_rate
from synapse_audit.guard.parts import Ranges
from synapse_audit.guard.ranges import calibrated_ranges
from synapse_audit.guard.scoring import Calibrated, Scores

from .conftest import clusters


def test_scores_are_those_of_scikit_learn_and_scipy() -> None:
    states, predicted = clusters()
    states[:, 3] = 7.0  # never varies
    ranges = calibrated_ranges([states], predicted, n_classes=3, quantile=0.0)
    fit = np.arange(180)
    found = fit_detector([states], predicted, ranges, fit=fit, calibrate=np.arange(180, 240),
                         false_alarm_rate=0.05)  # fmt: skip
    order = np.random.default_rng([0, 11]).permutation(fit)
    mine = np.sort(order[:135])
    probe = states[180:190] + np.float32(0.5)
    raw = Scores(found, ranges).raw([torch.from_numpy(probe)]).numpy()[:, 0]

    known, varies = states[mine].astype(float), np.arange(12) != 3
    spread = known.std(axis=0)[varies]
    centres = np.stack([known[predicted[mine] == c].mean(axis=0) for c in range(3)])[:, varies]
    residual = known[:, varies] - centres[predicted[mine]]
    known_best = LedoitWolf(assume_centered=True).fit(residual / spread).shrinkage_
    shrunk = ShrunkCovariance(assume_centered=True, shrinkage=known_best / 100)
    precision = shrunk.fit(residual / spread).precision_
    wanted = [
        min(mahalanobis(x / spread, c / spread, precision) ** 2 for c in centres)
        for x in probe[:, varies]
    ]
    assert_allclose(raw[:, 0], wanted, rtol=1e-3)  # float32 beside float64
    nearest = NearestNeighbors(n_neighbors=10).fit(known[:, varies] / spread)
    far = nearest.kneighbors(probe[:, varies] / spread)[0][:, -1]
    assert_allclose(raw[:, 1], far, rtol=1e-3)
    over = np.clip(probe - states.max(axis=0), 0, None)[:, varies]
    assert_allclose(raw[:, 2], (over / spread).sum(axis=1), rtol=1e-3, atol=1e-5)


def _with_a_still_place(states: np.ndarray) -> tuple[list[np.ndarray], tuple[np.ndarray, Ranges]]:
    """Four neurons that are 2 on every input, then the states; classes and ranges of them."""
    both = [np.full((len(states), 4), 2, np.float32), states]
    predicted = np.arange(len(states)) % 3
    return both, (predicted, calibrated_ranges(both, predicted, n_classes=3, quantile=0.0))


def test_a_place_where_nothing_varies_counts_in_hundredths_of_its_size() -> None:
    """One neuron of four moves by 0.1, which are 5 units of 1 % of 2."""
    states, (predicted, ranges) = _with_a_still_place(clusters()[0])
    found = fit_detector(states, predicted, ranges, fit=np.arange(180),
                         calibrate=np.arange(180, 240), false_alarm_rate=0.05)  # fmt: skip
    assert_allclose(found.scorers[0].unit, 0.02)
    assert np.isinf(found.scorers[0].spread).all()
    # The scale: all four by one unit, so that 2 of 4 and 5 of 4 and 25 of 4 are left.
    assert_allclose(found.scale[0], [4, 2, 4])
    scores = Scores(found, ranges)
    moved = [torch.tensor([[2.0, 2.0, 2.0, 2.1]]), torch.from_numpy(states[1][:1])]
    assert_allclose(scores.raw(moved)[0, 0], [25, 5, 5], rtol=1e-3)
    scaled = scores.each(moved)[0, 0].numpy() * found.tail
    assert_allclose(scaled, [25 / 4, 5 / 2, 5 / 4], rtol=1e-3)


def test_a_neuron_that_first_fires_after_the_fit_does_not_hide_attacks() -> None:
    """A ReLU that is 0 on all of fit, and 3 on one input of those that give the threshold."""
    states, predicted = clusters()
    fires = np.zeros((240, 1), np.float32)
    fires[200] = 3
    both = np.hstack([states, fires])
    scores = []
    for each in (states, both):
        ranges = calibrated_ranges([each[:180]], predicted[:180], n_classes=3, quantile=0.0)
        found = fit_detector([each], predicted, ranges, fit=np.arange(180),
                             calibrate=np.arange(180, 240), false_alarm_rate=0.02)  # fmt: skip
        scores.append(Scores(found, ranges))
    plain, beside = scores
    attacked = np.hstack([states[180:] + np.float32(4), fires[180:]])
    assert bool((beside.p_values(beside([torch.from_numpy(attacked)])) <= 0.02).all())
    assert_allclose(beside.calibration, plain.calibration, rtol=1e-4, atol=1e-4)
    assert np.isinf(found.scorers[0].unit[12])


def test_rounding_of_what_never_varies_raises_no_alarm() -> None:
    """Clean inputs keep the rate where every state is rounded as in half precision (10 bits)."""
    generator = np.random.default_rng(5)
    states, (predicted, ranges) = _with_a_still_place(clusters(2000)[0])
    rows = np.arange(2000)
    found = fit_detector(states, predicted, ranges, fit=rows[:600], calibrate=rows[600:1000],
                         false_alarm_rate=0.05)  # fmt: skip
    scores = Scores(found, ranges)
    asked = [torch.from_numpy(one[1000:]) for one in states]
    plain = scores(asked)
    asked[0] = asked[0] * torch.from_numpy(generator.uniform(1 - 2**-11, 1 + 2**-11, (1000, 4)))
    rounded = scores([asked[0].float(), asked[1]])
    assert_allclose(rounded, plain, atol=0.05)  # 2⁻¹¹ are a twentieth of a unit
    alarms = float((scores.p_values(rounded) <= 0.05).float().mean())
    assert abs(alarms - 0.05) < 4 * np.sqrt(0.0475 / 1000 + 0.0475 / 400)
    asked[0] = asked[0] * 1.1  # 10 % are ten units of every neuron
    assert bool((scores.p_values(scores([asked[0].float(), asked[1]])) <= 0.05).all())


def test_p_values_are_conformal() -> None:
    states, predicted = clusters(2000)
    rows = np.arange(2000)
    ranges = calibrated_ranges([states[:600]], predicted[:600], n_classes=3, quantile=0.0)
    found = fit_detector([states], predicted, ranges, fit=rows[:600], calibrate=rows[600:1000],
                         false_alarm_rate=0.1)  # fmt: skip
    scores = Scores(found, ranges)
    p = scores.p_values(scores([torch.from_numpy(states[1000:])])).numpy()
    # 1,000 clean inputs: 4 standard errors of the share, calibration included.
    assert abs((p <= 0.1).mean() - 0.1) < 4 * np.sqrt(0.09 / 1000 + 0.09 / 400)
    far = scores.p_values(scores([torch.from_numpy(states[1000:1010] + 20)]))
    assert_allclose(far, 1 / 401)
    broken = torch.full((1, 12), float("nan"))
    assert_allclose(scores.p_values(scores([broken])), 1 / 401)


def test_no_score_sets_the_threshold_alone() -> None:
    states, predicted = clusters(1200)
    rows = np.arange(1200)
    ranges = calibrated_ranges([states[:600]], predicted[:600], n_classes=3, quantile=0.0)
    found = fit_detector([states], predicted, ranges, fit=rows[:600], calibrate=rows[600:],
                         false_alarm_rate=0.05)  # fmt: skip
    scores = Scores(found, ranges).scaled([torch.from_numpy(states[600:])]).numpy()
    high = np.quantile(scores, 0.95, axis=0)
    # 1 is what 1 in 20 of the clean inputs of fit get, estimated from 150; few leave any range.
    assert (high[:2] > 0.4).all() and (high < 2.5).all()


def test_a_rate_that_the_calibration_cannot_state_is_refused() -> None:
    states, predicted = clusters(120)
    ranges = calibrated_ranges([states], predicted, n_classes=3, quantile=0.0)
    with pytest.raises(DataError, match=r"0\.01 given with 40 calibration examples.*0\.024"):
        fit_detector([states], predicted, ranges, fit=np.arange(80), calibrate=np.arange(80, 120),
                     false_alarm_rate=0.01)  # fmt: skip


@pytest.mark.parametrize(("rate", "n"), [(0.01, 120), (0.05, 120), (0.01, 1000)])
def test_single_guards_exceed_their_highest_false_alarm_rate_in_one_of_twenty(
    rate: float, n: int
) -> None:
    """Scores of clean inputs are uniform here, so that a guard's own rate is 1 − its threshold."""
    generator = np.random.default_rng(0)
    own = np.array(
        [1 - Calibrated(np.sort(generator.random(n))).threshold(rate) for _ in range(4000)]
    )
    assert own.mean() <= rate + 3 * own.std() / np.sqrt(4000), "kept on average"
    share = (own > highest_rate(rate, n)).mean()
    assert share == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 4000))
