"""Rows with examples of their own have the shares and drops that each has alone."""

import numpy as np
import pytest

from synapse_audit.effects.estimates import paired_drop, proportion
from synapse_audit.effects.exact_subsample import population
from synapse_audit.effects.populations import OutcomeSums, joined
from synapse_audit.statistics import resampled_weights

SIZES = (3, 12, 40)


def _population(n: int) -> tuple[np.ndarray, np.ndarray]:
    weights = np.random.default_rng(n).uniform(0.5, 2.0, (n, 1))
    return weights, resampled_weights(np.zeros(n, int), weights[:, 0], resamples=200)


@pytest.mark.parametrize("some", [False, True])
def test_shares_are_those_of_each_population_alone(some: bool) -> None:
    generator, parts, alone = np.random.default_rng(0), [], []
    for n in SIZES:
        weights, resampled = _population(n)
        # None hit, all hit, and two in between.
        hits = generator.random((4, n)) < np.array([[-1.0], [2.0], [0.1], [0.5]])
        among = generator.random((4, n)) < 0.8 if some else np.ones((4, n), dtype=bool)
        parts.append(OutcomeSums.of_shares(hits, weights, resampled, among if some else None))
        alone.append(proportion(population(weights, resampled), hits, among))
    found = joined(parts).estimates()
    for name in ("value", "low", "high"):
        wanted = np.concatenate([getattr(one, name) for one in alone])
        np.testing.assert_allclose(getattr(found, name), wanted, atol=1e-12)


def test_drops_are_those_of_each_population_alone() -> None:
    generator, parts, alone = np.random.default_rng(1), [], []
    for n in SIZES:
        weights, resampled = _population(n)
        before = generator.random(n) < 0.7
        # Nothing changed, everything changed, and two in between.
        changed = generator.random((4, n)) < np.array([[-1.0], [2.0], [0.1], [0.5]])
        after = before ^ changed
        parts.append(OutcomeSums.of_drops(before, after, weights, resampled))
        alone.append(paired_drop(population(weights, resampled), before, after))
    found = joined(parts).estimates()
    for name in ("value", "low", "high"):
        wanted = np.concatenate([getattr(one, name) for one in alone])
        np.testing.assert_allclose(getattr(found, name), wanted, atol=1e-12)


def test_a_row_without_examples_is_unknown() -> None:
    weights, resampled = _population(5)
    hits = np.ones((2, 5), dtype=bool)
    among = np.array([[True] * 5, [False] * 5])
    found = OutcomeSums.of_shares(hits, weights, resampled, among).estimates()
    assert found.value[0] == 1.0
    assert np.isnan([found.value[1], found.low[1], found.high[1]]).all()
