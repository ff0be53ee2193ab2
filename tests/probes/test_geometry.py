import numpy as np
import pytest

from synapse_audit import memory
from synapse_audit.artifacts import Splits
from synapse_audit.probes import layer_statistics, participation_ratio

from .problems import activations


def whole(n: int) -> Splits:
    """All examples in ``fit``."""
    none = np.array([], dtype=np.int64)
    return Splits(np.arange(n), none, none)


def test_statistics_by_hand_use_fit_only() -> None:
    held = activations([np.array([[1.0, 5.0], [3.0, 5.0], [99.0, 99.0]])])
    splits = Splits(np.array([0, 1]), np.array([2]), np.array([2]))
    (found,) = layer_statistics(held, splits)
    np.testing.assert_allclose(found.mean, [2.0, 5.0])
    np.testing.assert_allclose(found.spread, [1.0, 0.0])
    np.testing.assert_allclose(found.norm, [np.sqrt(5.0), 5.0])
    assert found.mean.dtype == found.spread.dtype == found.norm.dtype == np.float32


def test_participation_of_known_spectra() -> None:
    generator = np.random.default_rng(0)
    isotropic = generator.normal(size=(5000, 8))
    line = np.outer(generator.normal(size=5000), generator.normal(size=8))
    constant = np.full((5000, 8), 0.1)
    held = activations([constant, isotropic, line])
    nothing, eight, one = participation_ratio(held, whole(5000))
    assert np.isnan(nothing)
    assert eight == pytest.approx(8.0, rel=0.01)
    assert one == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("shape", [(30, 7), (7, 30)], ids=["tall", "wide"])
def test_participation_equals_the_eigenvalues_of_the_covariance(shape: tuple[int, int]) -> None:
    held = activations([np.random.default_rng(3).normal(size=shape) + 5])
    eigenvalues = np.linalg.eigvalsh(np.cov(held.layers[0].astype(np.float64).T))
    expected = eigenvalues.sum() ** 2 / (eigenvalues**2).sum()
    assert participation_ratio(held, whole(shape[0]))[0] == pytest.approx(expected)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    held, labels = activations([generator.normal(3, 2, (50, 9))]), np.arange(50) % 2
    splits = Splits(np.arange(0, 50, 2)[::-1].copy(), np.array([1]), np.array([3]))

    def measured() -> tuple[dict[str, np.ndarray], float]:
        (found,) = layer_statistics(held, splits, labels=labels, classes=("a", "b"))
        assert found.bank is not None and found.class_means is not None
        numbers = {n: getattr(found, n) for n in ("mean", "spread", "norm", "low", "high", "bank")}
        return numbers | dict(found.class_means), participation_ratio(held, splits)[0]

    whole_numbers, whole_ratio = measured()
    np.testing.assert_array_equal(whole_numbers["bank"], held.layers[0][splits.fit])
    monkeypatch.setattr(memory, "NUMBERS", 60)
    numbers, ratio = measured()
    assert ratio == pytest.approx(whole_ratio)
    assert numbers.keys() == whole_numbers.keys() == {*numbers} and "a" in numbers
    for name, values in numbers.items():
        np.testing.assert_allclose(values, whole_numbers[name], rtol=1e-6)
