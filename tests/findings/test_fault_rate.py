"""The rate of random faults, from cells whose predictions are written down."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from synapse_audit.artifacts import Cell, Evidence, HeadEdit
from synapse_audit.findings.fault_rate import SHARES, fault_rate

from .evidence import make_evidence

LABELS = [0] * 50 + [1] * 50


def _fault(part: str, kind: str, draw: int, bit: int) -> Cell:
    edit = HeadEdit(np.full((2, 2), 1.0 + draw + 100 * bit), np.zeros(2))
    return Cell(
        "weight", "random_fault", "block_weight", selection="random", part=part, bit_kind=kind,
        draw=draw, bit=bit, weight=f"w[{draw}]", edit=edit, group="fault",
    )  # fmt: skip


def _changed(n: int) -> list[int]:
    """Predictions of which ``n`` are no longer the clean ones."""
    return [1 - label if i < n else label for i, label in enumerate(LABELS)]


def _evidence() -> Evidence:
    """Top bits: 0, 3 and 60 of 100 predictions change; the mantissa: none; one fault is no cell."""
    changes = {("mlp", "exponent_msb", 30): (0, 3, 60), ("mlp", "mantissa", 4): (0, 0, 0)}
    trials = [
        (_fault(part, kind, draw, bit), _changed(n))
        for (part, kind, bit), counts in changes.items()
        for draw, n in enumerate(counts)
    ]
    planned = pd.DataFrame({
        "part": ["mlp", "mlp"], "bit_kind": ["exponent_msb", "mantissa"], "bits": [4, 92],
        "faults": [3, 4], "places": [1, 23],
    })  # fmt: skip
    evidence = make_evidence(LABELS, trials)
    return replace(evidence, strata=planned)


def _row(table: pd.DataFrame, **wanted: object) -> pd.Series:
    for column, value in wanted.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_a_fault_breaks_where_it_changes_more_than_the_share() -> None:
    strata = fault_rate(_evidence()).tables["strata"]
    for share, broken in zip(SHARES, (2, 2, 1, 1), strict=True):
        row = _row(strata, bit_kind="exponent_msb", share=share)
        assert (row["faults"], row["broken"]) == (3, broken)
    row = _row(strata, bit_kind="exponent_msb", share=0.05)
    assert (row["rate"], row["low"], row["high"]) == (1 / 3, 1 / 4, 2 / 4)  # 3 of 4 bits seen


def test_a_share_that_is_just_reached_is_not_exceeded() -> None:
    trials = [(_fault("mlp", "sign", 0, 31), _changed(5))]
    planned = pd.DataFrame(
        {"part": ["mlp"], "bit_kind": ["sign"], "bits": [9], "faults": [1], "places": [1]}
    )
    evidence = replace(make_evidence(LABELS, trials), strata=planned)
    strata = fault_rate(evidence).tables["strata"]
    assert [_row(strata, share=share)["broken"] for share in SHARES] == [1, 1, 0, 0]


def test_a_fault_that_left_its_number_as_it_was_counts_as_drawn() -> None:
    row = _row(fault_rate(_evidence()).tables["strata"], bit_kind="mantissa", share=0.0)
    assert (row["faults"], row["broken"], row["rate"]) == (4, 0, 0.0)


def test_all_bits_together_weigh_by_their_number() -> None:
    found = fault_rate(_evidence())
    row = _row(found.tables["totals"], over="all", share=0.01)
    assert row["rate"] == pytest.approx(4 / 96 * 2 / 3)
    assert (row["faults"], row["broken"], row["bits"]) == (7, 2, 96)
    figure = found.summary["fault_rate"]["all"]["0.01"]
    assert (figure.value, figure.n) == (row["rate"], 7)
    part = found.summary["fault_rate"]["part"]["mlp"]["0.01"]
    assert (part.value, part.low, part.high) == (figure.value, figure.low, figure.high)
    alone = found.summary["fault_rate"]["bit_kind"]["mantissa"]["0"]
    assert alone.high == pytest.approx(stats.chi2.ppf(0.975, 2) / 2 / 4)


def test_places_of_a_bit_have_their_own_population() -> None:
    row = _row(fault_rate(_evidence()).tables["places"], bit=4, share=0.0)
    assert (row["bits"], row["faults"], row["broken"]) == (4, 3, 0)  # 92 bits at 23 places
    assert row["high"] == 1 / 4


def test_logits_that_are_no_numbers_break_whatever_is_predicted() -> None:
    evidence = _evidence()
    margin = evidence.outcomes.margin.copy()
    action = evidence.cells("fault").query("bit_kind == 'mantissa'")["action"].iloc[0]
    margin[evidence.outcomes.row[action], 7] = 1e30
    broken = replace(evidence, outcomes=replace(evidence.outcomes, margin=margin))
    rows = fault_rate(broken).tables["strata"].query("bit_kind == 'mantissa'")
    assert rows["broken"].tolist() == [1] * len(SHARES)
    assert rows["no_numbers"].tolist() == [1] * len(SHARES)


def test_without_faults_there_is_no_rate() -> None:
    found = fault_rate(make_evidence(LABELS))
    assert not found.summary["fault_rate"].known
    assert all(table.empty for table in found.tables.values())
