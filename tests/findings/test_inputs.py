"""The table of attacks, its random controls as means over draws, and its figures."""

from dataclasses import replace

import numpy as np
import pytest

from synapse_audit.artifacts import Cell
from synapse_audit.findings.inputs import inputs
from synapse_audit.tables.inputs import ATTACKS

from .evidence import make_evidence

LABELS = [0, 0, 0, 0, 1, 1, 1, 1]
FGSM = Cell("input", "fgsm", "embeddings", unit="relative")
GONE = Cell("input", "deletion", "embeddings", strength=2.0, unit="tokens")


def _said(wrong: int) -> list[int]:
    return [1 - label if i < wrong else label for i, label in enumerate(LABELS)]


def _table():  # type: ignore[no-untyped-def]
    trials = [
        (replace(FGSM, strength=0.1), _said(1)),
        (replace(FGSM, strength=0.2), _said(4)),
        (replace(FGSM, strength=0.2, unit="absolute"), _said(8)),
        (replace(FGSM, operator="pgd", strength=0.2, target="b", steps=10), _said(3)),
        (replace(GONE, selection="top"), _said(2)),
        *((replace(GONE, selection="random", draw=d), _said(d)) for d in range(3)),
    ]
    return inputs(make_evidence(LABELS, trials))


def test_rows_by_hand() -> None:
    finding = _table()
    table = finding.tables["attacks"]
    assert table.columns.tolist() == ATTACKS.names
    assert table[["attack", "unit", "strength"]].astype(str).agg(" ".join, axis=1).tolist() == [
        *("deletion tokens 2.0", "deletion tokens 2.0", "fgsm absolute 0.2"),
        *("fgsm relative 0.1", "fgsm relative 0.2", "pgd relative 0.2"),
    ]
    random = table[table["selection"] == "random"].iloc[0]
    assert (random["draws"], random["drop"]) == (3, pytest.approx(1 / 8))
    # Losses of 0, 1/8 and 1/4: 1/8 ± 4.30 · 1/8 · √(4/3), by the t table with two degrees.
    half = 4.302653 / 8 * np.sqrt(4 / 3)
    assert (random["drop_low"], random["drop_high"]) == pytest.approx((1 / 8 - half, 1 / 8 + half))
    aimed = table[table["target"] == "b"].iloc[0]
    assert (aimed["redirect"], aimed["collateral"]) == pytest.approx((3 / 4, 3 / 4))
    assert table[table["target"].isna()]["redirect"].isna().all()


def test_figures() -> None:
    figures = _table().summary["inputs"]
    assert set(figures) == {"fgsm", "deletion", "deletion_random", "aimed"}
    assert figures["fgsm"]["drop"]["0.1"].value == pytest.approx(1 / 8)
    assert figures["fgsm"]["changes_half"].value == 0.2
    assert np.isnan(figures["fgsm"]["changes_half"].high)
    assert "changes half" in figures["deletion"]["changes_half"].reason
    # One attack is aimed: nothing was picked, so its interval is its own.
    aimed = _table().tables["attacks"].query("target == 'b'").iloc[0]
    found = figures["aimed"]
    assert (found.value, found.low, found.high) == pytest.approx(
        (3 / 4, aimed["redirect_low"], aimed["redirect_high"])
    )
    assert (found.beside["target"], found.beside["tried"]) == ("b", 1)


def test_no_attack_is_said() -> None:
    finding = inputs(make_evidence(LABELS))
    assert finding.tables["attacks"].empty
    assert finding.summary["inputs"]["attacks"].reason == "no attack on the input was run"
    assert not np.any(finding.tables["attacks"].columns != ATTACKS.names)
