"""Metrics of sets of labels against scikit-learn and by hand; coverage of their intervals."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, hamming_loss

from synapse_audit.artifacts.label_sets import decoded, encoded, size
from synapse_audit.effects.label_auc import aucs
from synapse_audit.effects.scored import NO_CLASS, ScoredSets
from synapse_audit.effects.set_measures import SET_METRICS
from synapse_audit.effects.two_phase import Phases
from synapse_audit.statistics import resampled_weights

LABELS = 5


def scored(true, clean, predicted, *, weights=None, resamples=60, target=None, source=None):
    """Rows of decisions (rows, examples, labels) beside clean and true ones (examples, labels)."""
    true, clean = encoded(np.asarray(true, bool)), encoded(np.asarray(clean, bool))
    predicted = encoded(np.asarray(predicted, bool))
    weights = np.ones(len(true)) if weights is None else weights
    strata = np.arange(len(true)) % 3
    nobody = np.full(len(predicted), NO_CLASS)
    return ScoredSets(
        labels=true,
        clean=clean,
        phases=Phases(predicted),
        kl=np.zeros(predicted.shape, np.float32),
        target=nobody if target is None else np.array(target),
        source=nobody if source is None else np.array(source),
        n_classes=np.shape(true)[-1] if np.ndim(true) > 1 else LABELS,
        weights=weights[:, None],
        resampled=resampled_weights(strata, weights, resamples=resamples, seed=0),
        strata=strata,
    )


def case(seed=0, n=200, rows=3):
    generator = np.random.default_rng(seed)
    true = generator.random((n, LABELS)) < np.array([0.5, 0.3, 0.2, 0.1, 0.05])
    flips = generator.random((rows, n, LABELS)) < 0.2
    clean = true ^ (generator.random((n, LABELS)) < 0.1)
    return true, clean, true ^ flips, generator.random(n) + 0.2


SKLEARN = {
    "accuracy": accuracy_score,
    "hamming_loss": hamming_loss,
    "micro_f1": lambda *a, **k: f1_score(*a, average="micro", **k),
    "macro_f1": lambda *a, **k: f1_score(*a, average="macro", **k),
    "weighted_f1": lambda *a, **k: f1_score(*a, average="weighted", **k),
    "sample_f1": lambda *a, **k: f1_score(*a, average="samples", zero_division=0, **k),
}


@pytest.mark.parametrize("name", SKLEARN)
def test_metrics_are_those_of_scikit_learn(name):
    true, clean, predicted, weights = case()
    found = SET_METRICS[name](scored(true, clean, predicted, weights=weights))
    expected = [SKLEARN[name](true, row, sample_weight=weights) for row in predicted]
    # float32 products of corrected values
    np.testing.assert_allclose(found.value, expected, atol=1e-5)
    assert (found.low <= found.value).all() and (found.value <= found.high).all()
    assert (found.high - found.low > 0.005).all()


def test_drops_are_differences_to_the_clean_metric():
    true, clean, predicted, weights = case()
    made = scored(true, clean, predicted, weights=weights)
    for drop, metric, sign in (
        ("micro_f1_drop", "micro_f1", 1),
        ("hamming_rise", "hamming_loss", -1),
    ):
        before = SKLEARN[metric](true, clean, sample_weight=weights)
        after = np.array([SKLEARN[metric](true, row, sample_weight=weights) for row in predicted])
        found = SET_METRICS[drop](made)
        np.testing.assert_allclose(found.value, sign * (before - after), atol=1e-5)
        assert (found.low > 0).all()  # twice as many decisions are wrong as when clean


def test_where_nothing_changed_a_drop_keeps_a_width():
    true, clean, _, _ = case()
    made = scored(true, clean, clean[None])
    for name in ("micro_f1_drop", "hamming_rise", "accuracy_drop"):
        found = SET_METRICS[name](made)
        assert found.value[0] == pytest.approx(0, abs=1e-7)
        assert found.low[0] < 0 < found.high[0]


TRUE = [[1, 0], [1, 1], [0, 0], [0, 1]]
CLEAN = [[1, 0], [0, 1], [0, 0], [1, 1]]
AFTER = [[[1, 1], [1, 1], [1, 0], [0, 0]]]


@pytest.mark.parametrize(
    ("target", "source", "rate", "others"),
    [
        # Label 0 on: of the two without it both gain it; label 1 was right in all four, now wrong
        # in the first and in the last.
        ([0], None, 1.0, 0.5),
        # Label 0 off: of the two with it the last loses it.
        (None, [0], 0.5, 0.5),
        # Label 1 off: of the two with it the last loses it; label 0 was right in two, the first and
        # the third, and goes wrong in the third.
        (None, [1], 0.5, 0.5),
        (None, None, np.nan, np.nan),
    ],
)
def test_switching_by_hand(target, source, rate, others):
    made = scored(TRUE, CLEAN, AFTER, target=target, source=source)
    for name, expected in (("redirect_rate", rate), ("collateral", others)):
        np.testing.assert_allclose(SET_METRICS[name](made).value, [expected])


def test_counts_by_label():
    true, clean, predicted, weights = case()
    made = scored(true, clean, predicted, weights=weights)
    f1 = f1_score(true, predicted[0], average=None, sample_weight=weights)
    np.testing.assert_allclose(made.counts.f1[:, 0, 0], f1, atol=1e-6)
    recall = (weights[:, None] * (true & clean)).sum(0) / (weights[:, None] * true).sum(0)
    np.testing.assert_allclose(made.clean_recall, recall, atol=1e-6)


def test_two_phase_estimates_are_corrected_decision_by_decision():
    """Ten examples of which the stream says all wrong and half ran exactly, each for two."""
    true = np.ones((10, LABELS), bool)
    stream, exact = ~true[None], true[None]
    weight = np.zeros((1, 10), np.float32)
    weight[0, ::2] = 2.0
    mixed = np.where(weight[..., None] > 0, exact, stream)
    made = scored(true, true, mixed)
    made = ScoredSets(**{**vars(made), "phases": Phases(encoded(mixed), encoded(stream), weight)})
    assert SET_METRICS["hamming_loss"](made).value == pytest.approx([0.0])
    assert SET_METRICS["micro_f1"](made).value == pytest.approx([1.0])


def test_sets_are_read_back():
    present = case()[0]
    assert (decoded(encoded(present), LABELS) == present).all()
    assert (size(encoded(present)) == present.sum(axis=1)).all()


def test_areas_of_labels():
    from sklearn.metrics import roc_auc_score

    true, _, _, weights = case()
    scores = np.random.default_rng(1).normal(size=true.shape) + true
    resampled = resampled_weights(np.zeros(len(true), int), weights, resamples=200)
    found = aucs(scores, true, weights, resampled)
    expected = [
        roc_auc_score(true[:, c], scores[:, c], sample_weight=weights) for c in range(LABELS)
    ]
    np.testing.assert_allclose(found.value, expected, atol=1e-9)
    perfect = aucs(true.astype(float), true, weights, resampled)
    assert (perfect.value == 1).all() and (perfect.low < 1).all() and (perfect.low > 0.5).all()
    nobody = aucs(scores, np.zeros_like(true), weights, resampled)
    assert np.isnan(nobody.value).all()


@pytest.mark.proof
@pytest.mark.parametrize(
    "name", ["micro_f1", "macro_f1", "sample_f1", "hamming_loss", "accuracy", "micro_f1_drop"]
)
def test_intervals_hold_the_true_figure(name):
    """150 samples of 240 from one population; nominal 95 %, at least 90 % wanted."""
    generator = np.random.default_rng(3)
    true, clean, predicted, _ = case(1, 40_000, 1)
    whole = SET_METRICS[name](scored(true, clean, predicted, resamples=2)).value[0]
    held = 0
    for _ in range(150):
        some = generator.choice(len(true), 240, replace=False)
        found = SET_METRICS[name](
            scored(true[some], clean[some], predicted[:, some], resamples=400)
        )
        held += found.low[0] <= whole <= found.high[0]
    assert held / 150 >= 0.90
