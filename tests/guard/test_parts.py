"""Ranges, hardened head and vote, each against numbers of an independent kind."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import roc_auc_score

from synapse_audit.config import PRESETS
from synapse_audit.guard import hardening
from synapse_audit.guard.clamping import clamp_pooled
from synapse_audit.guard.hardening import (
    RECALL_SLACK,
    REDIRECT_SLACK,
    HeadInputs,
    edits_up_to,
    harden,
    linear_logits,
    loses_recall,
    recalls_silenced,
    recentred,
    redirected,
    undecided,
)
from synapse_audit.guard.heads import VoteHead
from synapse_audit.guard.measuring import Sample
from synapse_audit.guard.parts import LinearHead
from synapse_audit.guard.ranges import LEAST, calibrated_ranges
from synapse_audit.guard.voting import counted, elect, fit_vote, votes
from synapse_audit.model import Pooling

from .conftest import clusters

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


# ---- heads ---------------------------------------------------------------------------------------


def _host() -> tuple[LinearHead, np.ndarray]:
    states, labels = clusters()
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
    assert (after <= before + REDIRECT_SLACK).all()
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
    least = _recall_of_the_rare_class(host, read) - RECALL_SLACK
    assert _recall_of_the_rare_class(harden(host, read), read) >= least
    monkeypatch.setattr(hardening, "SILENCED", ())
    assert _recall_of_the_rare_class(harden(host, read), read) < least - 0.2, "by edits alone"


@pytest.mark.parametrize(("n", "refused"), [(6, True), (16, True), (24, False), (60, False)])
def test_one_example_lost_in_every_draw_is_too_many_of_a_class_with_few(
    monkeypatch: pytest.MonkeyPatch, n: int, refused: bool
) -> None:
    """Of n examples of a class the other head misses one, which is more than .05 of 16 or 6."""
    monkeypatch.setattr(hardening, "SILENCED", (0.0,))
    inputs = np.concatenate([np.full(100, -1), [0.1], np.ones(n - 1)]).astype(np.float32)[:, None]
    labels = (inputs[:, 0] > 0).astype(int)
    rows = np.arange(len(inputs))
    read = HeadInputs(inputs, labels, rows, rows)
    weight, nothing = np.array([[-1], [1]], np.float32), np.zeros(1, np.float32)
    host, other = (LinearHead(weight, np.array([b, -b], np.float32), nothing) for b in (0.0, 0.2))
    before, after = (recalls_silenced(head, read) for head in (host, other))
    assert_allclose(before[0], [1, 1])
    assert_allclose(after[0], [1, 1 - 1 / n])
    assert loses_recall(after, before) == refused


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
    states, labels = clusters()
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
    states, labels = clusters()
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
