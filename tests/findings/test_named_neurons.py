"""Neurons that somebody named: figures against counts by hand."""

import numpy as np
import pytest

from synapse_audit.artifacts import Cell
from synapse_audit.findings.named_neurons import given

from .evidence import Trial, make_evidence, silence

LABELS = [0] * 10 + [1] * 10
SET, OTHER = "1:block_output:4,5", "2:mlp_output:0-3"


def _wrong(zeros: int, ones: int) -> list[int]:
    """Predictions with so many of either class wrong."""
    return [1] * zeros + [0] * (10 - zeros) + [0] * ones + [1] * (10 - ones)


def _cell(selection: str, addresses: str = SET, draw: int | None = None, **changes: str) -> Cell:
    return silence(
        selection, None, addresses=addresses, layers="1", ranking=None, ranked_for=None, draw=draw,
        **changes,
    )  # fmt: skip


def _trials() -> list[Trial]:
    return [
        (_cell("given"), _wrong(6, 0)),
        *((_cell("random", draw=d), _wrong(d, d)) for d in range(4)),
        (_cell("given", OTHER, site="mlp_output"), _wrong(0, 1)),
        (silence("random", 0.5, draw=0), _wrong(9, 9)),
        (silence("top", 0.5), _wrong(9, 9)),
    ]


def test_drop_and_random_draws() -> None:
    tables = given(make_evidence(LABELS, _trials())).tables
    row, other = tables["effects"].to_dict("records")
    assert row["neurons"] == "1:block_output:4,5"
    assert row["drop"] == pytest.approx(6 / 20)
    assert row["drop_low"] < 6 / 20 < row["drop_high"]
    # Draws lose 0, 2, 4 and 6 of 20; none of the other cells counts.
    assert row["draws"] == 4
    assert row["random_drop"] == pytest.approx(np.mean([0, 2, 4, 6]) / 20)
    # 3 ± 3.18 · 2.58 · √(5/4) of 20, by the t table with three degrees.
    half = 3.182446 * np.std([0, 2, 4, 6], ddof=1) * np.sqrt(5 / 4)
    ends = (row["random_low"], row["random_high"])
    assert ends == pytest.approx(((3 - half) / 20, (3 + half) / 20))
    assert other["neurons"] == "2:mlp_output:0-3"
    assert np.isnan(other["random_drop"])


def test_the_place_among_random_draws_is_that_of_sets_of_the_same_size() -> None:
    # One neuron in layer 1 each, so that every random set of the operator is a random control.
    trials = [(_cell("given"), _wrong(5, 0))]
    trials += [(_cell("random", draw=d), _wrong(d, d)) for d in range(4)]
    (row,) = given(make_evidence(LABELS, trials)).tables["effects"].to_dict("records")
    # 5 of 20 lost: of the draws 0, 2, 4, 6 one costs at least as much.
    assert row["p_random"] == pytest.approx((1 + 1) / (4 + 1))


def test_recall_lost_per_class() -> None:
    classes = given(make_evidence(LABELS, _trials())).tables["classes"]
    mine = classes[classes["neurons"] == "1:block_output:4,5"].set_index("class")
    assert mine["recall_drop"].to_dict() == pytest.approx({"a": 0.6, "b": 0.0})
    assert mine["random_drop"].to_dict() == pytest.approx({"a": 0.15, "b": 0.15})
    assert mine["support"].to_dict() == {"a": 10, "b": 10}


def test_figures_and_the_reason_where_there_are_none() -> None:
    figures = given(make_evidence(LABELS, _trials())).summary["given"]
    assert figures["block_output"]["mean"]["drop"].value == pytest.approx(0.3)
    assert not figures["mlp_output"]["mean"]["random"].known
    nothing = given(make_evidence(LABELS))
    assert nothing.summary["given"].reason == "no neurons were named"
    assert all(not len(table) for table in nothing.tables.values())
