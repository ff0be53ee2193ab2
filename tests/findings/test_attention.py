"""Attention heads: tables by hand, and no head is named by luck."""

import numpy as np
import pandas as pd
import pytest

from synapse_audit.artifacts import Cell
from synapse_audit.findings.attention import attention
from synapse_audit.neurons import NeuronSet

from .evidence import make_evidence, silence

LABELS = [0] * 10 + [1] * 10
HALF = [0] * 10 + [0] * 5 + [1] * 5
SITE = {"site": "attention_head"}


def head(layer: int, number: int) -> Cell:
    """One head of 4 neurons."""
    start = 4 * number
    return silence(
        "each",
        None,
        **SITE,
        layers=str(layer),
        ranking=None,
        addresses=f"{layer}:attention_head:{start}-{start + 3}",
        neurons=NeuronSet.of({layer: range(start, start + 4)}),
    )


def test_every_head_has_its_number_and_stands_beside_its_layer() -> None:
    trials = [(head(1, 0), LABELS), (head(1, 1), HALF), (head(2, 0), LABELS), (head(2, 1), LABELS)]
    tables = attention(make_evidence(LABELS, trials)).tables
    rows = tables["heads"][["layer", "head", "drop", "layer_drop"]].to_numpy().tolist()
    assert rows == [[1, 0, 0.0, 0.125], [1, 1, 0.25, 0.125], [2, 0, 0.0, 0.0], [2, 1, 0.0, 0.0]]
    classes = tables["classes"].set_index(["layer", "head", "class"])["recall_drop"]
    assert classes.loc[(1, 1, "b")] == 0.5 and classes.loc[(1, 1, "a")] == 0.0


def test_a_head_is_named_only_where_no_other_comes_near() -> None:
    labels = [0, 1] * 100
    lost = [1 - y if i < 80 else y for i, y in enumerate(labels)]
    trials = [(head(m, h), lost if (m, h) == (2, 1) else labels) for m in (1, 2) for h in range(4)]
    figure = attention(make_evidence(labels, trials)).summary["attention"]["costliest"]
    assert figure["head"] == "2:1" and figure["drop"].beside == {"tried": 8, "tied": ["2:1"]}
    few = [(head(1, h), HALF if h == 1 else LABELS) for h in range(4)]
    figure = attention(make_evidence(LABELS, few)).summary["attention"]["costliest"]
    assert figure["head"] is None, "5 of 20 name no head"
    assert figure["drop"].value == 0.25


def sets_that_do_nothing() -> pd.DataFrame:
    trials = [(head(1, 0), LABELS), (silence("top", 0.5, **SITE), LABELS)]
    trials += [(silence("random", 0.5, draw=d, **SITE), LABELS) for d in range(3)]
    return attention(make_evidence(LABELS, trials)).tables["sets"]


def test_sets_stand_beside_as_many_random_heads() -> None:
    four = NeuronSet.of({1: range(8)})
    own = [1] * 5 + [0] * 5 + [1] * 10
    trials = [
        (head(1, 0), LABELS),
        (silence("top", 0.5, **SITE, ranking="probeless", neurons=four), HALF),
        *(
            (silence("random", 0.5, draw=d, **SITE), said)
            for d, said in enumerate((LABELS, HALF, LABELS))
        ),
        (silence("top", 0.5, **SITE, ranking="probeless", ranked_for="a"), own),
    ]
    finding = attention(make_evidence(LABELS, trials))
    table = finding.tables["sets"]
    row = table[table["ranked_for"].isna()].iloc[0]
    assert row["heads"] == 2 and row["draws"] == 3
    assert row["drop"] == pytest.approx(0.25)
    assert row["random_drop"] == pytest.approx(0.25 / 3)
    assert row["excess"] == pytest.approx(0.25 - 0.25 / 3)
    assert row["excess_low"] <= 0.0, "one draw costs as much"
    same = sets_that_do_nothing().iloc[0]
    # One example lost and one won of 20: 1.96 √2 / 22, where nothing was seen to differ.
    assert (same["excess"], same["excess_high"]) == (0.0, pytest.approx(1.959964 * 2**0.5 / 22))
    of_a = table[table["ranked_for"] == "a"].iloc[0]
    assert of_a["recall_drop"] == pytest.approx(0.5)
    assert of_a["random_recall_drop"] == 0.0
    figures = finding.summary["attention"]["sets"]["mean"]
    assert figures["drop"].beside == {"fraction": 0.5, "heads": 2}


def test_without_such_cells_the_reason_is_given() -> None:
    figures = attention(make_evidence(LABELS)).summary["attention"]
    assert "no attention head" in figures["costliest"].reason
    assert "no set" in figures["sets"].reason
    assert np.isnan(figures["sets"].value)
