import numpy as np
import pytest
from scipy import stats

from synapse_audit import memory, statistics
from synapse_audit.effects.estimates import clopper_pearson
from synapse_audit.errors import DataError, UsageError
from synapse_audit.statistics import (
    benjamini_yekutieli,
    bonett_price,
    curve_test,
    draw_position,
    drawn_groups,
    interval,
    mcnemar,
    paired_interval,
    resampled_counts,
    resampled_weights,
    weighted_quantiles,
    weighted_shares,
    wilson,
)

LABELS = np.array([0, 0, 0, 1, 1, 2])


def drawn(labels: np.ndarray, **options) -> np.ndarray:
    """(resamples, examples): how often each example is drawn."""
    return resampled_weights(labels, np.ones(len(labels)), **options).T


def test_resamples_keep_every_class_count():
    counts = drawn(LABELS, resamples=50, seed=0)
    assert counts.shape == (50, 6)
    assert counts.dtype == np.float32
    for label, size in ((0, 3), (1, 2), (2, 1)):
        assert (counts[:, label == LABELS].sum(axis=1) == size).all()


def test_resampling_depends_on_the_seed_alone():
    first, again = (drawn(LABELS, resamples=50, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (drawn(LABELS, resamples=50, seed=4) != first).any()


def test_multiplicities_have_the_moments_of_drawing_with_replacement():
    counts = drawn(np.zeros(10, dtype=np.int64), resamples=4000, seed=0)
    # Multinomial: mean 1 exactly over a resample, variance 1 - 1/10; 4 standard errors allowed.
    assert counts.mean() == pytest.approx(1.0)
    assert counts.var(axis=0).mean() == pytest.approx(0.9, abs=0.04)


def test_an_example_weighs_as_often_as_it_was_drawn():
    weights = np.array([0.5, 1, 2, 3, 4, 5])
    resampled = resampled_weights(LABELS, weights, resamples=50, seed=0)
    np.testing.assert_array_equal(resampled.T, drawn(LABELS, resamples=50, seed=0) * weights)
    groups = np.array([7, 7, 7, 9, 9, 4])
    counts = drawn(LABELS, groups=groups, resamples=50, seed=0)
    resampled = resampled_weights(LABELS, weights, groups=groups, resamples=50, seed=0)
    np.testing.assert_array_equal(resampled.T, counts * weights)


def test_groups_are_resampled_whole():
    groups = np.array([7, 7, 7, 9, 9, 4])
    counts = drawn(LABELS, groups=groups, resamples=50, seed=0)
    assert (counts[:, [0, 0]] == counts[:, [1, 2]]).all()
    assert (counts[:, 3] == counts[:, 4]).all()
    assert (counts[:, 0] + counts[:, 3] + counts[:, 5] == 3).all()


@pytest.mark.parametrize(("groups", "drawn"), [(2, 1), (10, 6), (25, 21), (100, 96)])
def test_of_few_groups_fewer_are_drawn(groups: int, drawn: int):
    # 10 groups: 9 · (1.960 / 2.262)² = 6.76.
    assert drawn_groups(groups) == drawn
    labels = np.zeros(3 * groups, dtype=np.int64)
    member = np.repeat(np.arange(groups), 3)
    weights = np.ones(len(labels))
    found = resampled_weights(labels, weights, groups=member, resamples=50, seed=0)
    # Whole groups, and a mean weight of 1 in every resample.
    assert (found[::3] == found[1::3]).all()
    assert found.mean(axis=0) == pytest.approx(np.ones(50), rel=1e-6)
    assert found[::3].sum(axis=0) * drawn / groups == pytest.approx(np.full(50, drawn), rel=1e-6)


def test_paired_intervals_have_a_width_where_nothing_changed():
    low, high = paired_interval(np.zeros(1), np.zeros((1, 20)), np.array([12]))
    closed = bonett_price(0.0, 0.0, 12.0)
    wider = 2.200985 / 1.959964  # t with eleven degrees of freedom over z
    assert (low[0], high[0]) == pytest.approx((wider * closed.low, wider * closed.high), rel=1e-5)
    # The arms of the percentiles, with √2 · 1.96 / 52 added in squares.
    samples = np.linspace(-0.1, 0.3, 4001)[None, :]
    found = interval(samples)
    low, high = paired_interval(np.zeros(1), samples, 50)
    unseen, wider = 1.959964 * np.sqrt(2) / 52, 2.009575 / 1.959964
    assert low[0] == pytest.approx(-wider * np.hypot(found.low[0], unseen), rel=1e-5)
    assert high[0] == pytest.approx(wider * np.hypot(found.high[0], unseen), rel=1e-5)


def test_resampling_nothing_is_refused():
    with pytest.raises(DataError, match="0 examples given"):
        drawn(np.array([], dtype=np.int64), resamples=5, seed=0)


def test_interval_matches_numpy_quantiles():
    samples = np.random.default_rng(0).normal(size=(3, 4, 101))
    samples[0, 0, :40] = np.nan
    low, high = interval(samples, level=0.9)
    np.testing.assert_allclose(low, np.nanquantile(samples, 0.05, axis=-1))
    np.testing.assert_allclose(high, np.nanquantile(samples, 0.95, axis=-1))


def test_interval_of_unknowns_is_unknown():
    assert np.isnan(interval(np.full((2, 10), np.nan))).all()


def test_interval_without_resamples_is_refused():
    with pytest.raises(UsageError, match="0 resamples"):
        interval(np.empty((2, 0)))


def test_paired_bootstrap_covers_a_known_bernoulli_difference():
    generator = np.random.default_rng(1)
    labels = np.repeat([0, 1], [120, 80])
    lost, won = np.where(labels == 0, 0.2, 0.4), 0.05
    truth = (lost - won).mean()
    uniform = generator.random((1000, 200))
    change = (uniform < lost).astype(np.float32) - (uniform > 1 - won)
    counts = drawn(labels, resamples=500, seed=0)
    low, high = interval(change @ counts.T / 200)
    covered = ((low <= truth) & (truth <= high)).mean()
    # Monte Carlo error of 1,000 replications is 0.007 (3 sd: 0.021), and percentile intervals
    # of 200 examples in two strata are themselves up to about 0.01 short.
    assert covered == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize(("successes", "n"), [(0, 20), (3, 20), (20, 20), (55, 148), (1, 1)])
def test_wilson_matches_scipy(successes, n):
    expected = stats.binomtest(successes, n).proportion_ci(method="wilson")
    assert wilson(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("successes", "n"), [(0, 12), (3, 12), (12, 12), (50, 240)])
@pytest.mark.parametrize("level", [0.95, 0.99])
def test_clopper_pearson_matches_scipy(successes, n, level):
    expected = stats.binomtest(successes, n).proportion_ci(level, method="exact")
    found = clopper_pearson(successes, n, level)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_clopper_pearson_of_nothing_is_unknown():
    low, high = clopper_pearson(np.zeros(2), np.array([0.0, np.nan]))
    assert np.isnan(low).all() and np.isnan(high).all()


def test_wilson_matches_a_published_value():
    # Newcombe 1998, Statistics in Medicine 17:857, table I: 81 of 263, score method.
    assert wilson(81.0, 263.0) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_wilson_broadcasts_and_takes_effective_sizes():
    low, high = wilson(np.array([1.5, 0.0]), np.array([[10.25], [0.0]]))
    assert low.shape == (2, 2)
    assert low[0, 1] == 0.0
    assert 0.0 < low[0, 0] < 1.5 / 10.25 < high[0, 0]
    assert np.isnan(low[1]).all()
    assert np.isnan(high[1]).all()


def test_bonett_price_by_hand():
    # 8 lost, 2 won of 98: (9 - 3) / 100 ± 1.959964 √((0.12 - 0.06²) / 100)
    half = 1.959964 * np.sqrt((0.12 - 0.0036) / 100)
    assert bonett_price(8, 2, 98) == pytest.approx((0.06 - half, 0.06 + half), abs=1e-6)


def test_bonett_price_keeps_a_width_where_nothing_changed():
    low, high = bonett_price(np.zeros(1), np.zeros(1), np.array([240.0]))
    # ± 1.96 √2 / 242
    assert high == pytest.approx(0.01145, abs=1e-5)
    assert low == -high


def test_mcnemar_matches_the_binomial_test():
    generator = np.random.default_rng(0)
    before = generator.random(40) < 0.7
    share = np.array([0.0, 0.1, 0.5, 0.9])[:, None]
    after = np.where(generator.random((4, 40)) < share, ~before, before)
    after = np.vstack([after, np.zeros(40, dtype=bool)])
    for row, p in zip(after, mcnemar(before, after), strict=True):
        lost, won = int((before & ~row).sum()), int((~before & row).sum())
        expected = stats.binomtest(lost, lost + won).pvalue if lost + won else 1.0
        assert p == pytest.approx(expected, abs=1e-12)


def test_curve_test_by_hand():
    test = curve_test(np.array([1.0, 2.0, 3.0]))
    # mean 2, sd 1, √(1 + 1/3) = 1.1547
    assert test.area == 2.0
    assert test.t == pytest.approx(2 / 1.154701, abs=1e-6)
    assert test.df == 2
    # t would give 0.225; three draws, none beyond the curve, allow 1/4 at best.
    assert test.p == 0.25
    wide = curve_test(np.array([1.0, 2.0, 3.0, -1.0]))
    # mean 1.25, sd 1.708, t = 0.655 with 3 degrees; one draw lies on the other side: at least 2/5.
    assert wide.p == pytest.approx(max(2 * stats.t.sf(wide.t, 3), 2 / 5))


@pytest.mark.parametrize("areas", [[0.3], [0.3, 0.3, 0.3]])
def test_curve_test_without_a_spread_is_unknown(areas):
    test = curve_test(np.array(areas))
    assert test.area == pytest.approx(0.3)
    assert np.isnan([test.t, test.p]).all()


def test_curve_test_without_draws_is_refused():
    with pytest.raises(UsageError, match="0 random curves"):
        curve_test(np.array([]))


def share_significant(curves):
    return np.mean([curve_test(row[0] - row[1:]).p < 0.05 for row in curves])


def test_curve_test_is_calibrated_when_top_is_one_more_random_curve():
    generator = np.random.default_rng(0)
    normal = generator.normal(size=(2000, 21))
    counts = generator.binomial(400, 0.3, size=(2000, 21)) / 400
    # 3 standard errors of a share of .05 over 2,000 replications.
    assert share_significant(normal) == pytest.approx(0.05, abs=0.015)
    assert share_significant(counts) == pytest.approx(0.05, abs=0.015)


def test_curve_test_is_conservative_on_bounded_areas():
    curves = np.random.default_rng(0).uniform(size=(2000, 21))
    assert share_significant(curves) <= 0.05


def test_draw_position_by_hand():
    position = draw_position(3.0, np.array([1.0, 2.0, 3.0, 6.0]))
    # mean 3, two draws reach 3
    assert position.z == 0.0
    assert position.p == pytest.approx(3 / 5)
    assert draw_position(7.0, np.array([1.0, 2.0, 3.0])).z == pytest.approx(5.0)


def test_draw_position_without_a_spread_is_unknown():
    position = draw_position(1.0, np.array([0.1, 0.1, 0.1]))
    assert np.isnan(position.z)
    assert position.p == 0.25
    with pytest.raises(UsageError, match="0 random draws"):
        draw_position(1.0, np.array([]))


def test_benjamini_yekutieli_by_hand():
    # m = 3, Σ1/i = 11/6: .01 · 5.5, .02 · 5.5 / 2, .03 · 5.5 / 3; NaN is not counted
    adjusted = benjamini_yekutieli(np.array([0.03, np.nan, 0.01, 0.02]))
    np.testing.assert_allclose(adjusted, [0.055, np.nan, 0.055, 0.055])


def test_benjamini_yekutieli_matches_scipy():
    p = np.random.default_rng(0).random(20) ** 3
    expected = stats.false_discovery_control(p, method="by")
    np.testing.assert_allclose(benjamini_yekutieli(p), expected)


def test_benjamini_yekutieli_of_unknowns_is_unknown():
    assert np.isnan(benjamini_yekutieli(np.array([np.nan]))).all()
    assert benjamini_yekutieli(np.array([])).shape == (0,)


def test_weighted_shares_by_hand():
    hits = np.array([[1, 0, 1], [0, 0, 1]])
    weights = np.array([[1.0, 2.0], [2.0, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(weighted_shares(hits, weights), [[0.5, 1.0], [0.25, 0.0]])
    np.testing.assert_allclose(weighted_shares(hits, weights[:, 0]), [0.5, 0.25])
    last = np.array([False, True, True])
    np.testing.assert_array_equal(weighted_shares(hits, weights, last)[:, 1], [np.nan, np.nan])
    np.testing.assert_allclose(weighted_shares(hits, weights, last)[:, 0], [1 / 3, 1 / 3])


def test_what_never_varies_has_no_variance_whatever_the_weights_are_in():
    weights = np.random.default_rng(0).uniform(0.1, 3, 5000)
    everyone = np.zeros(5000, dtype=np.int64)
    resampled = resampled_weights(everyone, weights, resamples=50, seed=0)
    shares = weighted_shares(np.ones((1, 5000)), resampled)
    assert np.ptp(shares) < 1e-14


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch):
    generator = np.random.default_rng(0)
    labels, values = generator.integers(0, 3, 40), generator.normal(size=40)
    hits, weights = generator.integers(0, 2, (4, 40)), generator.uniform(0.1, 1, 40)

    def found() -> list[np.ndarray]:
        some = resampled_weights(labels, weights, resamples=30, seed=1)
        groups = resampled_weights(labels, weights, groups=labels, resamples=30, seed=1)
        quantiles = weighted_quantiles(values, some, (0.1, 0.5), labels > 0)
        return [some, groups, quantiles, weighted_shares(hits, some, labels > 0)]

    whole = found()
    monkeypatch.setattr(memory, "NUMBERS", 90)
    for one, other in zip(found(), whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_few_groups_do_not_make_large_blocks(monkeypatch: pytest.MonkeyPatch):
    seen: list[int] = []
    monkeypatch.setattr(
        statistics, "row_chunks", lambda rows, each: seen.append(each) or [slice(rows)]
    )
    resampled_weights(LABELS, np.ones(6), groups=LABELS % 2, resamples=5, seed=0)
    assert seen == [6], "as many numbers as a resample has examples, not groups"


def test_counts_are_those_of_the_ordinary_bootstrap() -> None:
    labels, groups = np.array([0, 0, 1, 1, 1, 1]), np.array([4, 4, 4, 7, 7, 9])
    alone = resampled_counts(labels, resamples=50)
    assert (alone[labels == 0].sum(axis=0) == 2).all()
    assert (alone[labels == 1].sum(axis=0) == 4).all()
    np.testing.assert_array_equal(alone, resampled_weights(labels, np.ones(6), resamples=50))
    whole = resampled_counts(labels, groups=groups, resamples=50)
    assert all((whole[groups == g] == whole[groups == g][:1]).all() for g in (4, 7, 9))
    # Three of three groups are drawn each time, where the weights would draw one.
    assert (whole[[0, 3, 5]].sum(axis=0) == 3).all()
