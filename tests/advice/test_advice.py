"""Rules fire where a finding is shown, and stay silent under the null."""

import json

import numpy as np
import pandas as pd
import pytest
from findings.evidence import make_evidence, silence
from numpy.testing import assert_allclose

from synapse_audit.advice import RULES, Saved, advise, as_summary, as_table
from synapse_audit.findings.asymmetry import asymmetry
from synapse_audit.statistics import wilson
from synapse_audit.summary import Figure, to_json


def _figure(value: float, low: float, high: float, **beside: object) -> dict[str, object]:
    return {"value": value, "low": low, "high": high, **beside}


BUDGETS = pd.DataFrame(
    [
        ("weight", "a", 0.2, 0.4, 0.3, 0.5),  # not half
        ("weight", "a", 0.4, 0.8, 0.7, 0.9),
        ("universal", "a", 0.3, 0.6, 0.55, 0.7),  # the smallest that is enough
        ("weight", "b", 0.5, 0.52, 0.48, 0.6),  # the lower end is below half
        ("weight", "c", 0.7, 0.9, 0.8, 1.0),  # not small
        ("bias", "c", 0.1, 0.9, 0.8, 1.0),  # no edit of rows
        ("random", "b", 0.1, 0.9, 0.8, 1.0),  # a control
    ],
    columns=["space", "target", "budget", "redirect_rate", "redirect_low", "redirect_high"],
)
MARGINS = pd.DataFrame(
    {"target": ["a"] * 3, "constant": [1.0, 2.0, 3.0], "redirect_rate": [0.1, 0.6, 0.9]}
)
MEDIANS = pd.DataFrame({"target": ["a"], "median_margin": [1.7]})
EVALUATION = pd.DataFrame(
    {
        "kind": ["head edit", "neurons to zero", "one bit flip"],
        "setting": ["universal, 0.3 of the norm", "50%", "exponent"],
        "host": [0.7, 0.4, 0.9],
        "host_low": [0.6, 0.3, 0.8],
        "host_high": [0.8, 0.5, 1.0],
        "hardened": [0.1, 0.4, 0.9],
        "hardened_low": [0.05, 0.3, 0.8],
        "hardened_high": [0.2, 0.5, 1.0],
        "ranges": [0.7, 0.6, 0.9],
        "canaries": [np.nan, np.nan, 0.5],
        "canaries_low": [np.nan, np.nan, 0.3],
        "canaries_high": [np.nan, np.nan, 0.7],
    }
)


def _head(guard: pd.DataFrame | None = None) -> Saved:
    tables = {"vulnerability": {"budgets": BUDGETS, "margins": MARGINS, "constants": MEDIANS}}
    return Saved({}, tables, guard=guard)


def test_a_head_edit_names_its_rows_and_the_missing_margin() -> None:
    (found,) = advise(_head())
    assert found.rule == "head_edit"
    assert found.about == ("a",)
    assert "30% of the norm in all rows" in found.finding
    assert "2.0 logits where the median margin is 1.7" in found.finding
    assert not found.gain.after.known
    assert "not measured" in found.gain.reason


def test_a_gain_is_what_the_guard_measured() -> None:
    (found,) = advise(_head(EVALUATION))
    assert (found.gain.before.value, found.gain.after.value) == (0.7, 0.1)
    assert (found.gain.after.low, found.gain.after.high) == (0.05, 0.2)
    table = as_table([found])
    assert_allclose(table[["before", "after", "after_high"]].iloc[0], [0.7, 0.1, 0.2])
    json.dumps(as_summary([found]), allow_nan=False)


def test_a_guard_that_did_not_measure_it_leaves_it_unmeasured() -> None:
    (found,) = advise(_head(EVALUATION.iloc[1:]))
    assert not found.gain.before.known


def test_behind_a_guard_no_guard_is_recommended() -> None:
    tables = {"vulnerability": {"budgets": BUDGETS}}
    tables |= {"redundancy": {"constants": CONSTANTS}}
    (found,) = advise(Saved({}, tables, guard=EVALUATION, guarded=True))
    assert found.rule == "head_edit"
    assert "guard RUN" not in found.advice + found.gain.reason
    assert not found.gain.after.known


CONSTANTS = pd.DataFrame(
    {
        "address": ["3:7", "2:1", "1:4", "1:5"],
        "zero_drop": [0.3, 0.05, 0.2, 0.0],
        "zero_low": [0.2, 0.005, 0.1, -0.1],
        "zero_high": [0.4, 0.095, 0.3, 0.1],
        "load_bearing": pd.array([True, True, False, None], dtype="boolean"),
    }
)


def test_constants_are_clamped() -> None:
    """2:1 is one only by an interval of its own, and 1:4 not by what its mean costs."""
    tables = {"redundancy": {"constants": CONSTANTS}}
    (found,) = advise(Saved({}, tables, guard=EVALUATION))
    assert (found.rule, found.about) == ("constants", ("3:7",))
    # z of 1 − .025 / 4 is 2.498, and 0.1 · 2.498 / 1.960 = 0.127.
    assert "costs 0.300 of accuracy (0.173 to 0.427" in found.finding
    assert (found.gain.before.value, found.gain.after.value) == (0.4, 0.6)


HALVING = pd.DataFrame(
    {
        "format": ["fp32", "fp32", "int8"],
        "kind": ["any", "any", "any"],
        "part": ["head", "mlp", "head"],
        "layer": [np.nan, 2.0, np.nan],
        "selection": ["searched", "random", "searched"],
        "bits": [2.0, 1.0, np.nan],
    }
)
FLIPS = pd.DataFrame(
    {
        "format": "fp32",
        "kind": "any",
        "part": "head",
        "layer": pd.array([None] * 3, dtype="Int64"),
        "selection": "searched",
        "target": [None, None, None],
        "step": [1, 2, 3],
        "weight": ["classifier.weight", "classifier.weight", "classifier.other"],
    }
)


def test_only_tensors_of_the_bits_that_were_enough_are_named() -> None:
    (found,) = advise(Saved({}, {"faults": {"halving": HALVING}}, FLIPS, EVALUATION))
    assert found.rule == "bits"
    assert found.about == ("classifier.weight",)  # the third flip was not needed
    assert (found.gain.before.value, found.gain.after.value) == (0.0, 0.5)


@pytest.mark.parametrize(
    "summary",
    [
        {},
        # A gap that may be none, and one that all classes share.
        {"classes": ["a", "b"], "asymmetry": {"gap": _figure(0.2, -0.1, 0.5),
                                              "most_fragile": {"value": "a"}}},
        {"classes": ["a", "b"], "asymmetry": {"gap": _figure(0.2, 0.1, 0.5),
                                              "most_fragile": {"value": None, "tied": ["a", "b"]}}},
        # A layer whose loss may be within two points.
        {"redundancy": {"costliest_layer": _figure(0.1, 0.015, 0.2, layer=4, fraction=0.5)}},
    ],
)  # fmt: skip
def test_what_is_not_shown_recommends_nothing(summary: dict[str, object]) -> None:
    assert advise(Saved(summary, {})) == []


def test_shown_layers_and_classes_are_named() -> None:
    fragility = pd.DataFrame({"class": ["a", "b"], "support": [30, 30], "mean_drop": [0.5, 0.1]})
    summary = {
        "classes": ["a", "b"],
        "asymmetry": {"gap": _figure(0.4, 0.2, 0.6, between=["a", "b"]),
                      "most_fragile": {"value": "a"}},
        "redundancy": {"costliest_layer": _figure(0.1, 0.05, 0.2, layer=4, fraction=0.5)},
    }  # fmt: skip
    found = advise(Saved(summary, {"asymmetry": {"fragility": fragility}}))
    assert [one.rule for one in found] == ["fragile_class", "costly_layer"]
    assert "“a” 0.500 on 30 examples" in found[0].finding
    assert found[1].about == ("layer 4",)
    assert all("not measured" in one.gain.reason for one in found)


def _null_run(seed: int) -> Saved:
    """Classes that are equally fragile: every cell makes the same share of each class wrong.

    Outcomes are drawn as an audit stores them, independent of the class.
    """
    generator = np.random.default_rng(seed)
    labels = np.repeat([0, 1, 2], 25)
    trials = []
    for fraction in (0.1, 0.25, 0.5):
        for selection, draws in (("top", [None]), ("random", [0, 1])):
            for draw in draws:
                wrong = generator.random(75) < fraction
                predicted = np.where(wrong, (labels + generator.integers(1, 3, 75)) % 3, labels)
                trials.append((silence(selection, fraction, draw=draw), predicted.tolist()))
    evidence = make_evidence(labels.tolist(), trials)
    findings = [asymmetry(evidence)]
    summary = {"classes": list(evidence.classes)}
    for finding in findings:
        summary |= to_json(finding.summary)
    return Saved(summary, {finding.name: finding.tables for finding in findings})


def test_no_class_is_called_fragile_where_all_are_alike() -> None:
    fired = sum("fragile_class" in [one.rule for one in advise(_null_run(s))] for s in range(12))
    # 5 % of 12 are 0.6; 4 or more happen in fewer than 0.3 % of trials at that rate.
    assert fired <= 3


TYPED = pd.DataFrame(
    {
        "attack": ["append", "zero_width", "append", "case"],
        "class": [None, "a", "a", "b"],
        "n": 60,
        "evaded": [0.9, 0.8, 0.95, 0.55],
        "evaded_low": [0.8, 0.7, 0.9, 0.45],
        "evaded_high": [0.95, 0.9, 0.99, 0.65],
        "size": [2.0, 1.0, 2.0, 1.0],
    }
)


def test_classes_that_typed_edits_evade_are_named_with_the_remedy_of_their_kind() -> None:
    (found,) = advise(Saved({}, {"typed": {"attacks": TYPED}}))
    assert (found.rule, found.about) == ("typed_text", ("a",))  # of all classes: no class; b: half
    assert "append on “a” (0.950 of 60" in found.finding
    assert "zero-width" in found.advice and "Train with such edits" in found.advice
    only = TYPED[TYPED["attack"] == "zero_width"]
    (found,) = advise(Saved({}, {"typed": {"attacks": only}}))
    assert "Train" not in found.advice


NO_GAIN_OF_HEAD = (0.95, 0.9, 0.98)


def _behind_guard(
    silent: tuple[float, float, float], guarded: tuple[float, float, float] = NO_GAIN_OF_HEAD
) -> Saved:
    """Some kind evades on .96 of the examples without it (.9 to .99)."""
    kinds, classes = ["append", "any", "any"], [None, "a", None]
    rows = pd.DataFrame({"attack": kinds, "class": classes, "evaded": [0.7, 0.5, 0.96]})
    rows = rows.assign(evaded_low=0.9, evaded_high=0.99)
    for name, figures in (("silent", silent), ("guarded", guarded)):
        columns = (name, f"{name}_low", f"{name}_high")
        rows = rows.assign(**dict(zip(columns, figures, strict=True)))
    return Saved({}, {"typed": {"attacks": TYPED}, "guard": {"typed": rows}})


def test_alarms_are_recommended_only_where_they_are_shown_to_stop_typed_edits() -> None:
    (found,) = advise(_behind_guard((0.6, 0.5, 0.89)))
    assert "Review texts that raise an alarm" in found.advice
    assert (found.gain.before, found.gain.after) == (
        Figure(0.95, 0.9, 0.98),
        Figure(0.6, 0.5, 0.89),
    )
    assert "anges and head" not in found.advice
    (found,) = advise(_behind_guard((0.85, 0.8, 0.91)))
    assert (
        "not shown to stop such edits: some kind evades on 0.960 without the guard, on 0.950 "
        "behind it, and on 0.850 without an alarm." in found.advice
    )
    assert not found.gain.after.known and "Review" not in found.advice
    (found,) = advise(_behind_guard((float("nan"),) * 3))
    assert "guard" not in found.advice


def test_what_ranges_and_head_stop_is_not_put_down_to_alarms() -> None:
    """Where no edited text raises an alarm, silent is what evades behind the guard."""
    (found,) = advise(_behind_guard((0.6, 0.5, 0.7), guarded=(0.6, 0.5, 0.7)))
    assert "Review" not in found.advice and not found.gain.after.known
    assert (
        "Ranges and head of the guard that was measured stop some typed edits: some kind evades "
        "on 0.600 behind them, on 0.960 without. The alarms of the guard that was measured are not "
        "shown to stop such edits" in found.advice
    )
    (found,) = advise(_behind_guard((0.2, 0.1, 0.3), guarded=(0.6, 0.5, 0.7)))  # both
    assert "Review texts that raise an alarm" in found.advice and "stop some" in found.advice
    assert found.gain.before == Figure(0.6, 0.5, 0.7)
    (found,) = advise(_behind_guard((0.91, 0.88, 0.94), guarded=(0.98, 0.96, 1.0)))  # head harms
    assert "Review" not in found.advice


def test_a_hardened_head_that_does_harm_is_not_recommended() -> None:
    worse = pd.DataFrame(
        {
            "kind": "head edit",
            "setting": ["universal, 0.3 of the norm", "push, 1 of the norm"],
            "host": [0.7, 0.6],
            "host_low": [0.6, 0.5],
            "host_high": [0.8, 0.7],
            "hardened": [0.1, 0.9],
            "hardened_low": [0.05, 0.85],
            "hardened_high": [0.2, 0.95],
        }
    )
    (found,) = advise(_head(worse))
    assert "not recommended: an edit (push, 1 of the norm) redirects 0.900 behind it and 0.600" in (
        found.advice
    )
    (found,) = advise(_head(worse.iloc[:1]))
    assert "Serve the head hardened" in found.advice


# ---- the null of each rule -----------------------------------------------------------------------


def _wilson(rate: float, n: int, rows: int, seed: int) -> np.ndarray:
    """Value, low and high of shares whose true value is ``rate``."""
    hits = np.random.default_rng(seed).binomial(n, rate, rows)
    ends = wilson(hits.astype(float), np.full(rows, float(n)))
    return np.stack([hits / n, ends.low, ends.high], axis=1)


def _fires(rule: str, saved: Saved) -> bool:
    return RULES[rule](saved) is not None


def test_no_head_edit_is_shown_where_none_redirects_half() -> None:
    """40 edits that each redirect exactly half: 5 % of 100 audits are 5; 11 have p < 2 %."""
    places = [(space, f"t{t}", b) for space in ("weight", "universal") for t in range(5)
              for b in (0.1, 0.2, 0.3, 0.5)]  # fmt: skip
    base = pd.DataFrame(places, columns=["space", "target", "budget"])
    names = ["redirect_rate", "redirect_low", "redirect_high"]
    fired = 0
    for seed in range(100):
        found = base.assign(**dict(zip(names, _wilson(0.5, 240, 40, seed).T, strict=True)))
        fired += _fires("head_edit", Saved({}, {"vulnerability": {"budgets": found}}))
    assert fired <= 10


def test_no_class_is_evaded_where_typed_edits_evade_half() -> None:
    base = pd.DataFrame({"attack": ["append", "case"] * 10, "class": [f"c{i}" for i in range(20)]})
    names = ["evaded", "evaded_low", "evaded_high"]
    fired = 0
    for seed in range(100):
        found = base.assign(n=60, size=1.0, **dict(zip(names, _wilson(0.5, 60, 20, seed).T,
                                                       strict=True)))  # fmt: skip
        fired += _fires("typed_text", Saved({}, {"typed": {"attacks": found}}))
    assert fired <= 10


def test_every_rule_has_words_for_the_cover() -> None:
    from synapse_audit.report.cover.advised import SHORT

    assert set(SHORT) == set(RULES)
