"""Metrics against scikit-learn and numbers worked out by hand."""

import warnings

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from synapse_audit.effects import METRICS
from synapse_audit.effects.estimates import bounded
from synapse_audit.errors import DataError
from synapse_audit.statistics import interval, resampled_weights, wilson

LABELS = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
CLEAN_ = [0, 0, 0, 1, 1, 1, 2, 2, 2, 0]
AFTER_ = [0, 2, 2, 2, 1, 2, 2, 2, 2, 2]

# Worked out from the three lines above, target = class 2 and no source.
KNOWN = {
    "accuracy": 0.5,
    "accuracy_drop": 0.2,  # clean 7 of 10
    # F1: 2·1/(1+4), 2·1/(1+3), 2·3/(8+3)
    "macro_f1": (0.4 + 0.5 + 6 / 11) / 3,
    "weighted_f1": (4 * 0.4 + 3 * 0.5 + 3 * 6 / 11) / 10,
    "flip_rate": 0.5,
    "redirect_rate": 5 / 7,  # 7 not predicted 2 when clean
    "collateral": 3 / 5,  # right and not of class 2: 0, 1, 2, 4, 5
    "mean_kl": 0.5,
}


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_gives_its_known_value(build, name):
    kl = [[0.0] * 5 + [1.0] * 5]
    scored = build.scored(LABELS, CLEAN_, AFTER_, target=[2], kl=kl)
    estimates = METRICS[name](scored)
    assert estimates.value == pytest.approx([KNOWN[name]])
    if name != "mean_kl":
        assert estimates.low[0] < KNOWN[name] < estimates.high[0]


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_refuses_empty_input(build, name):
    with pytest.raises(DataError, match="0 examples given"):
        METRICS[name](build.scored([], [], np.empty((1, 0)), resampled=np.ones((0, 5), np.float32)))


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_takes_no_row(build, name):
    assert METRICS[name](build.scored(LABELS, CLEAN_, np.empty((0, 10)))).value.shape == (0,)


def random_case(build, n_classes=4, present=4, rows=5):
    generator = np.random.default_rng(0)
    labels = np.arange(300) % present
    clean = np.where(generator.random(300) < 0.8, labels, generator.integers(0, n_classes, 300))
    noise = generator.integers(0, n_classes, (rows, 300))
    predicted = np.where(generator.random((rows, 300)) < 0.6, clean, noise)
    options = {"weights": generator.random(300) + 0.2, "n_classes": n_classes}
    options["resampled"] = resampled_weights(labels, options["weights"], resamples=40, seed=1)
    return build.scored(labels, clean, predicted, **options)


@pytest.mark.parametrize("present", [4, 3])
def test_overall_metrics_match_scikit_learn(build, present):
    scored = random_case(build, present=present)
    weights = scored.weights[:, 0]
    found = {name: metric(scored).value for name, metric in METRICS.items()}
    clean = accuracy_score(scored.labels, scored.clean, sample_weight=weights)
    for row, predicted in enumerate(scored.phases.predicted):
        accuracy = accuracy_score(scored.labels, predicted, sample_weight=weights)
        assert found["accuracy"][row] == pytest.approx(accuracy)
        assert found["accuracy_drop"][row] == pytest.approx(clean - accuracy)
        for mean in ("macro", "weighted"):
            options = {"average": mean, "labels": range(present), "sample_weight": weights}
            expected = f1_score(scored.labels, predicted, **options)
            assert found[f"{mean}_f1"][row] == pytest.approx(expected)


def test_class_counts_match_scikit_learn(build):
    scored = random_case(build)
    options = {"average": None, "sample_weight": scored.weights[:, 0]}
    for row, predicted in enumerate(scored.phases.predicted):
        for ours, theirs in (
            (scored.counts.recall, recall_score),
            (scored.counts.precision, precision_score),
            (scored.counts.f1, f1_score),
        ):
            expected = theirs(scored.labels, predicted, **options)
            np.testing.assert_allclose(ours[:, row, 0], expected)


def test_intervals_are_percentiles_of_the_metric_on_each_resample(build):
    scored = random_case(build)
    low, high = METRICS["macro_f1"](scored)[1:]
    resampled = [
        f1_score(scored.labels, scored.phases.predicted[0], average="macro", sample_weight=weights)
        for weights in scored.resampled.T
    ]
    expected = interval(np.array(resampled))
    # float32 sums of 300 weights
    np.testing.assert_allclose([low[0], high[0]], expected, atol=1e-5)


def test_a_class_without_examples_has_no_recall(build):
    scored = random_case(build, present=3)
    assert np.isnan(scored.counts.recall[3]).all()
    assert np.isnan(scored.counts.f1[3]).all()
    assert (scored.counts.precision[3] == 0).all()  # it is predicted, always wrongly


def test_a_class_that_a_resample_lacks_is_left_out_of_its_mean(build):
    drawn = np.array([[1, 1], [1, 1], [1, 0], [1, 0]], dtype=np.float32)
    scored = build.scored([0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1], n_classes=2, resampled=drawn)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high = METRICS["macro_f1"](scored)[1:]
    assert np.isfinite([low, high]).all()
    assert np.isnan(scored.resampled_counts.f1[1, 0, 1])


def test_redirect_and_collateral_with_a_source(build):
    # Source 0, target 2. Clean-predicted 0: examples 0, 1, 2, 9; now 2: 1, 2, 9.
    # Right and of class 1: examples 4, 5; wrong now: 5.
    scored = build.scored(LABELS, CLEAN_, AFTER_, target=[2], source=[0])
    assert METRICS["redirect_rate"](scored).value == pytest.approx([3 / 4])
    assert METRICS["collateral"](scored).value == pytest.approx([1 / 2])


def test_redirect_counts_weight_and_rows_have_their_own_targets(build):
    weights = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    rows = [AFTER_, AFTER_, AFTER_]
    scored = build.scored(LABELS, CLEAN_, rows, target=[2, 1, -1], weights=weights)
    # Not 2 when clean: 0-5, 9, weight 31; now 2: 1, 2, 3, 5, 9, weight 25. Nothing turned to 1.
    value = METRICS["redirect_rate"](scored).value
    np.testing.assert_allclose(value, [25 / 31, 0.0, np.nan])
    # Target 2: right and not of class 2: 0, 1, 2, 4, 5, weight 17; wrong now: 1, 2, 5, weight 11.
    # Target 1: right and not of class 1: 0, 1, 2, 7, 8, weight 23; wrong now: 1, 2, weight 5.
    np.testing.assert_allclose(METRICS["collateral"](scored).value, [11 / 17, 5 / 23, np.nan])


@pytest.mark.parametrize("name", ["redirect_rate", "collateral"])
def test_untargeted_rows_are_not_applicable(build, name):
    assert np.isnan(METRICS[name](build.scored(LABELS, CLEAN_, AFTER_))).all()


def test_wilson_takes_over_where_nothing_is_wrong(build):
    weights = [1.0] * 5 + [3.0] * 5
    scored = build.scored(LABELS, LABELS, LABELS, weights=weights)
    size = 20**2 / 50  # (Σw)² / Σw²
    for name in ("accuracy", "weighted_f1"):
        assert METRICS[name](scored).low == pytest.approx(wilson(size, size).low)
    assert METRICS["flip_rate"](scored).high == pytest.approx(wilson(0.0, size).high)


def test_macro_f1_degenerates_to_the_size_of_its_smallest_classes(build):
    low = METRICS["macro_f1"](build.scored(LABELS, LABELS, LABELS)).low
    size = 3**2 / (1 / 4 + 1 / 3 + 1 / 3)
    assert low == pytest.approx(wilson(size, size).low)


def test_a_drop_of_nothing_still_has_a_width(build):
    estimates = METRICS["accuracy_drop"](build.scored(LABELS, CLEAN_, CLEAN_))
    assert estimates.value == 0.0
    assert estimates.low < 0.0 < estimates.high


def test_intervals_hold_where_classes_are_nearly_all_right_or_all_wrong(build):
    """Resampling within classes alone sees few of the exceptions: it held in 136 of 150."""
    generator = np.random.default_rng(0)
    sizes, rates = np.array([130, 73, 36]), np.array([0.99, 0.01, 0.95])
    labels = np.repeat(np.arange(3), sizes)
    truth = (sizes * rates).sum() / sizes.sum()
    right = generator.random((150, len(labels))) < rates[labels]
    scored = build.scored(labels, labels, np.where(right, labels, (labels + 1) % 3))
    found = METRICS["accuracy"](scored)
    # 95 % of 150 is 142.5, with a standard deviation of 2.7.
    assert ((found.low <= truth) & (truth <= found.high)).sum() >= 140
    drop = METRICS["accuracy_drop"](scored)
    assert ((drop.low <= 1 - truth) & (1 - truth <= drop.high)).sum() >= 140
    # Not by giving up the classes: Wilson's interval, which knows none, is twice as wide.
    plain = wilson(truth * len(labels), len(labels))
    assert np.mean(found.high - found.low) < 0.5 * (plain.high - plain.low)


def test_exceptions_are_expected_where_they_would_be_exceptions(build):
    """Class 0 all right, class 1 half right: only fewer can be right than was seen in class 0."""
    labels = np.repeat([0, 1], 100)
    right = (labels == 0) | (np.arange(200) % 2 == 0)
    scored = build.scored(labels, labels, np.where(right, labels, 1 - labels))
    found = METRICS["accuracy"](scored)
    plain = interval(right.astype(float)[None] @ scored.resampled / 200)
    wider = 0.5 * wilson(0, 100).high
    assert found.low == pytest.approx(0.75 - np.hypot(0.75 - plain.low, wider), abs=1e-6)
    assert found.high == pytest.approx(plain.high, abs=1e-6)


def test_nothing_is_added_where_every_class_varies(build):
    labels = np.repeat([0, 1], 100)
    predicted = np.where(np.arange(200) % 4 == 0, 1 - labels, labels)[None]
    scored = build.scored(labels, labels, predicted)
    found = METRICS["accuracy"](scored)
    plain = interval((predicted == labels).astype(float) @ scored.resampled / 200)
    assert found.low == pytest.approx(plain.low, abs=1e-6)
    assert found.high == pytest.approx(plain.high, abs=1e-6)


def test_a_rare_class_is_not_known_from_the_large_ones(build):
    """Macro F1 of 500, 8 and 500 examples, the first two classes without an error."""
    labels = np.repeat([0, 1, 2], [500, 8, 500])
    predicted = np.where((labels == 2) & (np.arange(len(labels)) % 2 == 0), 0, labels)
    found = METRICS["macro_f1"](build.scored(labels, labels, predicted))
    # Of two such classes the rare one decides: half the mean of a class of 500 and one of 8.
    size = 4 / (1 / 500 + 1 / 8)
    assert (found.value - found.low)[0] >= 2 / 3 * wilson(0, size).high


def test_five_examples_are_enough_however_their_share_is_rounded():
    size, samples = np.arange(20.0, 2000.0), np.tile([0.1, 0.9], (1980, 1))
    for share in (5 / size, 1 - (size - 5) / size, (size - 5) / size, 1 - 5 / size):
        np.testing.assert_allclose(bounded(share, samples, size).high, 0.1 + 0.975 * 0.8)
    assert (bounded(4.9 / size, samples, size).high < 0.6).all()
