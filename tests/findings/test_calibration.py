from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from synapse_audit.artifacts import Cell
from synapse_audit.effects.calibration import calibration_error, equal_width
from synapse_audit.findings.calibration.calibration import (
    NO_BEST,
    NOT_FITTED,
    calibration,
)
from synapse_audit.tables.calibration import BINS, CELLS, REMOVAL

from .evidence import make_evidence, silence

LABELS = [0] * 60 + [1] * 60
GENERATOR = np.random.default_rng(0)
LOGITS = GENERATOR.normal(size=(120, 2)).astype(np.float32) + 1.2 * np.eye(2)[LABELS]


def warm(temperature: float) -> Cell:
    return Cell(space="logit", operator="temperature", site="logits", strength=temperature)


def told(evidence, logits):
    """The evidence with the confidences that these logits of its cells give."""
    shares = softmax(np.asarray(logits, dtype=np.float64), axis=-1)
    rows = np.arange(len(evidence.weights))
    outcomes = replace(
        evidence.outcomes,
        predicted=shares.argmax(axis=-1).astype(np.uint16),
        confidence=shares.max(axis=-1).astype(np.float32),
        probability=shares[:, rows, evidence.predictions.labels].astype(np.float32),
    )
    return replace(evidence, outcomes=outcomes)


def evidence_of(*cells, logits, weights=None, stream=None):
    predicted = [np.argmax(one, axis=1).tolist() for one in logits]
    made = make_evidence(
        LABELS, list(zip(cells, predicted, strict=True)), logits=LOGITS, weights=weights,
        stream=stream,
    )  # fmt: skip
    return told(made, logits) if cells else made


def ece_of(logits, weights=None, labels=LABELS):
    shares = softmax(np.asarray(logits, dtype=np.float64), axis=1)
    sure, right = shares.max(axis=1)[None], (shares.argmax(axis=1) == labels)[None]
    weights = np.ones(len(labels)) if weights is None else weights
    return calibration_error(sure, right, equal_width(sure), weights[:, None])[0, 0]


def test_clean_row_against_plain_arithmetic():
    weights = GENERATOR.uniform(0.5, 2, 120)
    found = calibration(evidence_of(logits=[], weights=weights))
    row = found.tables["cells"].iloc[0]
    shares = softmax(LOGITS.astype(np.float64), axis=1)
    sure, right = shares.max(axis=1), shares.argmax(axis=1) == LABELS
    wrong = weights * ~right
    assert found.tables["cells"].columns.tolist() == CELLS.names
    assert (row["space"], row["n"], row["n_wrong"]) == ("clean", 120, (~right).sum())
    assert row["ece"] == pytest.approx(ece_of(LOGITS, weights))
    assert row["overconfidence"] == pytest.approx((sure - right) @ weights / weights.sum())
    assert row["wrong_confidence"] == pytest.approx(sure @ wrong / wrong.sum())
    assert row["sure_errors"] == pytest.approx((sure >= 0.9) @ wrong / wrong.sum())
    assert row["brier"] == pytest.approx((sure - right) ** 2 @ weights / weights.sum())
    own = shares[np.arange(120), LABELS]
    assert row["log_loss"] == pytest.approx(-np.log(own) @ weights / weights.sum())
    for name in ("ece", "overconfidence", "wrong_confidence", "sure_errors"):
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
        assert row[f"{name}_low"] < row[f"{name}_high"]


def test_a_temperature_moves_confidence_and_nothing_else():
    cells = [warm(t) for t in (0.5, 1.0, 4.0)]
    found = calibration(evidence_of(*cells, logits=[LOGITS / t for t in (0.5, 1.0, 4.0)]))
    table = found.tables["cells"]
    clean, cold, same, hot = (table.iloc[i] for i in range(4))
    assert cold["accuracy"] == same["accuracy"] == hot["accuracy"] == clean["accuracy"]
    assert cold["confidence"] > clean["confidence"] > hot["confidence"]
    assert same["ece"] == pytest.approx(clean["ece"], abs=1e-6)
    assert hot["ece"] == pytest.approx(ece_of(LOGITS / 4), abs=1e-6)


def test_the_closed_form_is_what_cells_measure():
    found = calibration(evidence_of(logits=[])).tables["temperature"]
    for row in found.iloc[[0, 25, 60]].itertuples():
        assert row.ece == pytest.approx(ece_of(LOGITS / row.temperature))
    assert found["accuracy"].nunique() == 1
    at_one = found.iloc[(found["temperature"] - 1).abs().argmin()]
    assert at_one["temperature"] == pytest.approx(1.0)


def test_estimated_cells_are_read_on_their_exact_examples():
    """Half of each class is exact; on the rest the confidences are nonsense."""
    known = [i % 2 == 0 for i in range(120)]
    answers = LOGITS.argmax(axis=1).tolist()
    spoiled = np.where(np.array(known)[:, None], LOGITS, 50 * LOGITS)
    cell = silence("top", 0.5)
    evidence = evidence_of(cell, logits=[spoiled], stream=[(answers, known)])
    row = calibration(evidence).tables["cells"].iloc[1]
    labels = [y for y, k in zip(LABELS, known, strict=True) if k]
    assert row["n"] == 60
    assert row["ece"] == pytest.approx(ece_of(LOGITS[known], labels=labels), abs=1e-6)


def test_classes_keep_their_weight_among_exact_examples():
    """All of class a is exact, a third of class b, which must still count for half."""
    known = [i < 60 or i % 3 == 0 for i in range(120)]
    answers = LOGITS.argmax(axis=1).tolist()
    cell = silence("top", 0.5)
    evidence = evidence_of(cell, logits=[LOGITS], stream=[(answers, known)])
    row = calibration(evidence).tables["cells"].iloc[1]
    right = LOGITS.argmax(axis=1) == LABELS
    third = [k for k in range(60, 120) if known[k]]
    assert row["accuracy"] == pytest.approx((right[:60].mean() + right[third].mean()) / 2)


def test_draws_have_a_range_and_no_intervals():
    cells = [silence("random", 0.5, draw=d) for d in range(3)] + [silence("top", 0.5)]
    logits = [LOGITS * s for s in (1.0, 2.0, 3.0, 0.5)]
    found = calibration(evidence_of(*cells, logits=logits)).tables
    table = found["cells"].iloc[1:]
    assert table["ece_low"].isna().tolist() == [True, True, True, False]
    removal = found["removal"]
    assert removal.columns.tolist() == REMOVAL.names
    random_controls = removal.query("selection == 'random'").iloc[0]
    errors = [ece_of(one) for one in logits[:3]]
    assert random_controls["ece"] == pytest.approx(np.mean(errors), abs=1e-6)
    assert random_controls["draws"] == 3
    # Where one more of three draws would lie: t = 4.30 with two degrees, never below a draw.
    half = 4.302653 * np.std(errors, ddof=1) * np.sqrt(4 / 3)
    assert random_controls["ece_high"] == pytest.approx(np.mean(errors) + half, abs=1e-5)
    assert random_controls["ece_low"] <= min(errors)


def test_reliability_curves_of_clean_removal_and_temperatures():
    cells = [silence("top", 0.5), warm(2.0), silence("random", 0.5, draw=0)]
    found = calibration(evidence_of(*cells, logits=[LOGITS] * 3)).tables["bins"]
    assert found.columns.tolist() == BINS.names
    assert found["what"].value_counts().to_dict() == {"clean": 15, "removal": 15, "temperature": 15}
    curves = [rows["accuracy"].to_numpy() for _, rows in found.groupby("what", sort=False)]
    assert curves[1] == pytest.approx(curves[0], nan_ok=True)
    full = found.dropna(subset=["accuracy"])
    assert (full["accuracy_low"] <= full["accuracy"]).all()
    assert (full["accuracy_low"] < full["accuracy_high"]).all(), "Wilson's where all are right"
    assert (full["accuracy"] <= full["accuracy_high"]).all()
    assert found.groupby("what")["share"].sum().to_numpy() == pytest.approx(1.0)


def test_figures_and_their_reasons():
    evidence = evidence_of(logits=[])
    none = calibration(evidence).summary["calibration"]
    assert none["temperature"].reason == NOT_FITTED
    assert not none["removal"]["mean"]["ece"].known
    unknown = calibration(replace(evidence, temperature=float("nan"))).summary["calibration"]
    assert unknown["temperature"].reason == NO_BEST
    fitted = calibration(replace(evidence, temperature=2.0)).summary["calibration"]
    assert fitted["temperature"].value == 2.0
    assert fitted["ece_fitted"].value == pytest.approx(ece_of(LOGITS / 2))
    perfect = calibration(make_evidence([0, 1, 2] * 20)).summary["calibration"]
    assert not perfect["wrong_confidence"].known
    assert "no wrong answer" in perfect["wrong_confidence"].reason


def test_an_action_shared_by_a_draw_and_a_named_cell_has_its_interval():
    top = silence("top", 0.5)
    random_control = replace(top, selection="random", ranking=None, ranked_for=None, draw=0)
    evidence = evidence_of(top, logits=[LOGITS])
    both = pd.concat([evidence.effects] * 2, ignore_index=True)
    both.loc[1, ["cell", "selection", "draw"]] = [random_control.key, "random", 0]
    table = calibration(replace(evidence, effects=both)).tables["cells"]
    assert table["ece_low"].notna().all()
