"""Ranges, detector, hardened head and vote, each against numbers of an independent kind."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from synapse_audit import DataError
from synapse_audit.config import PRESETS
from synapse_audit.guard import hardening
from synapse_audit.guard.clamping import clamp_pooled
from synapse_audit.guard.detecting import fit_detector, highest_rate
from synapse_audit.guard.hardening import (
    SLACK,
    HeadInputs,
    edits_up_to,
    harden,
    linear_logits,
    recentred,
    redirected,
    undecided,
)
from synapse_audit.guard.heads import VoteHead
from synapse_audit.guard.measuring import Sample
from synapse_audit.guard.parts import LinearHead, Ranges
from synapse_audit.guard.ranges import LEAST, calibrated_ranges
from synapse_audit.guard.scoring import Calibrated, Scores
from synapse_audit.guard.voting import counted, elect, fit_vote, votes
from synapse_audit.model import Pooling


def _clusters(n: int = 240, width: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """States around three centres, far from the origin; class of each."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    centres = 4 * np.eye(3, width) + 5
    return (centres[labels] + generator.normal(size=(n, width))).astype(np.float32), labels


# ---- ranges --------------------------------------------------------------------------------------


def test_ranges_are_quantiles_of_each_neuron() -> None:
    states = np.arange(101, dtype=np.float32)[:, None] * np.array([1, -2], np.float32)
    found = calibrated_ranges([states], np.zeros(101, int), n_classes=2, quantile=0.1)
    assert_allclose(found.low[0], [10, -180])
    assert_allclose(found.high[0], [90, -20])
    assert found.class_low == ()


def test_a_class_with_few_examples_has_the_range_of_all() -> None:
    states = np.arange(100, dtype=np.float32)[:, None]
    predicted = np.array([0] * (LEAST - 1) + [1] * (101 - LEAST))
    found = calibrated_ranges([states], predicted, n_classes=2, quantile=0.0, per_class=True)
    assert_array_equal(found.class_low[0], [[0], [LEAST - 1]])
    assert_array_equal(found.class_high[0], [[99], [99]])


def test_only_the_pooled_state_is_clamped() -> None:
    states = torch.tensor([[[5.0, -5.0], [9.0, 9.0]], [[0.5, float("nan")], [9.0, 9.0]]])
    low, high = torch.tensor([-1.0, -2.0]), torch.tensor([1.0, 2.0])
    found = clamp_pooled(states.clone(), Pooling(torch.tensor([0, 0]), None, None), low, high)
    assert_array_equal(found[:, 0], [[1, -2], [0.5, -2]])
    assert_array_equal(found[:, 1], states[:, 1])


def test_where_a_mean_is_read_all_its_tokens_move_alike() -> None:
    states = torch.tensor([[[4.0], [2.0], [100.0]]])
    kept = torch.tensor([[True, True, False]])
    pooling = Pooling(torch.tensor([0]), slice(None), kept)
    found = clamp_pooled(states, pooling, torch.tensor([0.0]), torch.tensor([1.0]))
    assert_array_equal(found[0, :, 0], [2, 0, 100])
    assert float(pooling.gather(found)) == 1.0


# ---- detector ------------------------------------------------------------------------------------


def test_scores_are_those_of_scikit_learn_and_scipy() -> None:
    states, predicted = _clusters()
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
    still = 0.5 / (0.01 * np.sqrt((known**2).mean()))  # what it moved by, in its unit
    centres = np.stack([known[predicted[mine] == c].mean(axis=0) for c in range(3)])[:, varies]
    residual = known[:, varies] - centres[predicted[mine]]
    precision = LedoitWolf(assume_centered=True).fit(residual / spread).precision_
    wanted = [
        min(mahalanobis(x / spread, c / spread, precision) ** 2 for c in centres) + still**2
        for x in probe[:, varies]
    ]
    assert_allclose(raw[:, 0], wanted, rtol=1e-3)  # float32 beside float64
    nearest = NearestNeighbors(n_neighbors=10).fit(known[:, varies] / spread)
    far = nearest.kneighbors(probe[:, varies] / spread)[0][:, -1]
    assert_allclose(raw[:, 1], np.hypot(far, still), rtol=1e-3)
    over = np.clip(probe - states.max(axis=0), 0, None)[:, varies]
    assert_allclose(raw[:, 2], (over / spread).sum(axis=1) + still, rtol=1e-3, atol=1e-5)


def _with_a_still_place(states: np.ndarray) -> tuple[list[np.ndarray], tuple[np.ndarray, Ranges]]:
    """Four neurons that are 2 on every input, then the states; classes and ranges of them."""
    both = [np.full((len(states), 4), 2, np.float32), states]
    predicted = np.arange(len(states)) % 3
    return both, (predicted, calibrated_ranges(both, predicted, n_classes=3, quantile=0.0))


def test_a_place_where_nothing_varies_counts_in_hundredths_of_its_size() -> None:
    """One neuron of four moves by 0.1, which are 5 units of 1 % of 2."""
    states, (predicted, ranges) = _with_a_still_place(_clusters()[0])
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


def test_a_neuron_that_seldom_varies_adds_no_more_than_one_to_a_clean_distance() -> None:
    """It is 0 on what the scorers were fitted on, and 3 on one input in five of the others."""
    states, predicted = _clusters(200)
    fit = np.arange(160)
    rest = np.sort(np.random.default_rng([0, 11]).permutation(fit)[120:])
    states[:, 3] = 0
    states[rest[::5], 3] = 3
    ranges = calibrated_ranges([states], predicted, n_classes=3, quantile=0.0)
    found = fit_detector([states], predicted, ranges, fit=fit, calibrate=np.arange(160, 200),
                         false_alarm_rate=0.05)  # fmt: skip
    assert_allclose(found.scorers[0].unit[3], np.sqrt(9 / 5), rtol=1e-6)


def test_rounding_of_what_never_varies_raises_no_alarm() -> None:
    """Clean inputs keep the rate where every state is rounded as in half precision (10 bits)."""
    generator = np.random.default_rng(5)
    states, (predicted, ranges) = _with_a_still_place(_clusters(2000)[0])
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
    states, predicted = _clusters(2000)
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
    states, predicted = _clusters(1200)
    rows = np.arange(1200)
    ranges = calibrated_ranges([states[:600]], predicted[:600], n_classes=3, quantile=0.0)
    found = fit_detector([states], predicted, ranges, fit=rows[:600], calibrate=rows[600:],
                         false_alarm_rate=0.05)  # fmt: skip
    scores = Scores(found, ranges).scaled([torch.from_numpy(states[600:])]).numpy()
    high = np.quantile(scores, 0.95, axis=0)
    # 1 is what 1 in 20 of the clean inputs of fit get, estimated from 150; few leave any range.
    assert (high[:2] > 0.4).all() and (high < 2.5).all()


def test_a_rate_that_the_calibration_cannot_state_is_refused() -> None:
    states, predicted = _clusters(120)
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


# ---- heads ---------------------------------------------------------------------------------------


def _host() -> tuple[LinearHead, np.ndarray]:
    states, labels = _clusters()
    centres = np.stack([states[labels == c].mean(axis=0) for c in range(3)])
    bias = -0.5 * (centres**2).sum(axis=1)
    return LinearHead(centres, bias.astype(np.float32), np.zeros(12, np.float32)), states


def test_another_centre_is_the_same_function() -> None:
    host, states = _host()
    found = recentred(host, states.mean(axis=0))
    one, other = linear_logits(host, states), linear_logits(found, states)
    assert_allclose(one - one.mean(axis=1, keepdims=True), other, atol=1e-2)
    assert_allclose(found.weight.sum(axis=0), 0, atol=1e-5)


@pytest.mark.usefixtures("few")
def test_the_hardened_head_is_redirected_less_and_says_the_same() -> None:
    host, states = _host()
    fit, select, rest = np.arange(100), np.arange(100, 160), np.arange(160, 240)
    found = harden(host, _read(host, states, fit, select))
    before, after = linear_logits(host, states[rest]), linear_logits(found, states[rest])
    assert (before.argmax(axis=1) == after.argmax(axis=1)).mean() >= 0.97
    # Far from the origin all inputs point one way: one direction moves them all.
    before, after = (_rates(head, states[fit], states[rest]) for head in (host, found))
    assert after.mean() < before.mean() - 0.1


def _read(host: LinearHead, states: np.ndarray, fit: np.ndarray, select: np.ndarray) -> HeadInputs:
    """Examples that the host is right about."""
    return HeadInputs(states, linear_logits(host, states).argmax(axis=1), fit, select)


def _rates(head: LinearHead, known: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Redirected to each class by a push and by a searched edit, of each size."""
    each = [redirected(head, known, inputs, edits) for edits in edits_up_to(1.0)]
    return np.concatenate(each, axis=1)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searched edits of two candidates: enough to see what is chosen."""
    monkeypatch.setattr(hardening, "MOST_SEARCHED", 2)


@pytest.mark.usefixtures("few")
def test_harm_is_looked_for_at_every_size_that_audits_try() -> None:
    """A spam filter's head was hardened against .5 and 1, and fell at .7."""
    tried = {budget for budget in PRESETS["quick"].budgets if 0.1 <= budget <= 1.0}
    assert tried <= set(hardening.BUDGETS)


def test_no_class_is_harmed_by_hardening() -> None:
    """Of a common class the logit is highest at the mean: what outweighs the head sends all there.

    About the origin, where the host's logits are equal, that class is no nearer than others.
    """
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], (200, 20, 20))
    centres = 4 * np.eye(3, 12)
    states = (centres[labels] + generator.normal(size=(240, 12))).astype(np.float32)
    nothing = np.zeros(12, np.float32)
    host = LinearHead((centres - centres.mean(axis=0)).astype(np.float32), nothing[:3], nothing)
    fit, select = np.array_split(generator.permutation(240), 2)
    before = _rates(host, states[fit], states[select])
    at_mean = recentred(host, states[fit].mean(axis=0))
    assert _rates(at_mean, states[fit], states[select])[0].max() > before[0].max() + 0.1
    found = harden(host, HeadInputs(states, labels, fit, select))
    after = _rates(found, states[fit], states[select])
    assert (after <= before + SLACK).all()
    assert after.mean() < before.mean() - 0.05


def _leaning() -> tuple[LinearHead, HeadInputs]:
    """A rare class that input 0 shows best, which the host leaves alone for 23 others.

    A machine with large margins leans on input 0, whose mean is that of the frequent class.
    """
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], (270, 30))
    signs = np.where(labels == 1, 1.0, -1.0)[:, None]
    size = np.concatenate([[20.0], np.ones(23)])
    states = (signs * size + 0.5 * generator.normal(size=(300, 24)) + 4).astype(np.float32)
    row = np.concatenate([[0.0], np.ones(23)]).astype(np.float32)
    bias = np.array([0, -4 * 23], np.float32)
    host = LinearHead(np.stack([0 * row, row]), bias, np.zeros(24, np.float32))
    host = recentred(host, np.zeros(24, np.float32))  # two outputs
    fit, select = np.array_split(generator.permutation(300), 2)
    return host, HeadInputs(states, labels, fit, select)


def _recall_of_the_rare_class(head: LinearHead, read: HeadInputs) -> float:
    """Half of the inputs at their mean over fit, one example at a time, 40 draws of its own."""
    generator = np.random.default_rng(99)
    mean, hits = read.inputs[read.fit].astype(float).mean(axis=0), []
    for example in (i for i in read.select if read.labels[i] == 1):
        for _ in range(40):
            x = read.inputs[example].astype(float)
            held = generator.choice(24, size=12, replace=False)
            x[held] = mean[held]
            logits = head.weight @ (x - head.centre) + head.bias
            hits.append(logits[1] > logits[0])
    return float(np.mean(hits))


@pytest.mark.usefixtures("few")
def test_no_head_is_chosen_that_rests_on_fewer_inputs_to_its_harm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A spam filter's hardened head lost spam where half of all neurons were at their mean."""
    host, read = _leaning()
    least = _recall_of_the_rare_class(host, read) - SLACK
    assert _recall_of_the_rare_class(harden(host, read), read) >= least
    monkeypatch.setattr(hardening, "SILENCED", ())
    assert _recall_of_the_rare_class(harden(host, read), read) < least - 0.2, "by edits alone"


def test_edits_are_looked_at_up_to_the_size_asked_for() -> None:
    host, states = _host()
    for largest, sizes in ((1.0, (7, 4)), (0.5, (5, 2)), (0.05, (1, 1))):
        rates = [redirected(host, states, states, e) for e in edits_up_to(largest)]
        assert tuple(one.shape[1] for one in rates) == sizes


def test_nothing_is_decided_where_all_logits_are_equal() -> None:
    host, states = _host()
    point = undecided(recentred(host, states.mean(axis=0)))
    logits = linear_logits(host, point[None])[0]
    assert_allclose(logits, logits.mean(), atol=1e-3)
    # The nearest such point: the way there lies in the span of the rows.
    step = point - states.mean(axis=0)
    rows = host.weight - host.weight.mean(axis=0)
    assert_allclose(rows.T @ np.linalg.lstsq(rows.T, step, rcond=None)[0], step, atol=1e-3)


@pytest.mark.usefixtures("few")
def test_one_output_stays_one() -> None:
    states, labels = _clusters()
    states = states[labels < 2]
    row = np.zeros(12, np.float32)
    row[:2] = [-1, 1]
    host = LinearHead(np.stack([0 * row, row]), np.zeros(2, np.float32), np.zeros(12, np.float32))
    rows = np.arange(len(states))
    found = harden(host, _read(host, states, rows[:80], rows[80:]))
    assert host.one_output and found.one_output
    assert (linear_logits(found, states).argmax(axis=1) == labels[labels < 2]).mean() > 0.95


@pytest.mark.usefixtures("few")
def test_two_classes_can_be_hardened() -> None:
    states, labels = _clusters()
    states, two = states[labels < 2], labels[labels < 2]
    weight = np.zeros((2, 12), np.float32)
    weight[1, :2] = [-1, 1]
    host = LinearHead(weight, np.zeros(2, np.float32), np.zeros(12, np.float32))
    rows = np.arange(len(two))
    found = harden(host, _read(host, states, rows[:80], rows[80:]))
    assert (linear_logits(found, states).argmax(axis=1) == two).mean() > 0.95


def test_every_input_belongs_to_one_voter() -> None:
    host, states = _host()
    said = linear_logits(host, states).argmax(axis=1)
    vote = fit_vote(host, states, said, 3)
    assert_array_equal(np.bincount(vote.voter), [4, 4, 4])
    before = votes(vote, states)
    for j in range(12):
        changed = states.copy()
        changed[:, j] = 1e6
        differ = votes(vote, changed) != before
        assert not differ[:, np.arange(3) != vote.voter[j]].any()
        assert differ[:, vote.voter[j]].any()


def test_the_module_counts_votes_as_the_arrays_do() -> None:
    host, states = _host()
    vote = elect(host, states, fit=np.arange(100), select=np.arange(100, 200))
    logits = VoteHead(vote)(torch.from_numpy(states)).numpy()
    wanted = counted(votes(vote, states), 3).argmax(axis=1)
    assert_array_equal(logits.argmax(axis=1), wanted)
    broken = states[:5].copy()
    broken[:, 0] = np.nan  # one neuron: one voter at most
    named = VoteHead(vote).voter_logits(torch.from_numpy(broken)).argmax(dim=2).numpy()
    assert (named != votes(vote, states[:5])).sum(axis=1).max() <= 1


# ---- measuring -----------------------------------------------------------------------------------


def test_areas_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    clean, attacked = generator.normal(size=60), generator.normal(size=(2, 60)) + 1
    found = Sample(np.ones(60), 0).area(attacked, clean)
    labels = np.repeat([0, 1], 60)
    wanted = [roc_auc_score(labels, np.concatenate([clean, one])) for one in attacked]
    assert_allclose(found.value, np.mean(wanted))
    assert found.low < found.value < found.high


def test_rates_are_weighted_and_never_shrink_to_a_point() -> None:
    sample = Sample(np.array([1.0, 3.0]), 0)
    assert_allclose(sample.rate(np.array([[True, False]])).value, 0.25)
    sure = sample.rate(np.array([[True, True]]))
    assert sure.value == 1 and sure.low < 0.6
    assert np.isnan(sample.rate(np.ones((1, 2)), np.zeros((1, 2))).value)


def test_draws_that_differ_widen_the_interval() -> None:
    sample = Sample(np.ones(100), 0)
    alike = np.tile(np.arange(100) % 2 == 0, (3, 1))
    unlike = np.stack([np.ones(100, bool), np.arange(100) % 2 == 0, np.zeros(100, bool)])
    one, other = sample.rate(alike), sample.rate(unlike)
    assert one.value == other.value == 0.5
    assert one.high - one.low < 0.3
    assert (other.low, other.high) == (0, 1)  # t with 2 degrees of freedom, sd 0.5
