"""Margins of sampled faults: by hand, against SciPy, and how often they hold the truth."""

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from synapse_audit.effects.fault_rates import sampled_share, weighted_share


@pytest.mark.parametrize(("broken", "drawn"), [(0, 20), (3, 20), (20, 20)])
def test_of_a_huge_population_the_margin_is_clopper_and_pearsons(broken: int, drawn: int) -> None:
    found = sampled_share(broken, drawn, 10**9)
    exact = stats.binomtest(broken, drawn).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-12)


def test_finite_margins_hold_every_number_of_bits_that_is_not_refuted() -> None:
    drawn, population = 4, 11
    for broken in range(drawn + 1):
        found = sampled_share(broken, drawn, population)
        # Brute force: hypergeometric tails counted over all samples of the population.
        kept = [
            marked
            for marked in range(broken, population - (drawn - broken) + 1)
            if _tail(broken, drawn, population, marked, upper=True) > 0.025
            and _tail(broken, drawn, population, marked, upper=False) > 0.025
        ]
        assert (found.low, found.high) == (kept[0] / population, kept[-1] / population)


def _tail(broken: int, drawn: int, population: int, marked: int, *, upper: bool) -> float:
    counts = range(broken, drawn + 1) if upper else range(broken + 1)
    ways = sum(math.comb(marked, k) * math.comb(population - marked, drawn - k) for k in counts)
    return ways / math.comb(population, drawn)


def test_a_population_drawn_as_a_whole_has_no_margin() -> None:
    found = sampled_share(2, 7, 7)
    assert (found.value, found.low, found.high) == (2 / 7, 2 / 7, 2 / 7)


def test_no_fault_no_rate() -> None:
    assert not sampled_share(0, 0, 5).known
    assert not weighted_share([0, 0], [3, 0], [5, 5]).known
    assert not weighted_share([], [], []).known


def test_kinds_weigh_as_many_bits_as_they_have() -> None:
    found = weighted_share([5, 0], [10, 10], [100, 300])
    assert found.value == pytest.approx(0.25 * 0.5)
    assert 0 < found.low < found.value < found.high < 1


def test_one_kind_alone_has_the_poisson_margin() -> None:
    # Fay and Feuer's reduces to the exact interval of a Poisson count: χ²(2k)/2n, χ²(2k + 2)/2n.
    found = weighted_share([3], [50], [10**9])
    exact = stats.chi2.ppf(0.025, 6) / 100, stats.chi2.ppf(0.975, 8) / 100
    assert (found.low, found.high) == pytest.approx(exact)


def test_where_nothing_broke_the_margin_is_that_of_the_heaviest_kind() -> None:
    found = weighted_share([0, 0], [10, 10], [100, 300])
    assert found.low == 0
    assert found.high == pytest.approx(0.075 * stats.chi2.ppf(0.975, 2) / 2)


def test_margins_hold_the_truth_at_least_as_often_as_they_say() -> None:
    """Exact coverage: every outcome with its probability, no random numbers."""
    drawn, sizes, truth = (12, 8), (40, 200), (6, 20)  # bits that break the model
    covered, single = 0.0, 0.0
    for counts in product(range(13), range(9)):
        chance = np.prod([
            stats.hypergeom.pmf(k, N, K, n)
            for k, N, K, n in zip(counts, sizes, truth, drawn, strict=True)
        ])  # fmt: skip
        found = weighted_share(counts, drawn, sizes)
        covered += chance * (found.low <= 26 / 240 <= found.high)
        one = sampled_share(counts[0], 12, 40)
        single += chance * (one.low <= 6 / 40 <= one.high)
    assert covered >= 0.95
    assert single >= 0.95
