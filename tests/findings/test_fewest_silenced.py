"""The fewest silenced inputs against the enumeration of every subset of inputs."""

from itertools import combinations

import numpy as np
import pytest

from synapse_audit import memory
from synapse_audit.findings.certificates.fewest_silenced import fewest_silenced


def enumerated(logits, weight, change, target=None):
    """Fewest inputs whose silencing changes the argmax (to the target); infinite if none do."""
    start, width = logits.argmax(), len(change)
    for k in range(1, width + 1):
        for chosen in combinations(range(width), k):
            after = (logits - weight[:, chosen] @ change[list(chosen)]).argmax()
            if after != start if target is None else after == target:
                return float(k)
    return np.inf


def problem(seed, classes, features=9, examples=12):
    generator = np.random.default_rng(seed)
    weight, bias = generator.normal(size=(classes, features)), generator.normal(size=classes)
    inputs = generator.normal(0.6, 1.0, size=(examples, features))
    kept = inputs.mean(axis=0) if seed % 2 else np.zeros(features)
    return inputs @ weight.T + 2 * bias, weight, inputs, kept


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("classes", [2, 4])
def test_distance_is_what_enumeration_finds(seed, classes):
    logits, weight, inputs, kept = problem(seed, classes)
    found = fewest_silenced(logits, weight, inputs, kept)
    expected = [enumerated(z, weight, h - kept) for z, h in zip(logits, inputs, strict=True)]
    assert found.least.tolist() == expected


@pytest.mark.parametrize("seed", range(3))
def test_the_bound_toward_a_class_is_never_above_the_truth(seed):
    logits, weight, inputs, kept = problem(seed, 4, features=8)
    found = fewest_silenced(logits, weight, inputs, kept)
    for i, (z, d) in enumerate(zip(logits, inputs - kept, strict=True)):
        for target in set(range(4)) - {int(z.argmax())}:
            truth = enumerated(z, weight, d, target)
            assert found.toward[i, target] <= truth
            if found.attained[i, target]:
                assert found.toward[i, target] == truth
    assert (found.toward[np.arange(len(logits)), logits.argmax(axis=1)] == 0).all()
    assert found.attained.any()


def test_two_classes_by_hand():
    # d = (3, 1, -2): margin 3.5 needs two inputs, margin 5 is out of reach.
    weight, inputs = np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]), np.array([[4.0, 2.0, -1.0]])
    for margin, distance in ((2.0, 1.0), (3.5, 2.0), (4.0, 2.0), (5.0, np.inf)):
        found = fewest_silenced(np.array([[margin, 0.0]]), weight, inputs, np.ones(3))
        assert found.least.tolist() == [distance]


def test_some_distances_are_out_of_reach():
    parts = [fewest_silenced(*problem(seed, 2)).least for seed in range(8)]
    assert np.isinf(np.concatenate(parts)).any()


def test_blocks_do_not_show(monkeypatch):
    whole = fewest_silenced(*problem(1, 4))
    monkeypatch.setattr(memory, "NUMBERS", 30)
    for one, other in zip(fewest_silenced(*problem(1, 4)), whole, strict=True):
        np.testing.assert_array_equal(one, other)
