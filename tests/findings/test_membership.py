"""Membership rates from ranks that are written down, and how often their intervals hold chance."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from synapse_audit.artifacts import Evidence
from synapse_audit.findings.membership import FOLDS, WIDER, membership
from synapse_audit.probes.membership import FOLDS as FITTED_FOLDS
from synapse_audit.probes.membership import cross_fitted, folds_of

from .evidence import make_evidence

N = 400
MEMBER = np.arange(N) % 2 == 1
LABELS = (np.arange(N) // 2) % 2


def _rows(score: np.ndarray, *, right: float = 1.0, **named: object) -> pd.DataFrame:
    table = {
        "scope": "0", "selection": "clean", "attacker": "refitted", "fraction": np.nan, "draw": 0,
        "row": np.arange(N), "member": MEMBER, "label": LABELS, "score": score,
        "right": np.arange(N) % 10 < 10 * right,
    }  # fmt: skip
    return pd.DataFrame(table | named)


def _evidence(*parts: pd.DataFrame) -> Evidence:
    return replace(make_evidence([0, 1]), membership=pd.concat(parts, ignore_index=True))


def _score(gap: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=N) + gap * MEMBER


def test_rates_of_a_layer_are_those_of_scikit_learn() -> None:
    score = _score(1.0)
    found = membership(_evidence(_rows(score)))
    row = found.tables["layers"].iloc[0]
    assert row["auc"] == pytest.approx(roc_auc_score(MEMBER, score))
    second = np.sort(score[~MEMBER])[-3]  # 1 % of 200 held-out rows: two may be flagged
    assert row["tpr"] == pytest.approx((score[MEMBER] > second).mean())
    assert row["auc_low"] < row["auc"] < row["auc_high"]
    assert found.summary["membership"]["auc"]["0"].value == row["auc"]


def test_a_score_that_was_fitted_to_nothing_needs_no_wider_interval() -> None:
    found = membership(_evidence(_rows(_score(1.0)), _rows(_score(1.0), scope="loss")))
    fitted, loss = (row for _, row in found.tables["layers"].iterrows())
    arms = [row["auc_high"] - row["auc"] for row in (fitted, loss)]
    assert arms[0] == pytest.approx(WIDER * arms[1])
    assert pytest.approx(np.sqrt(1 + FOLDS / (FOLDS - 1))) == WIDER
    assert FOLDS == FITTED_FOLDS, "the margin is for as many folds as attackers are fitted in"


def test_few_rows_show_no_rate_of_one_percent() -> None:
    some = _rows(_score(1.0)).iloc[:160]  # 80 held out
    found = membership(_evidence(some))
    assert np.isnan(found.tables["layers"].iloc[0]["tpr"])
    assert "fewer than 100" in found.summary["membership"]["tpr"]["0"].reason


def test_the_largest_of_several_layers_has_a_wider_interval() -> None:
    parts = [_rows(_score(0.2 * layer, layer), scope=str(layer)) for layer in range(4)]
    summary = membership(_evidence(*parts)).summary["membership"]
    worst = summary["worst"]
    own = summary["auc"][worst.beside["layer"]]
    assert worst.value == own.value and worst.low < own.low


def test_silencing_stands_beside_random_sets_and_its_cost() -> None:
    named = {"scope": "3", "fraction": 0.5}
    tops = [
        _rows(_score(gap), selection="top", attacker=attacker, right=0.8, **named)
        for attacker, gap in (("refitted", 1.0), ("stale", 0.0))
    ]
    draws = [
        _rows(_score(0.5 + 0.05 * d, d), selection="random", draw=d, right=0.9, **named)
        for d in range(20)
    ]
    stale = [part.assign(attacker="stale") for part in draws]
    table = membership(_evidence(_rows(_score(1.0)), *tops, *draws, *stale)).tables["silenced"]
    fresh = table[table["attacker"] == "refitted"].iloc[0]
    aucs = [roc_auc_score(MEMBER, part["score"]) for part in draws]
    assert fresh["auc"] == pytest.approx(roc_auc_score(MEMBER, _score(1.0)))
    assert fresh["random"] == pytest.approx(np.mean(aucs))
    assert fresh["p_random"] == (1 + sum(a <= fresh["auc"] for a in aucs)) / 21
    assert (fresh["accuracy"], fresh["random_accuracy"], fresh["draws"]) == (0.8, 1.0, 20)
    assert set(table["attacker"]) == {"refitted", "stale"}


def test_nobody_asked() -> None:
    found = membership(make_evidence([0, 1]))
    assert not found.summary["membership"].known
    assert all(table.empty for table in found.tables.values())


@pytest.mark.proof
def test_where_both_files_are_alike_intervals_hold_chance_as_often_as_they_say() -> None:
    held, rounds = 0, 300
    for seed in range(rounds):
        states = np.random.default_rng(seed).normal(size=(N, 24)).astype(np.float32)
        ranks = cross_fitted(states, MEMBER, folds_of(MEMBER, LABELS, seed))
        row = membership(_evidence(_rows(ranks))).tables["layers"].iloc[0]
        held += row["auc_low"] <= 0.5 <= row["auc_high"]
    # 95 % of 300 is 285 ± 7.4 (two standard errors); far too wide would be 300.
    assert 275 <= held <= 298
