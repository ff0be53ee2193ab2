from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.metrics import roc_auc_score, roc_curve

from synapse_audit.artifacts import Cell, HeadEdit
from synapse_audit.findings.detection.detection import NO_BENIGN, NO_SCORES, detection
from synapse_audit.tables.detection import CELLS, ROC

from .evidence import make_evidence, silence

N = 240
LABELS = [0] * N + [1] * 80 + [2] * 80
ATTACK = np.array(LABELS) != 0
GENERATOR = np.random.default_rng(0)
LOGITS = (GENERATOR.normal(size=(len(LABELS), 3)) + 1.8 * np.eye(3)[LABELS]).astype(np.float32)


def evidence_of(*trials, benign="a", stream=None, weights=None):
    """Cells with their logits; P(benign) follows."""
    predicted = [(cell, np.argmax(logits, axis=1).tolist()) for cell, logits in trials]
    made = make_evidence(LABELS, predicted, logits=LOGITS, stream=stream, weights=weights)
    scores = [softmax(np.asarray(one, dtype=np.float64), axis=1)[:, 0] for _, one in trials]
    kept = np.array(scores, dtype=np.float32).reshape(len(trials), len(LABELS))
    return replace(made, benign=benign, outcomes=replace(made.outcomes, benign=kept))


def hidden(amount):
    """Attacks drift toward the benign class, benign inputs stay."""
    return LOGITS + np.outer(ATTACK, [amount, 0, 0])


def alarming(amount):
    """Everything drifts away from the benign class."""
    return LOGITS - np.array([amount, 0, 0])


def rows_of(*trials, **more):
    return detection(evidence_of(*trials, **more)).tables["cells"]


def test_clean_row_against_scikit_learn():
    weights = GENERATOR.uniform(0.5, 2, len(LABELS))
    table = rows_of(weights=weights)
    score = 1 - softmax(LOGITS.astype(np.float64), axis=1)[:, 0]
    row, false = table.iloc[0], ~ATTACK
    assert table.columns.tolist() == CELLS.names
    assert (row["n_benign"], row["n_attack"]) == (N, 160)
    assert row["auc"] == pytest.approx(roc_auc_score(ATTACK, score, sample_weight=weights))
    fpr, tpr, _ = roc_curve(ATTACK, score, sample_weight=weights)
    assert row["tpr_1"] == pytest.approx(tpr[fpr <= 0.01].max())
    assert row["fixed_tpr_1"] == pytest.approx(row["tpr_1"]), "set on these very scores"
    assert 0 < row["fixed_fpr_1"] <= 0.01
    alarm = LOGITS.argmax(axis=1) != 0
    assert row["false_alarm"] == pytest.approx((alarm & false) @ weights / (false @ weights))
    assert row["missed_alarm"] == pytest.approx((~alarm & ATTACK) @ weights / (ATTACK @ weights))
    for name in ("auc", "eer", "tpr_1", "false_alarm", "missed_alarm"):
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]
    assert row["failure"] == "neither"


def test_rates_too_small_for_the_data_are_unknown():
    finding = detection(evidence_of())
    assert np.isnan(finding.tables["cells"]["tpr_01"].iloc[0])
    reason = finding.summary["detection"]["tpr_01"].reason
    assert reason == (
        "240 (effective) benign examples cannot resolve a false-alarm rate of 0.1%; "
        "expected at least 1000"
    )
    thresholds = finding.tables["thresholds"]
    assert thresholds["probability"].notna().tolist() == [True, False]
    assert thresholds["reason"].iloc[1] == reason


def test_a_shift_moves_the_fixed_threshold_and_not_the_curve():
    """All scores move alike in odds: re-fitted thresholds see nothing, the deployed one fails."""
    cell = Cell("logit", "shift", "logits", strength=3.0, target="a")
    table = rows_of((cell, LOGITS + np.array([3.0, 0, 0])))
    clean, moved = table.iloc[0], table.iloc[1]
    assert moved["auc"] == pytest.approx(clean["auc"], abs=1e-3)
    assert moved["tpr_1"] == pytest.approx(clean["tpr_1"], abs=0.02)
    assert moved["fixed_tpr_1"] < clean["fixed_tpr_1"] - 0.2
    assert moved["fixed_fpr_1"] == 0.0
    assert moved["failure"] == "silent"


def test_fixed_rates_by_hand():
    cell = silence("top", 0.5)
    logits = hidden(2.0)
    table = rows_of((cell, logits))
    share = [softmax(x.astype(np.float64), axis=1)[:, 0] for x in (LOGITS, logits)]
    benign = np.sort(share[0][~ATTACK])
    # 1 % of 240 benign examples: two of them may be flagged.
    cut = (benign[1] + benign[2]) / 2
    between = share[0][ATTACK & (share[0] > benign[1]) & (share[0] < benign[2])]
    cut = (benign[2] + max([*between, benign[1]])) / 2
    assert table.iloc[1]["fixed_tpr_1"] == pytest.approx((share[1][ATTACK] < cut).mean())
    assert table.iloc[1]["fixed_fpr_1"] == pytest.approx((share[1][~ATTACK] < cut).mean())


def test_how_cells_fail():
    both = hidden(4.0) - np.outer(~ATTACK, [4.0, 0, 0])
    trials = [
        (silence("top", 0.1), hidden(3.0)),
        (silence("top", 0.2), alarming(3.0)),
        (silence("top", 0.3), both),
        (silence("top", 0.4), LOGITS),
        (silence("random", 0.4, draw=0), hidden(3.0)),
    ]
    finding = detection(evidence_of(*trials))
    table = finding.tables["cells"]
    assert table["failure"].tolist()[1:5] == ["silent", "loud", "both", "neither"]
    silent = table.iloc[1]
    assert silent["missed_rise"] == pytest.approx(
        silent["missed_alarm"] - table.iloc[0]["missed_alarm"]
    )
    assert silent["missed_rise_low"] <= silent["missed_rise"] <= silent["missed_rise_high"]
    counted = finding.tables["failures"].iloc[0]
    assert counted["cells"] == 4, "the random control is a control"
    assert (counted["silent"], counted["loud"], counted["both"], counted["neither"]) == (1, 1, 1, 1)
    assert finding.summary["detection"]["failures"]["silent"] == 1


def test_attacks_called_another_attack_are_no_missed_alarm():
    swapped = LOGITS[:, [0, 2, 1]]
    row = rows_of((silence("top", 0.5), swapped)).iloc[1]
    assert (row["failure"], row["missed_rise"], row["false_rise"]) == ("neither", 0.0, 0.0)


def test_estimated_cells_are_read_on_their_exact_examples():
    known = np.arange(len(LABELS)) % 2 == 0
    logits = np.where(known[:, None], hidden(2.0), -LOGITS)
    stream = [(LOGITS.argmax(axis=1).tolist(), known.tolist())]
    row = rows_of((silence("top", 0.5), logits), stream=stream).iloc[1]
    score = 1 - softmax(hidden(2.0)[known], axis=1)[:, 0]
    assert (row["n"], row["n_benign"]) == (200, 120)
    assert row["auc"] == pytest.approx(roc_auc_score(ATTACK[known], score), abs=1e-6)


def test_intervals_of_the_curve_are_bootstrap_percentiles():
    evidence = evidence_of((silence("top", 0.5), hidden(1.0)))
    row = detection(evidence).tables["cells"].iloc[1]
    score = -evidence.outcomes.benign[0].astype(np.float64)
    areas = [
        roc_auc_score(np.repeat(ATTACK, times), np.repeat(score, times))
        for times in evidence.resampled.T.astype(int)
    ]
    assert (row["auc_low"], row["auc_high"]) == pytest.approx(
        tuple(np.quantile(areas, [0.025, 0.975])), abs=1e-5
    )


def test_perfect_separation_keeps_a_width():
    row = rows_of((silence("top", 0.5), 50 * np.eye(3)[LABELS])).iloc[1]
    assert (row["auc"], row["auc_high"]) == (1.0, 1.0)
    # Wilson's interval of 160 in 160, the smaller of the two sides.
    assert row["auc_low"] == pytest.approx(160 / (160 + 1.959964**2))


def test_only_some_cells_have_intervals_of_the_curve():
    edit = HeadEdit(np.ones((3, 2)), np.zeros(3))
    push = Cell("weight", "push", "head_weight", strength=0.1, target="a", edit=edit)
    away = replace(push, target="b", edit=HeadEdit(2 * edit.weight, edit.bias))
    trials = [(c, LOGITS) for c in (push, away, silence("top", 0.5), silence("bottom", 0.5))]
    table = rows_of(*trials)
    assert table["auc"].notna().all()
    assert table["auc_low"].notna().tolist() == [True, True, False, True, False]
    assert table["missed_alarm_low"].notna().all()


def test_roc_corners_hold_the_whole_curve():
    finding = detection(evidence_of((silence("top", 0.5), hidden(1.0))))
    table = finding.tables["roc"]
    assert table.columns.tolist() == ROC.names
    for what, row in (("clean", 0), ("removal", 1)):
        curve = table[table["what"] == what]
        ends = curve[["false_alarm", "caught"]].to_numpy()
        assert ends[0].tolist() == [0, 0] and ends[-1] == pytest.approx([1, 1])
        steps = np.diff(ends[:, 0]) * (ends[1:, 1] + ends[:-1, 1]) / 2
        assert steps.sum() == pytest.approx(finding.tables["cells"]["auc"].iloc[row])


@pytest.mark.parametrize("why", [NO_BENIGN, NO_SCORES])
def test_without_a_benign_class_everything_is_empty_and_says_why(why):
    evidence = evidence_of((silence("top", 0.5), LOGITS))
    without = replace(evidence.outcomes, benign=None)
    evidence = replace(
        evidence, outcomes=without, benign=None if why == NO_BENIGN else evidence.benign
    )
    finding = detection(evidence)
    assert all(table.empty and len(table.columns) for table in finding.tables.values())
    assert finding.summary["detection"]["auc"].reason == why


def test_a_benign_class_without_examples_has_no_view():
    evidence = evidence_of()
    lacking = replace(evidence, classes=("x", "y", "z", "a"), benign="a")
    found = detection(replace(lacking, outcomes=evidence.outcomes))
    assert "lacks benign examples" in found.summary["detection"]["eer"].reason


def test_figures_of_the_removal_curve():
    trials = [(silence("top", f), hidden(5 * f)) for f in (0.1, 0.5)]
    trials += [(silence("random", 0.5, draw=d), hidden(0.1 * d)) for d in range(3)]
    finding = detection(evidence_of(*trials))
    worst = finding.summary["detection"]["removal"]["mean"]
    assert worst["fraction"].value == 0.5
    assert worst["missed_alarm"].value > worst["missed_alarm"].low > 0
    assert not finding.summary["detection"]["removal"]["zero"]["missed_alarm"].known
    removal = finding.tables["removal"]
    random_controls = removal[removal["selection"] == "random"].iloc[0]
    assert random_controls["draws"] == 3
    assert (
        isinstance(removal, pd.DataFrame)
        and random_controls["missed_alarm_low"] <= random_controls["missed_alarm"]
    )
