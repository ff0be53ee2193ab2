import pytest

from synapse_audit.findings.redundancy.constants import constants_list, constants_table
from synapse_audit.tables.redundancy import CONSTANTS

from .evidence import Trial, make_evidence, silence

LABELS = [0] * 200 + [1] * 200


def candidate(layer: int, neuron: int, *, zero: int, mean: int) -> list[Trial]:
    """One neuron silenced alone, with so many errors by zero and by mean."""
    address = {"layers": str(layer), "addresses": f"{layer}:block_output:{neuron}", "ranking": None}
    return [
        (
            silence("constant", None, operator=operator, ranked_for=None, **address),
            [1] * errors + [0] * (200 - errors) + [1] * 200,
        )
        for operator, errors in (("zero", zero), ("mean", mean))
    ]


def test_only_what_zero_hurts_and_mean_does_not_is_load_bearing():
    trials = [
        *candidate(1, 3, zero=80, mean=0),
        *candidate(1, 1, zero=80, mean=40),  # carries information
        *candidate(0, 2, zero=2, mean=0),  # a drop of 0.005: nothing hurts
        *candidate(0, 0, zero=120, mean=1),
    ]
    table = constants_table(make_evidence(LABELS, trials))
    assert table.columns.tolist() == CONSTANTS.names
    assert table[["layer", "neuron"]].to_numpy().tolist() == [[0, 0], [0, 2], [1, 1], [1, 3]]
    assert table["site"].unique().tolist() == ["block_output"]
    assert table["address"].tolist()[1:3] == ["0:block_output:2", "1:block_output:1"]
    assert table["load_bearing"].tolist() == [True, False, False, True]
    assert table["mean"].tolist() == [0.0, 2.0, 1.0, 3.0]
    assert table["spread"].tolist() == [10.0, 12.0, 11.0, 13.0]
    assert table["zero_drop"].tolist() == pytest.approx([0.3, 0.005, 0.2, 0.2])


def test_listed_worst_first():
    trials = candidate(1, 3, zero=80, mean=0) + candidate(0, 0, zero=120, mean=1)
    found = constants_list(constants_table(make_evidence(LABELS, trials)))
    assert [(one["layer"], one["neuron"]) for one in found] == [(0, 0), (1, 3)]
    assert found[1]["address"] == "1:block_output:3" and found[1]["site"] == "block_output"
    assert found[0]["zero_drop"].value == pytest.approx(0.3)
    assert found[0]["mean_drop"].bounded


def test_no_candidates_no_rows():
    table = constants_table(make_evidence(LABELS))
    assert table.columns.tolist() == CONSTANTS.names
    assert constants_list(table) == []
