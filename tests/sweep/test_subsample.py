"""Who is run exactly: numbers, strata, shares and rates by hand, and the draw over many seeds."""

from dataclasses import replace

import numpy as np
import pytest

from synapse_audit import memory
from synapse_audit.artifacts import Cell, Outcomes, Pooled
from synapse_audit.neurons import NeuronSet
from synapse_audit.statistics import Z_975
from synapse_audit.sweep.second_phase import draw
from synapse_audit.sweep.subsample import (
    LEAST_FEW,
    LEAST_SAMPLE,
    LEAST_SHARE,
    PILOT,
    PILOT_CELLS,
    PRIOR,
    STRATA,
    Need,
    Subsampling,
    edges_of,
    kind,
    pilot_cells,
    strata_of,
    stratum_rates,
    subsampling,
)

ROWS = np.arange(100, 1100)
LABELS = np.array([0] * 700 + [1] * 280 + [2] * 20)


def chosen(seed: int = 0, precision: float = 0.01) -> Subsampling:
    return subsampling(ROWS, LABELS, precision=precision, seed=seed)


def cell(operator: str, draw: int, k: int = 10, **purpose: object) -> Cell:
    given = {"selection": "random", "layers": "all", "neurons": NeuronSet.of({1: range(k)})}
    return Cell(
        space="neuron", operator=operator, site="block_output", draw=draw, **(given | purpose)
    )


def outcomes(cells: list[Cell], predicted: np.ndarray, margin: np.ndarray) -> Outcomes:
    blank = np.zeros(predicted.shape, dtype=np.float32)
    actions = tuple(cell.action for cell in cells)
    held = margin.astype(np.float32)
    return Outcomes(actions, predicted.astype(np.uint16), blank, held, blank, blank)


def test_numbers_depend_on_the_seed_and_spread_evenly_within_a_class() -> None:
    numbers = chosen().numbers
    assert numbers.tolist() == chosen().numbers.tolist() != chosen(seed=1).numbers.tolist()
    for label, size in enumerate((700, 280, 20)):
        parts = np.floor(numbers[label == LABELS] * size)
        assert sorted(parts) == list(range(size)), "one in every part"


def test_every_number_is_uniform_over_seeds() -> None:
    rare = np.array([chosen(seed).numbers[-1] for seed in range(2000)])
    for share in (0.02, 0.1, 0.5):
        error = np.sqrt(share * (1 - share) / len(rare))
        assert (rare < share).mean() == pytest.approx(share, abs=4 * error)


def test_the_pilot_takes_other_examples_than_those_that_are_run_first() -> None:
    plan = chosen()
    assert plan.pilot == 50 == len(plan.tail) and (np.diff(plan.tail) > 0).all()
    assert plan.numbers[plan.tail - 100].min() > 0.93
    assert len(subsampling(ROWS[:60], LABELS[:60], precision=0.01, seed=0).tail) == PILOT
    assert subsampling(ROWS[:40], LABELS[:40], precision=0.01, seed=0).all_exact
    assert (
        subsampling(np.arange(4000), np.zeros(4000, dtype=np.int64), precision=0.01, seed=0).pilot
        == 200
    )


def test_strata_of_margins_by_hand() -> None:
    """The typical margin is 2: edges at .06, .12, .25, .5, 1 and 2; either side counts alike."""
    margins = np.array([[0.05, -0.07, 0.2, -0.4, 0.9, 2.0, 2.0, 5.0, -9.0, 2.0, 2.0]])
    assert strata_of(margins, edges_of(margins)).tolist() == [[0, 1, 2, 3, 4, 6, 6, 6, 6, 6, 6]]
    nobody = np.zeros((2, 0))
    assert strata_of(nobody, edges_of(nobody)).shape == (2, 0)


def test_doubtful_strata_are_sampled_as_densely_as_the_precision_asks() -> None:
    plan = chosen()
    sizes = np.array([[20, 20, 60, 100, 200, 300, 300]] * 4)
    none, sure = np.full(STRATA, 1e-9), np.full(STRATA, 1e-5)
    some = np.array([0.2, 0.1, 0.02, 0.01, 1e-3, 1e-4, 1e-4])
    rates = np.stack([none, sure, some, np.full(STRATA, 0.5)])
    shares = plan.shares(sizes, rates)
    assert shares[0].tolist() == [LEAST_SAMPLE / 1000] * STRATA
    assert (shares[3] == 1).all(), "so much disagreement: everybody"
    half = Z_975 * np.sqrt((sizes * rates * (1 / shares - 1)).sum(axis=1)) / 1000
    assert (half <= 0.01).all()
    assert (np.diff(shares[2]) <= 0).all() and shares[2, 0] > 5 * shares[2, -1]
    # No denser than needed: the next coarser factor (14 % less) misses the precision.
    coarser = np.clip(shares[2] * 0.86, LEAST_SAMPLE / 1000, 1)
    assert Z_975 * np.sqrt((sizes[2] * some * (1 / coarser - 1)).sum()) / 1000 > 0.01
    # In proportion to the root of the rate, above the floor and below everybody.
    inner = (shares[2] > LEAST_SAMPLE / 1000) & (shares[2] < 1)
    assert inner.sum() >= 2
    assert np.ptp((shares[2] / np.sqrt(some))[inner]) < 1e-9
    assert (chosen(precision=0.05).shares(sizes, rates)[2] <= shares[2]).all()
    assert plan.shares(sizes[:0], rates[:0]).shape == (0, STRATA)


def test_on_few_examples_the_second_phase_may_leave_as_large_a_part_open() -> None:
    """A quarter of 1,000 examples: twice the half width, a twentieth of them where all is sure."""
    few = subsampling(ROWS[:250], LABELS[:250], precision=0.01, seed=0)
    assert few.precision == pytest.approx(0.02)
    assert subsampling(ROWS.repeat(2), LABELS.repeat(2), precision=0.01, seed=0).precision == 0.01
    assert few.floor == pytest.approx(LEAST_SHARE)
    assert few.floors([Need(), Need(Pooled(5, 1)), Need(alone=True)]) == pytest.approx(
        np.array([0.05, LEAST_FEW / 250, LEAST_SAMPLE / 250])
    )
    tiny = subsampling(ROWS[:80], LABELS[:80], precision=0.01, seed=0)
    assert tiny.floor == pytest.approx(LEAST_FEW / 80)
    assert chosen().floor == pytest.approx(LEAST_SAMPLE / 1000)


def test_long_examples_are_run_more_rarely() -> None:
    """Two thirds are of length 10, a third of 40: bands of half the mean of 20 and twice it."""
    lengths = np.array([10, 10, 40] * 333 + [10])
    plan = subsampling(ROWS, LABELS, lengths=lengths, precision=0.01, seed=0)
    assert plan.band.tolist() == [0, 0, 1] * 333 + [0]
    assert plan.costs == pytest.approx(np.array([10, 40]) / lengths.mean())
    strata = np.zeros((1, 1000), dtype=np.int8)
    strata[0, 500:] = STRATA - 1
    places = plan.places(strata)
    assert np.unique(places[0, :500]).tolist() == [0, 1]
    assert np.unique(places[0, 500:]).tolist() == [2 * STRATA - 2, 2 * STRATA - 1]
    sizes = np.bincount(places[0], minlength=2 * STRATA)[None]
    rates = np.repeat([[0.1, *[1e-7] * (STRATA - 1)]], 2, axis=1)
    shares = plan.shares(sizes, rates)
    # The cost is four times as high: half as dense, in doubt and at the floor alike.
    assert shares[0, 0] == pytest.approx(2 * shares[0, 1]) and 0.05 < shares[0, 0] < 1
    assert shares[0, -2:] == pytest.approx(LEAST_SAMPLE / 1000 / np.sqrt(plan.costs))
    equal = subsampling(ROWS, LABELS, precision=0.01, seed=0).shares(sizes, rates)
    each = np.tile(plan.costs, STRATA)
    cost, plain = (float((sizes * some)[0] @ each) for some in (shares, equal))
    assert cost < 0.95 * plain, "the same precision for less"
    half = Z_975 * np.sqrt((sizes * rates * (1 / shares - 1)).sum()) / 1000
    assert half <= 0.01


def test_nearly_everybody_becomes_everybody() -> None:
    sizes = np.array([[900, 0, 0, 0, 0, 0, 100]])
    rates = np.array([[0.3, *[1e-6] * 6]])
    assert (chosen().shares(sizes, rates) == 1).all()


def test_a_ranked_set_and_its_controls_are_of_one_kind() -> None:
    top = cell("mean", 0, selection="top", ranking="probe")
    assert kind(top) == kind(cell("mean", 3)) == kind(cell("mean", 3, k=11))
    others = [
        cell("zero", 0),
        cell("mean", 0, k=20),
        cell("mean", 0, layers="2"),
        cell("mean", 0, strength=0.5),
        cell("mean", 0, neurons=None),
    ]
    assert len({kind(other) for other in [top, *others]}) == 6


def test_the_pilot_runs_a_few_cells_of_every_kind() -> None:
    cells = [cell("mean", draw, k) for k in (10, 40) for draw in range(40)] + [cell("zero", 0)]
    cells += [cell("negate", draw) for draw in range(9)]
    tried = pilot_cells(cells)
    assert len(set(tried)) == len(tried) == 2 * PILOT_CELLS + 1 + 2
    # Of 40 draws every eighth, neither the first nor the last.
    assert [c.draw for c in tried[:PILOT_CELLS]] == [7, 15, 23, 31]
    assert [c.draw for c in tried[-2:]] == [2, 5]


def test_rates_by_hand() -> None:
    """Two kinds of one operator and one of another; two strata are seen, the rest are not."""
    tried = [cell("mean", 0), cell("mean", 1), cell("mean", 0, 40), cell("zero", 0)]
    strata = np.array([[0] * 10 + [6] * 40] * 4)
    differing = np.zeros((4, 50), dtype=bool)
    differing[2, :3] = differing[3, :5] = True
    rates = stratum_rates([*tried, cell("mean", 9)], tried, strata, differing)
    common = (3 + 0.5) / (30 + 1)
    assert rates[0, 0] == rates[1, 0] == rates[4, 0]
    assert rates[0, 0] == pytest.approx(PRIOR * common / (20 + PRIOR))
    assert rates[2, 0] == pytest.approx((3 + PRIOR * common) / (10 + PRIOR))
    assert rates[3, 0] == pytest.approx((5 + PRIOR * 5.5 / 11) / (10 + PRIOR))
    assert rates[0, 6] == pytest.approx(PRIOR * 0.5 / 121 / (80 + PRIOR))
    assert rates[0, 3] == 0.5, "nothing is known of a stratum that no pilot pair was in"


def test_pairs_are_run_as_often_as_their_stratum_says() -> None:
    """Over many seeds, each pair's frequency is its share; where nobody differs, few are run."""
    cells = [cell("mean", d) for d in range(40)]
    margin = np.random.default_rng(0).normal(0, 3, (40, 1000))
    stream, seen = outcomes(cells, np.zeros((40, 1000)), margin), np.zeros((40, 1000))
    for seed in range(100):
        plan = chosen(seed)
        tail = np.searchsorted(ROWS, plan.tail)
        exact = (np.abs(margin[:, tail]) < 0.1).astype(int)
        sample = draw(plan, cells, stream, outcomes(cells, exact, margin[:, tail]))
        assert sample.partial.all() and sample.design_weight.shape == (40, 1000)
        seen += sample.design_weight / 100
        assert (sample.error * Z_975 <= 0.01).all() and (sample.disagreement > 0).all()
        assert (sample.design_weight > 0).sum(axis=1).min() >= 5
    # The 40 cells share an example's number: 1,000 × 100 numbers, 1 / share at most 33.
    assert seen.mean() == pytest.approx(1, abs=4 * np.sqrt(33 / (1000 * 100)))
    assert np.abs(seen.mean(axis=0) - 1).max() < 5 * np.sqrt(33 / 100)


def test_where_routes_often_differ_everything_is_exact() -> None:
    cells = [cell("negate", d) for d in range(4)]
    stream = outcomes(cells, np.zeros((4, 1000)), np.ones((4, 1000)))
    pilot = outcomes(cells[:1], np.ones((1, 50)), np.ones((1, 50)))
    sample = draw(chosen(), cells, stream, pilot)
    assert not sample.partial.any() and (sample.design_weight == 1).all() and not sample.error.any()


def test_who_is_drawn_does_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [cell("mean", d) for d in range(10)]
    margin = np.random.default_rng(0).normal(0, 3, (10, 1000))
    tail = np.searchsorted(ROWS, chosen().tail)
    exact = (np.abs(margin[:, tail]) < 0.1).astype(int)
    given = (outcomes(cells, np.zeros((10, 1000)), margin), outcomes(cells, exact, margin[:, tail]))
    whole = draw(chosen(), cells, *given)
    monkeypatch.setattr(memory, "NUMBERS", 3000)
    onto = np.zeros((10, 1000), dtype=np.float32)
    found = draw(chosen(), cells, *given, onto=onto)
    assert found.design_weight is onto and onto.any()
    for one, other in zip(found, whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_sets_of_which_a_mean_is_reported_are_run_as_much_more_rarely() -> None:
    """The same error of the mean: each may have B times the variance, on examples of its own."""
    plan = chosen()
    sizes = np.tile([[60, 40, 100, 100, 200, 200, 300]], (3, 1))
    rates = np.tile([[0.3, 0.1, 0.03, 0.01, 1e-3, 1e-3, 1e-4]], (3, 1))
    places = [None, Pooled(4, 1), Pooled(20, 3)]
    shares = plan.shares(sizes, rates, [Need(place) for place in places])
    alone = plan.shares(sizes, rates, [Need(p, alone=p is not None) for p in places])
    np.testing.assert_array_equal(shares[0], plan.shares(sizes[:1], rates[:1])[0])
    half = Z_975 * np.sqrt((sizes * rates * (1 / shares - 1)).sum(axis=1)) / 1000
    assert (half <= 0.01 * np.sqrt([1, 4, 20])).all()
    run = (sizes * shares).sum(axis=1)
    assert run[0] > 2 * run[1] and run[1] > run[2] >= LEAST_FEW
    assert shares[2].min() == pytest.approx(LEAST_FEW / 1000)
    assert alone[1:].min() == pytest.approx(LEAST_SAMPLE / 1000), "read alone, as many as ever"


def test_a_comparator_may_be_known_less_precisely() -> None:
    """Twice the half width, and no wider: so much of the bound is used that a step more is over."""
    plan = replace(chosen(), widths={"other": 2.0})
    sizes = np.array([[60, 40, 100, 100, 200, 200, 300]] * 2)
    rates = np.array([[0.3, 0.2, 0.1, 0.05, 0.03, 0.01, 0.005]] * 2)
    assert [plan.need(action).width for action in ("one", "other")] == [1.0, 2.0]
    shares = plan.shares(sizes, rates, [plan.need("one"), plan.need("other")])
    half = Z_975 * np.sqrt((sizes * rates * (1 / shares - 1)).sum(axis=1)) / 1000
    assert half[0] <= 0.01 < half[1] <= 0.02
    assert (shares[1] <= shares[0]).all()
    assert (sizes * shares).sum(axis=1)[1] < 0.7 * (sizes * shares).sum(axis=1)[0]


def test_sets_of_a_pool_rest_on_different_examples_and_each_as_often_as_its_share() -> None:
    plan = chosen()
    places = np.zeros((21, 1000), dtype=np.int64)
    shares = np.full((21, STRATA * len(plan.costs)), 0.04)
    pooled = [None, *(Pooled(20, place) for place in range(20))]
    weights = plan.design_weight(shares, places, [Need(place) for place in pooled])
    np.testing.assert_array_equal(weights[0], plan.design_weight(shares[:1], places[:1])[0])
    np.testing.assert_array_equal(weights[1], weights[0])
    runs = (weights > 0).sum(axis=1)
    assert runs.min() >= 37 and runs.max() <= 43
    assert (weights[1:] > 0).sum(axis=0).max() == 1, "every example meets one set at most"
    tail = np.isin(plan.rows, plan.tail)
    assert not (weights[:, tail] > 0).any(), "the pilot's examples only where nearly all are run"
