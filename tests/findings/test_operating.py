"""The operating curve against scikit-learn and by hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logit, softmax
from sklearn.metrics import precision_score, recall_score

from synapse_audit.artifacts import Evidence, Predictions
from synapse_audit.findings.operating import GRID, highest_threshold, operating
from synapse_audit.tables.operating import CURVE

from .evidence import make_evidence

LABELS = np.repeat([0, 1, 2], 40)
GENERATOR = np.random.default_rng(3)
LOGITS = (GENERATOR.normal(size=(120, 3)) + 1.5 * np.eye(3)[LABELS]).astype(np.float32)


def evidence(
    classes: int, shift: list[float] | None, weights: np.ndarray | None = None
) -> Evidence:
    labels = np.minimum(LABELS, classes - 1)
    made = make_evidence(labels.tolist(), logits=LOGITS[:, :classes], weights=weights)
    if shift is None:
        return made
    moved = np.array(shift, dtype=np.float32)
    return replace(made, predictions=Predictions(labels, LOGITS[:, :classes] + moved, moved))


def test_two_classes_against_scikit_learn() -> None:
    weights = GENERATOR.uniform(0.5, 2.0, 120)
    made = evidence(2, [0.0, -float(logit(0.8))], weights)
    found = operating(made)
    table = found.tables["curve"]
    assert table.columns.tolist() == CURVE.names
    assert table["class"].unique().tolist() == ["b"]
    assert sorted({*GRID, 0.8}) == pytest.approx(table["threshold"].tolist())
    assert table.loc[table["current"], "threshold"].tolist() == pytest.approx([0.8])
    share = softmax(LOGITS[:, :2].astype(np.float64), axis=1)[:, 1]
    own = LABELS > 0
    for row in table.to_dict("records"):
        said = share > row["threshold"]
        assert row["predicted"] == said.sum()
        assert row["recall"] == pytest.approx(recall_score(own, said, sample_weight=weights))
        assert row["false_alarm"] == pytest.approx(recall_score(~own, said, sample_weight=weights))
        if said.any():
            assert row["precision"] == pytest.approx(
                precision_score(own, said, sample_weight=weights)
            )
        for name in ("recall", "false_alarm"):
            assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
    figures = found.summary["operating"]["b"]
    assert figures["threshold"].value == pytest.approx(0.8)
    recall = recall_score(own, share > 0.8, sample_weight=weights)
    assert figures["recall"].value == pytest.approx(recall)


def test_where_it_is_set_the_curve_says_what_was_decided() -> None:
    made = evidence(3, [0.0, -float(logit(0.7)), -float(logit(0.2))])
    table = operating(made).tables["curve"]
    assert table["class"].unique().tolist() == ["b", "c"]
    for c, name in ((1, "b"), (2, "c")):
        row = table[table["current"] & (table["class"] == name)].iloc[0]
        assert row["predicted"] == (made.predictions.predicted == c).sum()
        at = {1: 0.7, 2: 0.2}[c]
        assert row["threshold"] == pytest.approx(at)
        assert ((highest_threshold(made, c) > at) == (made.predictions.predicted == c)).all()


def test_only_thresholds_and_one_output_have_a_curve() -> None:
    nothing = operating(evidence(3, None))
    assert nothing.tables["curve"].empty and not nothing.summary["operating"].known
    assert operating(evidence(2, None)).tables["curve"].empty
    single = operating(replace(evidence(2, None), one_output=True)).tables["curve"]
    assert single.loc[single["current"], "threshold"].tolist() == [0.5]
    half = operating(evidence(2, [0.0, 0.0])).tables["curve"]
    assert half["class"].unique().tolist() == ["b"]


def test_a_class_never_predicted_has_no_precision() -> None:
    made = evidence(2, [0.0, -float(logit(0.999999))])
    precision = operating(made).summary["operating"]["b"]["precision"]
    assert not precision.known and "no example is predicted" in precision.reason
