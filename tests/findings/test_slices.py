"""Slices: rates worked out by hand, spreads against plain formulas, and what is not said."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synapse_audit.findings.slices import RECALLS, SLICES, slices
from synapse_audit.statistics import resampled_weights
from synapse_audit.summary import to_json, walk

from .evidence import make_evidence, one_hot_logits, silence


def sliced(labels, predicted, groups=None, trials=(), **values):
    """Evidence in which examples have these values in the slice columns."""
    made = make_evidence(labels, trials, logits=4 * one_hot_logits(predicted, 2), resamples=1000)
    columns = {name: pd.Categorical(column) for name, column in values.items()}
    if groups is None:
        return replace(made, slices=columns)
    y, groups = np.asarray(labels), np.asarray(groups)
    drawn = resampled_weights(y, np.ones(len(y)), groups=groups, resamples=1000)
    return replace(made, slices=columns, groups=groups, resampled=drawn)


def two_languages(trials=()):
    """60 of en, 6 wrong; 40 of de, 20 wrong: of both classes alike."""
    labels = np.tile([0, 1], 50)
    wrong = np.zeros(100, bool)
    wrong[:6] = wrong[60:80] = True
    names = ["en"] * 60 + ["de"] * 40
    return sliced(labels.tolist(), np.where(wrong, 1 - labels, labels), trials=trials, lang=names)


def row_of(finding, value):
    table = finding.tables["slices"]
    return table[table["value"] == value].iloc[0]


def test_accuracy_difference_and_calibration_by_hand():
    found = slices(two_languages())
    en, de = row_of(found, "en"), row_of(found, "de")
    assert found.tables["slices"].columns.tolist() == SLICES.names
    assert (en["n"], de["n"], en["reason"]) == (60, 40, "")
    assert en["accuracy"] == pytest.approx(0.9) and de["accuracy"] == pytest.approx(0.5)
    assert de["difference"] == pytest.approx(-0.4) and en["difference"] == pytest.approx(0.4)
    # Every answer has logit 4 against 0, so one confidence and one bin.
    sure = 1 / (1 + np.exp(-4))
    assert de["overconfidence"] == pytest.approx(sure - 0.5)
    assert de["ece"] == pytest.approx(sure - 0.5) and en["ece"] == pytest.approx(sure - 0.9)
    assert np.isnan(de["fragility"]), "no curve was run"
    # Classes are resampled by themselves and are half of either slice: close to a binomial's.
    half = (de["accuracy_high"] - de["accuracy_low"]) / 2
    assert half == pytest.approx(1.96 * np.sqrt(0.25 / 40), rel=0.1)
    # Welch's t for two slices at once, with a lost and a won example added.
    part, rest = 0.25 / 39 + 2 / 42**2, 0.09 / 59 + 2 / 62**2
    half = (de["difference_high"] - de["difference_low"]) / 2
    assert half == pytest.approx(2.29 * np.sqrt(part + rest), rel=0.1)


def test_recall_of_a_class_in_a_slice():
    found = slices(two_languages())
    recalls = found.tables["recalls"]
    assert recalls.columns.tolist() == RECALLS.names
    by_class = recalls[recalls["value"] == "de"].set_index("class")
    assert by_class["recall"].to_dict() == pytest.approx({"a": 0.5, "b": 0.5})
    assert by_class["support"].tolist() == [20, 20]
    figures = dict(walk(to_json(found.summary)))
    assert figures["slices", "lang", "de", "recall", "a"].n == 20
    assert figures["slices", "lang", "de", "accuracy"].n == 40


def test_the_worst_is_named_where_no_other_can_be_it():
    worst = slices(two_languages()).summary["worst_slice"]["lang"]
    assert worst["accuracy"].value == pytest.approx(0.5)
    assert worst["accuracy"].beside == {"slice": "de", "left_out": []}
    # The ends allow for both slices: 2.24 standard errors instead of 1.96.
    assert worst["accuracy"].value - worst["accuracy"].low > 2.1 * np.sqrt(0.25 / 40)
    assert worst["gap"].value == pytest.approx(0.4) and worst["gap"].low > 0.15
    same = sliced([0, 1] * 40, [0, 1] * 40, site=["x", "y", "y", "x"] * 20)
    none = slices(same).summary["worst_slice"]["site"]
    assert none["accuracy"].value == 1.0 and none["accuracy"].beside["slice"] is None
    assert none["accuracy"].beside["tied"] == ["x", "y"] and none["accuracy"].low < 0.95
    assert (none["gap"].value, none["gap"].low) == (0.0, 0.0) and none["gap"].high > 0.05


def test_fragility_is_the_mean_loss_over_the_curve():
    labels = np.tile([0, 1], 50)
    # At .1 nothing changes; at .5 all of de is lost that was right: 20 of 40.
    clean = two_languages().predictions.predicted
    broken = clean.copy()
    broken[60:] = 1 - labels[60:]
    trials = [(silence("top", 0.1), clean.tolist()), (silence("top", 0.5), broken.tolist())]
    found = slices(two_languages(trials))
    assert row_of(found, "de")["fragility"] == pytest.approx(0.5 / 2)
    assert row_of(found, "en")["fragility"] == pytest.approx(0.0)
    assert row_of(found, "en")["fragility_high"] > 0, "60 examples cannot rule a loss out"
    worst = found.summary["worst_slice"]["lang"]["fragility"]
    assert worst.value == pytest.approx(0.25) and worst.beside["slice"] == "de"


def test_small_slices_say_so_and_what_would_show_them():
    names = ["en"] * 60 + ["de"] * 25 + ["fr"] * 12 + [None] * 3
    found = slices(sliced([0, 1] * 50, [0, 1] * 50, lang=names))
    assert row_of(found, "fr")["reason"] == "12 evaluated examples; at least 20 needed: 8 more"
    assert np.isnan(row_of(found, "fr")["accuracy"])
    assert found.tables["slices"]["n"].sum() == 97, "examples without a value are in no slice"
    figures = found.summary["slices"]["lang"]
    assert not figures["fr"].known and figures["fr"].reason.startswith("12 evaluated")
    worst = found.summary["worst_slice"]["lang"]["accuracy"]
    assert np.isnan(worst.low) and worst.high == 1.0, "the one left out may be worse"
    assert worst.beside["left_out"] == ["fr"] and "too few" in worst.reason


def test_values_that_only_other_splits_have_are_listed():
    values = pd.Categorical(["en"] * 100, ["de", "en"])
    made = replace(sliced([0, 1] * 50, [0, 1] * 50), slices={"lang": values})
    found = slices(made)
    assert row_of(found, "de")["reason"].startswith("0 evaluated examples")
    assert np.isnan(row_of(found, "en")["difference"]), "nothing is outside"
    assert not found.summary["slices"]["lang"]["en"]["difference"].known
    assert not found.summary["worst_slice"]["lang"]["accuracy"].known


def test_groups_widen_and_few_groups_say_nothing():
    labels = np.tile([0, 1], 100)
    wrong = np.zeros(200, bool)
    wrong[:40] = True  # two of ten groups of "a" are wrong throughout
    predicted, names = np.where(wrong, 1 - labels, labels), ["a"] * 200
    groups = np.repeat(np.arange(10), 20)
    alone, together = (
        row_of(slices(sliced(labels.tolist(), predicted, g, site=names)), "a")
        for g in (None, groups)
    )
    assert together["accuracy_high"] - together["accuracy_low"] > 2 * (
        alone["accuracy_high"] - alone["accuracy_low"]
    )
    few = slices(sliced(labels.tolist(), predicted, np.repeat(np.arange(10), 20),
                        site=["a"] * 80 + ["b"] * 120))  # fmt: skip
    assert row_of(few, "a")["reason"] == "4 evaluated groups; at least 5 needed: 1 more"


def test_names_are_the_users_own():
    names = ["value", "low", "high", "<b>\x1b[2J"] * 25
    made = sliced([0, 1] * 50, [0, 1] * 50, **{"a.b": names, "value": ["x", "y"] * 50})
    figures = dict(walk(to_json(slices(made).summary)))
    assert figures["slices", "a.b", "value", "accuracy"].value == 1.0
    assert figures["slices", "value", "x", "accuracy"].n == 50


def test_nothing_asked_nothing_said():
    found = slices(make_evidence([0, 1] * 20))
    assert len(found.tables["slices"]) == 0 == len(found.tables["recalls"])
    assert "--slice-columns" in found.summary["slices"].reason
