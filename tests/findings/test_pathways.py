import numpy as np
import pytest

from synapse_audit.findings.pathways import (
    ALL_DIRECT,
    ALL_EXACT,
    pathways,
)
from synapse_audit.statistics import bonett_price
from synapse_audit.tables.pathways import OPERATORS, SPLIT

from .evidence import make_evidence, silence

LABELS = [0] * 200 + [1] * 200
HALF = [i % 2 == 0 for i in range(400)]


def wrong(n: int, first: int = 0) -> list[int]:
    """The right answers but for n mistakes in each class, from its ``first`` example on."""
    return [1 - y if first <= i % 200 < first + n else y for i, y in enumerate(LABELS)]


def split_of(*runs, known=HALF, **changes):
    """Evidence of top cells, each (exact predictions, stream predictions)."""
    fractions = np.linspace(0.1, 0.5, len(runs))
    trials = [
        (silence("top", f, **changes), run[0]) for f, run in zip(fractions, runs, strict=True)
    ]
    return make_evidence(LABELS, trials, stream=[(run[1], known) for run in runs])


def test_the_parts_sum_to_the_whole():
    evidence = split_of((wrong(40), wrong(20)), (wrong(10, 5), wrong(60)), (wrong(0), wrong(8)))
    table = pathways(evidence).tables["split"]
    assert table.columns.tolist() == SPLIT.names
    whole = evidence.effects["accuracy_drop"].to_numpy()
    assert table["drop"].to_numpy() == pytest.approx(whole)
    assert (table["direct_drop"] + table["indirect_drop"]).to_numpy() == pytest.approx(
        whole, abs=1e-12
    )


def test_known_parts_when_every_example_is_exact():
    # 40 of 200 wrong in each class, 20 of them along the pooled row alone.
    table = pathways(split_of((wrong(40), wrong(20)), known=[True] * 400)).tables["split"]
    row = table.to_dict("records")[0]
    assert (row["drop"], row["direct_drop"], row["indirect_drop"]) == pytest.approx((0.2, 0.1, 0.1))
    # A binomial share of 0.1 in 400: standard error 0.015.
    assert row["indirect_low"] == pytest.approx(0.1 - 1.96 * 0.015, abs=0.01)
    assert row["indirect_high"] == pytest.approx(0.1 + 1.96 * 0.015, abs=0.01)
    assert row["disagreement"] == pytest.approx(0.1)
    assert row["n_exact"] == 400


def test_repair_by_other_tokens_is_negative():
    row = pathways(split_of((wrong(10), wrong(50)))).tables["split"].iloc[0]
    assert row["indirect_drop"] == pytest.approx(-0.2)
    assert row["indirect_high"] < 0


def test_agreement_still_has_an_interval():
    """400 examples without a difference, and the error of .005 that the pilot lets expect."""
    row = pathways(split_of((wrong(30), wrong(30)))).tables["split"].iloc[0]
    assert row["indirect_drop"] == pytest.approx(0.0)
    half = np.hypot(bonett_price(0, 0, 400).high, 1.96 * 0.005)
    assert (row["indirect_low"], row["indirect_high"]) == pytest.approx((-half, half), abs=1e-6)
    assert row["disagreement"] == 0


def test_few_differences_take_the_closed_form():
    # Example 30 of each class: exact (even, so counted twice) and lost by the exact route alone.
    row = pathways(split_of((wrong(31), wrong(30)))).tables["split"].iloc[0]
    assert row["disagreement"] == pytest.approx(4 / 400)
    closed, more = bonett_price(4, 0, 400), 1.96 * 0.005
    low, high = (np.hypot(end - 0.01, more) for end in (closed.low, closed.high))
    assert row["indirect_low"] == pytest.approx(row["indirect_drop"] - low, abs=1e-6)
    assert row["indirect_high"] == pytest.approx(row["indirect_drop"] + high, abs=1e-6)


@pytest.mark.parametrize("times", [12, pytest.param(40, marks=pytest.mark.proof)])
def test_interval_covers_the_whole_sample(times):
    """Over random subsamples the interval holds the part that exact runs would have shown."""
    generator = np.random.default_rng(0)
    direct = np.where(generator.random(400) < 0.2, 1 - np.array(LABELS), LABELS)
    exact = np.where(generator.random(400) < 0.15, 1 - direct, direct)
    true = float(((direct == LABELS).mean()) - (exact == LABELS).mean())
    held = []
    for _ in range(times):
        known = (generator.permutation(400) < 100).tolist()
        row = pathways(split_of((exact.tolist(), direct.tolist()), known=known)).tables["split"]
        held.append(bool(row["indirect_low"][0] <= true <= row["indirect_high"][0]))
    assert np.mean(held) >= 0.9


def test_draws_share_a_row():
    trials = [(silence("random", 0.5, draw=d), wrong(n)) for d, n in enumerate((10, 30))]
    stream = [(wrong(10), HALF), (wrong(10), [True] * 400)]
    row = pathways(make_evidence(LABELS, trials, stream=stream)).tables["split"].iloc[0]
    assert row["draws"] == 2
    assert row["n_exact"] == 200
    assert row["indirect_drop"] == pytest.approx(0.05)
    assert (row["indirect_low"], row["indirect_high"]) == (-1.0, 1.0), "two draws say little"
    assert row["direct_drop"] == pytest.approx(0.05)
    assert row["disagreement"] == pytest.approx(0.05)


def test_draws_of_other_sites_targets_and_settings_are_rows_of_their_own():
    half = {"selection": "random", "fraction": 0.5}
    trials = [
        (silence(**half, draw=d, **changes), wrong(n))
        for changes, n in (
            ({}, 10),
            ({"site": "mlp_output"}, 30),
            ({"setting": "drawn over all blocks"}, 50),
            ({"operator": "translate", "target": "a"}, 20),
            ({"operator": "translate", "target": "b"}, 40),
        )
        for d in range(2)
    ]
    evidence = make_evidence(LABELS, trials, stream=[(wrong(0), [True] * 400)] * len(trials))
    table = pathways(evidence).tables["split"].set_index(["operator", "site", "target", "setting"])
    assert table["draws"].tolist() == [2] * 5
    drops = {tuple(x for x in key if isinstance(x, str)): row for key, row in
             zip(table.index, table["drop"], strict=True)}  # fmt: skip
    assert drops == {
        ("mean", "block_output"): pytest.approx(10 / 200),
        ("mean", "mlp_output"): pytest.approx(30 / 200),
        ("mean", "block_output", "drawn over all blocks"): pytest.approx(50 / 200),
        ("translate", "block_output", "a"): pytest.approx(20 / 200),
        ("translate", "block_output", "b"): pytest.approx(40 / 200),
    }


def test_the_headline_is_of_block_outputs_alone():
    trials = [(silence("top", 0.5), wrong(20)), (silence("top", 0.5, site="mlp_output"), wrong(90))]
    evidence = make_evidence(LABELS, trials, stream=[(wrong(20), [True] * 400)] * 2)
    largest = pathways(evidence).summary["pathways"]["mean"]["largest_indirect"]
    assert largest.value == pytest.approx(0.0)
    assert largest.beside["tried"] == 1


def test_operators_are_compared_over_distinct_cells():
    top = silence("top", 0.5)
    trials = [(top, wrong(40)), (silence("top", 0.1), wrong(10))]
    evidence = make_evidence(
        LABELS, trials, stream=[(wrong(20), [True] * 400), (wrong(10), [True] * 400)]
    )
    table = pathways(evidence).tables["operators"]
    assert table.columns.tolist() == OPERATORS.names
    assert table.to_dict("records") == [
        {
            "operator": "mean",
            "cells": 2,
            "n_exact": 400.0,
            "median_disagreement": pytest.approx(0.05),
            "max_disagreement": pytest.approx(0.1),
            "notable_share": 0.5,
        }
    ]


def test_figures_name_the_largest_part():
    evidence = split_of((wrong(20), wrong(20)), (wrong(30), wrong(60)), known=[True] * 400)
    figures = pathways(evidence).summary["pathways"]
    largest = figures["mean"]["largest_indirect"]
    assert largest.value == pytest.approx(-0.15)
    assert largest.low < -0.15 < largest.high
    assert (largest.beside["fraction"], largest.beside["n_exact"]) == (0.5, 400)
    assert figures["mean"]["largest_disagreement"].value == pytest.approx(0.15)
    assert "not run on this operator" in figures["zero"]["largest_indirect"].reason


def test_an_exact_run_is_empty_and_says_why():
    found = pathways(make_evidence(LABELS, [(silence("top", 0.5), wrong(20))]))
    assert found.tables["split"].empty
    assert found.tables["split"].columns.tolist() == SPLIT.names
    assert found.tables["operators"].columns.tolist() == OPERATORS.names
    assert found.summary["pathways"]["mean"]["largest_indirect"].reason == ALL_EXACT


def test_a_model_whose_pooled_row_is_always_exact_says_so():
    evidence = make_evidence(LABELS, [(silence("top", 0.5), wrong(20))])
    evidence.effects["route"] = "stream"
    figure = pathways(evidence).summary["pathways"]["mean"]["largest_indirect"]
    assert figure.reason == ALL_DIRECT


def test_cells_at_the_last_layers_and_at_every_token_are_left_out():
    trials = [(silence("top", 0.5), wrong(20)), (silence("top", 0.5, position="all"), wrong(9))]
    evidence = make_evidence(LABELS, trials, stream=[(wrong(10), HALF)] * 2)
    assert len(pathways(evidence).tables["split"]) == 1
