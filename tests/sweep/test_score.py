"""The four numbers per cell and example, against numpy and scipy."""

import numpy as np
import pytest
import torch
from scipy.special import expit, rel_entr, softmax

from synapse_audit.artifacts.label_sets import encoded
from synapse_audit.model.decision import Decision
from synapse_audit.sweep.score import FIELDS, score

CELLS, EXAMPLES, CLASSES = 3, 20, 5
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 4, size=(CELLS, EXAMPLES, CLASSES)).astype(np.float32)
CLEAN = RNG.normal(0, 4, size=(EXAMPLES, CLASSES)).astype(np.float32)
LABELS = RNG.integers(0, CLASSES, size=EXAMPLES)


def _score(logits: np.ndarray, clean: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    return dict(score(*(torch.from_numpy(np.asarray(x)) for x in (logits, clean, labels))))


def test_against_numpy_and_scipy() -> None:
    found = _score(LOGITS, CLEAN, LABELS)
    exact, clean = LOGITS.astype(np.float64), CLEAN.astype(np.float64)
    rows = np.arange(EXAMPLES)
    shares, before = softmax(exact, axis=-1), softmax(clean, axis=-1)
    rivals = np.where(np.eye(CLASSES, dtype=bool)[LABELS], -np.inf, exact).max(axis=-1)
    assert (found["predicted"] == exact.argmax(axis=-1)).all()
    np.testing.assert_allclose(found["probability"], shares[:, rows, LABELS], atol=1e-6)
    np.testing.assert_allclose(found["margin"], exact[:, rows, LABELS] - rivals, atol=1e-5)
    np.testing.assert_allclose(found["kl"], rel_entr(before, shares).sum(-1), atol=1e-5)


def test_by_hand() -> None:
    logits = np.log(np.array([[[0.5, 0.25, 0.25]]], dtype=np.float32))
    clean = np.log(np.array([[0.25, 0.5, 0.25]], dtype=np.float32))
    found = _score(logits, clean, np.array([1]))
    assert found["predicted"].tolist() == [[0]]
    assert found["probability"][0, 0] == pytest.approx(0.25)
    assert found["margin"][0, 0] == pytest.approx(-np.log(2))
    assert found["kl"][0, 0] == pytest.approx(0.25 * np.log(2))  # ¼ ln ½ + ½ ln 2 + ¼ ln 1


def test_nothing_changed_means_no_divergence() -> None:
    found = _score(CLEAN[None], CLEAN, LABELS)
    assert found["kl"].max() < 1e-6 and found["kl"].min() >= 0


def test_huge_logits_stay_finite() -> None:
    logits = np.array([[[1e4, -1e4, 0.0]]], dtype=np.float32)
    found = _score(logits, np.zeros((1, 3), np.float32), np.array([1]))
    assert all(np.isfinite(values).all() for values in found.values())
    assert found["margin"].item() == -2e4


def test_types_are_those_promised() -> None:
    found = _score(LOGITS, CLEAN, LABELS)
    assert {name: values.dtype.type for name, values in found.items()} == FIELDS


def test_sets_of_labels_against_numpy() -> None:
    """Labels decided one by one: everything by sigmoids, in float64."""
    decision = Decision(several=True, thresholds=(0.5, 0.2, 0.5, 0.9, 0.5))
    shift = np.asarray(decision.shift, dtype=np.float64)
    true = RNG.random((EXAMPLES, CLASSES)) < 0.4
    found = score(*map(torch.from_numpy, (LOGITS, CLEAN, encoded(true))), decision=decision)
    exact, clean = LOGITS.astype(np.float64), CLEAN.astype(np.float64)
    said, own, before = exact > 0, expit(exact - shift), expit(clean - shift)
    assert found["predicted"].dtype == np.int64
    assert (found["predicted"] == encoded(said)).all()
    assert (said == (own > np.array(decision.thresholds))).all()
    right = np.where(true, own, 1 - own)
    np.testing.assert_allclose(found["probability"], right.prod(-1), atol=1e-6)
    np.testing.assert_allclose(
        found["confidence"], np.where(said, own, 1 - own).prod(-1), atol=1e-6
    )
    np.testing.assert_allclose(found["margin"], np.where(true, exact, -exact).min(-1), atol=1e-6)
    assert ((found["margin"] > 0) == (said == true).all(-1)).all()
    each = rel_entr(before, own) + rel_entr(1 - before, 1 - own)
    np.testing.assert_allclose(found["kl"], each.sum(-1), rtol=1e-4, atol=1e-4)


def test_a_label_without_a_number_is_absent() -> None:
    logits = torch.tensor([[[float("nan"), float("inf"), -1.0]]])
    found = score(logits, torch.zeros(1, 3), torch.tensor([2]), decision=Decision(several=True))
    assert found["predicted"].tolist() == [[2]]
    assert all(np.isfinite(values).all() for values in found.values())
