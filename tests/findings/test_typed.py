"""Rates of typed edits, from a table whose outcomes are written down."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synapse_audit.artifacts import Evidence
from synapse_audit.findings.typed import typed
from synapse_audit.statistics import wilson

from .evidence import make_evidence

LABELS = [0] * 20 + [1] * 60
ATTACKED = [*range(10), *range(20, 30)]
"""Half of class a and a sixth of class b."""


def _evidence() -> Evidence:
    """Appending evades 8 of class b with two words, deleting 2 of a and 8 of b; random: none."""
    won = {"append": range(20, 28), "delete": [0, 1, *range(22, 30)]}
    rows = [
        {
            "place": place, "label": LABELS[place], "attack": attack, "selection": selection,
            "evaded": hit, "size": 2.0 if hit else np.nan,
            "characters": (6.0 if attack == "append" else 4.0) if hit else np.nan,
            "queries": 2 if hit else 5, "answer": 0, "wanted": -1,
        }
        for attack, places in won.items()
        for selection in ("chosen", "random")
        for place in ATTACKED
        for hit in [selection == "chosen" and place in places]
    ]  # fmt: skip
    return replace(make_evidence(LABELS), typed=pd.DataFrame(rows))


def _row(table: pd.DataFrame, **wanted: object) -> pd.Series:
    for column, value in wanted.items():
        table = table[table[column].isna() if value is None else table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_attacked_examples_stand_for_all_of_their_class() -> None:
    attacks = typed(_evidence()).tables["attacks"]
    row = _row(attacks, attack="delete", **{"class": None})
    assert row["evaded"] == pytest.approx(0.2 * 20 / 80 + 0.8 * 60 / 80)
    assert (row["n"], row["random"]) == (20, 0.0)
    by_class = _row(attacks, attack="delete", **{"class": "b"})
    assert (by_class["evaded"], by_class["n"]) == (pytest.approx(0.8), 10)
    assert (by_class["size"], by_class["characters"], by_class["queries"]) == (2, 4, 2)
    assert by_class["excess"] == pytest.approx(0.8)
    assert by_class["excess_low"] > 0


def test_a_rate_of_none_has_wilsons_interval() -> None:
    row = _row(typed(_evidence()).tables["attacks"], attack="append", **{"class": "a"})
    assert (row["evaded"], row["evaded_low"]) == (0, 0)
    assert row["evaded_high"] == pytest.approx(float(wilson(0, 10).high))


def test_the_cheapest_edit_of_an_example_changes_fewest_characters() -> None:
    cheapest = typed(_evidence()).tables["cheapest"]
    row = _row(cheapest, **{"class": "b"})
    # 20 to 29 are all evaded by one or the other: 20 and 21 by appending alone, the rest cheaper.
    assert (row["evaded"], row["attack"], row["share"]) == (1.0, "delete", 0.8)
    assert row["characters"] == 4
    assert row["queries"] == 14  # both kinds, chosen and random: 2 + 2 + 5 + 5 for most
    whole = _row(cheapest, **{"class": None})
    assert whole["evaded"] == pytest.approx(0.2 * 20 / 80 + 1.0 * 60 / 80)


def test_a_random_edit_that_succeeds_evades_as_well() -> None:
    evidence = _evidence()
    assert evidence.typed is not None
    lucky = (evidence.typed["selection"] == "random") & (evidence.typed["place"] == 5)
    changed = evidence.typed.assign(evaded=evidence.typed["evaded"] | lucky)
    changed.loc[lucky, ["size", "characters"]] = 1.0
    row = _row(typed(replace(evidence, typed=changed)).tables["cheapest"], **{"class": "a"})
    assert row["evaded"] == pytest.approx(0.3)  # 0, 1 and 5 of ten


def test_success_by_size_is_cumulative() -> None:
    sizes = typed(_evidence()).tables["sizes"]
    assert sizes["size"].tolist() == [2.0, 2.0]
    assert _row(sizes, attack="append")["evaded"] == pytest.approx(0.8 * 60 / 80)


def test_the_worst_kind_has_an_interval_for_whichever_was_picked() -> None:
    found = typed(_evidence()).summary["typed"]
    named, worst = found["attack"]["delete"], found["worst"]
    assert worst.value == named.value
    assert worst.beside["attack"] == "delete"
    assert worst.low < named.low and worst.high > named.high
    assert worst.beside["tied"] == 1  # append: 0.6 against 0.65
    assert found["worst_class"].beside["class"] == "b"
    assert found["class"]["a"].value == pytest.approx(0.2)


def test_where_nothing_succeeds_there_is_no_worst() -> None:
    evidence = _evidence()
    assert evidence.typed is not None
    none = evidence.typed.assign(evaded=False, size=np.nan, characters=np.nan)
    found = typed(replace(evidence, typed=none)).summary["typed"]
    assert not found["worst"].known and found["any"].value == 0


def test_nobody_asked() -> None:
    found = typed(make_evidence(LABELS))
    assert not found.summary["typed"].known
    assert all(table.empty for table in found.tables.values())
