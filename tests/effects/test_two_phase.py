"""Corrected values against the textbook formulas, and metrics of them against brute force."""

from dataclasses import replace

import numpy as np
import pytest

from synapse_audit.artifacts import Direct, Outcomes
from synapse_audit.effects import METRICS
from synapse_audit.effects.two_phase import Phases, phase_error, phases

LABELS = np.array([0] * 40 + [1] * 20)
SHARE = np.where(np.arange(60) % 3 == 0, 1.0, 0.25)


def design_weight(seed: int = 0) -> np.ndarray:
    """1 over the share where a number lies below it, else 0."""
    drawn = np.random.default_rng(seed).random(60) < SHARE
    return np.where(drawn, 1 / SHARE, 0).astype(np.float32)


def outcomes(exact: np.ndarray, stream: np.ndarray, grown: np.ndarray) -> Outcomes:
    zero = np.zeros(exact.shape, dtype=np.float32)
    rates = np.full(len(exact), 0.01)
    held = Direct(grown.astype(np.float32), stream.astype(np.uint16), zero, rates, rates)
    names = tuple(str(i) for i in range(len(exact)))
    known = np.where(grown > 0, exact, stream).astype(np.uint16)
    return Outcomes(names, known, zero, zero, zero, zero, direct=held)


def routes(seed: int = 3, rate: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    exact = generator.integers(0, 2, 60)
    return exact, np.where(generator.random(60) < rate, 1 - exact, exact)


def test_a_corrected_value_is_the_textbook_difference_estimate() -> None:
    exact, stream = routes()
    held = outcomes(exact[None], stream[None], design_weight()[None])
    values = phases(held, np.array([0])).of(lambda predicted: predicted == 1)[0]
    expected = (stream == 1).sum()
    for i in np.flatnonzero(design_weight()):
        expected += (int(exact[i] == 1) - int(stream[i] == 1)) / SHARE[i]
    assert values.sum() == pytest.approx(expected) and values.dtype == np.float32


def test_exact_actions_count_as_they_are() -> None:
    exact, stream = routes()
    both = outcomes(
        np.stack([exact, exact]),
        np.stack([stream, stream]),
        np.stack([design_weight(), np.ones(60)]),
    )
    found = phases(both, np.array([0, 1])).of(lambda predicted: predicted == LABELS)
    assert (found[1] == (exact == LABELS)).all()
    alone = phases(both, np.array([1]))
    assert alone.stream is None and (alone.predicted[0] == exact).all()
    assert phases(replace(both, direct=None), np.array([0])).design_weight is None
    taken = phases(both, np.array([0, 1])).take(np.array([1]))
    assert taken.design_weight is not None and taken.design_weight.tolist() == [[1.0] * 60]


def test_unbiased_over_subsamples() -> None:
    exact, stream = routes()
    found = [
        phases(outcomes(exact[None], stream[None], design_weight(seed)[None]), np.array([0]))
        .of(lambda predicted: predicted == LABELS)
        .mean()
        for seed in range(2000)
    ]
    # Three standard errors of the mean over 2,000 subsamples.
    error = 3 * np.std(found) / np.sqrt(len(found))
    assert np.mean(found) == pytest.approx((exact == LABELS).mean(), abs=error)


def _doubled(build, exact, stream, grown, weights):
    """The same estimate as signed weights of twice as many examples, one action."""
    signed = np.concatenate([weights * (1 - grown), weights * grown])
    two = build.scored(
        np.tile(LABELS, 2),
        np.tile(LABELS, 2),
        np.concatenate([stream, exact])[None],
        n_classes=2,
        target=[1],
    )
    return replace(two, weights=signed[:, None])


@pytest.mark.parametrize("name", [name for name in METRICS if name != "mean_kl"])
def test_every_metric_is_that_of_signed_weights(build, name) -> None:
    exact, stream = routes()
    grown, weights = design_weight().astype(np.float64), np.where(LABELS == 0, 1.3, 0.4)
    held = outcomes(exact[None], stream[None], grown[None])
    scored = build.scored(
        LABELS, LABELS, exact, n_classes=2, target=[1], weights=weights,
        phases=phases(held, np.array([0])),
    )  # fmt: skip
    expected = METRICS[name](_doubled(build, exact, stream, grown, weights))
    assert METRICS[name](scored).value == pytest.approx(expected.value, abs=1e-6)


def test_class_totals_are_not_touched(build) -> None:
    exact, stream = routes()
    scored = build.scored(
        LABELS,
        LABELS,
        exact,
        n_classes=2,
        phases=Phases(exact[None], stream[None], design_weight()[None]),
    )
    assert scored.counts.support[:, 0, 0].tolist() == [40, 20]
    assert scored.counts.called.sum() == pytest.approx(60)


def test_the_second_phase_error_is_the_spread_over_subsamples() -> None:
    """Against brute force: the standard deviation of the estimate itself, weights included."""
    exact, stream = routes(seed=5, rate=0.3)
    weights = np.where(LABELS == 0, 1.3, 0.4)
    values, errors = [], []
    for seed in range(1500):
        held = outcomes(exact[None], stream[None], design_weight(seed)[None])
        right = phases(held, np.array([0])).of(lambda predicted: predicted == LABELS)[0]
        values.append(right @ weights / weights.sum())
        errors.append(phase_error(held, LABELS, weights)[0])
    truth = weights @ (exact == LABELS) / weights.sum()
    assert np.mean(values) == pytest.approx(truth, abs=4 * np.std(values) / np.sqrt(1500))
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(values), rel=0.06)


def test_no_second_phase_has_no_error() -> None:
    predicted = np.tile(LABELS, (2, 1))
    held = outcomes(predicted, predicted, np.stack([design_weight(), np.ones(60)]))
    error = phase_error(held, LABELS, np.ones(60))
    assert error[0] == 0 and np.isnan(error[1])
    assert np.isnan(phase_error(replace(held, direct=None), LABELS, np.ones(60))).all()
    assert held.direct is not None and held.direct.estimated.tolist() == [True, False]


def test_few_changes_do_not_hide_the_noise_of_the_second_phase(build) -> None:
    """One disagreement that stands for 25 examples, where the clean model is nearly always right.

    A closed form of counts knew nothing of it: the value lay outside of its own interval.
    """
    n = 400
    labels = np.array([0, 1]).repeat(n // 2)
    exact, stream, grown = labels.copy(), labels.copy(), np.zeros(n)
    stream[:2], grown[0], grown[10:26] = 1, 25.0, 25.0
    clean = labels.copy()
    clean[300:303] = 0
    held = outcomes(exact[None], stream[None], grown[None])
    given = {"n_classes": 2, "phases": phases(held, np.array([0]))}
    scored = build.scored(labels, clean, exact, **given)
    found = METRICS["accuracy_drop"](scored)
    error = phase_error(held, labels, np.ones(n))[0]
    assert found.low[0] <= found.value[0] <= found.high[0]
    assert (found.high - found.low)[0] / 2 > 1.5 * error
    assert found.low[0] <= (clean == labels).mean() - 1.0 <= found.high[0], "holds the truth"


def _halved(exact: np.ndarray, drawn: np.ndarray, half: np.ndarray) -> Outcomes:
    """Actions that ran exactly: on a sample, on its halves, and on a smaller sample inside it."""
    strata = LABELS
    samples = np.stack([drawn, drawn & half, drawn & ~half, drawn & (np.arange(60) % 2 == 0)])
    stands = [np.bincount(strata) / np.bincount(strata, met) for met in samples]
    weight = np.stack([np.where(m, s[strata], 0) for m, s in zip(samples, stands, strict=True)])
    said = np.tile(exact, (4, 1))
    held = outcomes(said, np.where(weight > 0, said, 0), weight)
    assert held.direct is not None
    none = np.full(4, np.nan)
    direct = replace(
        held.direct,
        disagreement=none,
        error=none,
        sample=np.arange(4),
        strata=np.tile(strata, (4, 1)),
        inclusion=weight.astype(np.float32),
        whole=weight[[0, 0, 0, 3]].astype(np.float32),
    )
    return replace(held, direct=direct)


def test_half_of_a_sample_has_the_error_that_it_adds_to_the_sample() -> None:
    """Against brute force over halves of one sample; the whole sample has none beyond its own."""
    exact = np.random.default_rng(4).integers(0, 2, 60)
    weights = np.where(LABELS == 0, 1.3, 0.4)
    drawn = np.arange(60) % 5 != 0  # 32 of 40, 16 of 20
    values, errors = [], []
    for seed in range(1500):
        half = np.zeros(60, bool)
        for label in (0, 1):
            inside = np.flatnonzero(drawn & (label == LABELS))
            half[np.random.default_rng([seed, label]).permutation(inside)[: len(inside) // 2]] = (
                True
            )
        held = _halved(exact, drawn, half)
        right = phases(held, np.arange(3)).of(lambda predicted: predicted == LABELS)
        values.append(right @ weights / weights.sum())
        errors.append(phase_error(held, LABELS, weights))
    assert np.isnan(np.array(errors)[:, [0, 3]]).all(), "nothing dealt, whatever its strata"
    apart = np.array(values)[:, 1:] - np.array(values)[:, :1]
    said = np.sqrt(np.mean(np.square(np.array(errors)[:, 1:3]), axis=0))
    # Both halves have the same spread: what one is above the sample the other is below.
    assert said == pytest.approx(apart.std(axis=0), rel=0.06)
