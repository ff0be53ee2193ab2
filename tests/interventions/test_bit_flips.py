"""Choices of bits: distinct, nested, uniform; ranked ones against brute force."""

import numpy as np
import pytest

from synapse_audit.interventions.edits import (
    FORMATS,
    Flip,
    Steepest,
    flip_edit,
    random_flips,
    ranked_flips,
)

FP32 = FORMATS["fp32"]


def _weights() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        "a": generator.normal(size=(3, 4)).astype(np.float32),
        "b": generator.normal(size=(2, 2)).astype(np.float32),
    }


def test_random_flips_are_distinct_nested_and_of_the_kind() -> None:
    bits = FP32.bits("exponent")
    flips = random_flips(_weights(), bits, 40, np.random.default_rng(1))
    assert len(set(flips)) == 40
    assert {flip.bit for flip in flips} <= set(bits)
    assert all(flip.entry < _weights()[flip.weight].size for flip in flips)


def test_random_flips_are_uniform_over_entries() -> None:
    found = random_flips(_weights(), (31,), 16, np.random.default_rng(1))
    assert len(found) == 16  # 12 + 4 entries, each once
    first = [random_flips(_weights(), (31,), 1, np.random.default_rng(i))[0] for i in range(400)]
    share = np.mean([flip.weight == "b" for flip in first])
    assert abs(share - 0.25) < 0.07


def test_two_bits_of_one_entry_are_flipped_together() -> None:
    weights = {"w": np.array([1.0], dtype=np.float32)}
    edit = flip_edit(weights, [Flip("w", 0, 31), Flip("w", 0, 22)], FP32, 3)
    (change,) = edit.changes
    assert change.after.tolist() == [-1.5]
    assert (edit.bits, edit.n_changed, edit.layer) == (2, 1, 3)
    assert (edit.l2, edit.linf) == (2.5, 2.5)


def test_a_weight_that_becomes_infinite_has_an_infinite_budget() -> None:
    weights = {"w": np.array([1.0, 2.0], dtype=np.float32)}
    edit = flip_edit(weights, [Flip("w", 0, 30)], FP32, None)
    assert edit.linf == edit.l2 == np.inf and edit.n_changed == 1


@pytest.mark.parametrize("name", ["fp32", "fp16", "int8"])
def test_ranked_flips_are_the_best_by_brute_force(name: str) -> None:
    format, weights = FORMATS[name], _weights()
    generator = np.random.default_rng(2)
    slopes = {n: generator.normal(size=w.size) for n, w in weights.items()}
    steepest = {n: Steepest(np.arange(len(s)), s) for n, s in slopes.items()}
    bits = format.bits("mantissa")

    best = {}
    for n, weight in weights.items():
        for entry in range(weight.size):
            for bit in bits:
                (change,) = flip_edit(weights, [Flip(n, entry, bit)], format, None).changes
                rise = slopes[n][entry] * (float(change.after[0]) - float(change.before[0]))
                best[n, entry] = max(best.get((n, entry), (-np.inf, 0)), (rise, bit))
    ordered = sorted(((r, Flip(n, e, b)) for (n, e), (r, b) in best.items()), reverse=True)
    found = ranked_flips(weights, steepest, format, bits, 5)
    assert list(found) == [flip for rise, flip in ordered[:5] if rise > 0]


def test_flips_that_lower_the_loss_or_are_taken_do_not_count() -> None:
    weights = {"w": np.array([1.0, 1.0], dtype=np.float32)}
    slopes = {"w": Steepest(np.array([0, 1]), np.array([-1.0, 1.0]))}
    found = ranked_flips(weights, slopes, FP32, (31,), 5)
    assert found == (Flip("w", 0, 31),)
    assert ranked_flips(weights, slopes, FP32, (31,), 5, taken=found) == ()


def test_a_sign_flip_of_zero_changes_nothing_and_is_not_proposed() -> None:
    weights = {"w": np.array([0.0], dtype=np.float32)}
    slopes = {"w": Steepest(np.array([0]), np.array([1.0]))}
    assert ranked_flips(weights, slopes, FP32, (31,), 5) == ()
