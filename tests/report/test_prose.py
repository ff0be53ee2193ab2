"""Numbers and names as the report writes them."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from synapse_audit.report.kit import prose
from synapse_audit.report.kit.figures import label
from synapse_audit.report.kit.saved import estimate, nearest
from synapse_audit.report.kit.tables import Column, table_of, text
from synapse_audit.summary import Figure


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.12345, "0.123"), (-0.5, "−0.500"), (-0.0001, "0.000"), (None, "–"), (math.inf, "∞")],
)
def test_number(value: object, shown: str) -> None:
    assert prose.number(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(0.025, "2.5%"), (1, "100%"), (math.nan, "–")])
def test_percent(value: object, shown: str) -> None:
    assert prose.percent(value) == shown


@pytest.mark.parametrize(("p", "shown"), [(0.0001, "< 0.001"), (0.04, "0.040"), (None, "–")])
def test_p_is_never_a_bare_zero(p: object, shown: str) -> None:
    assert prose.p_value(p) == shown


def test_listing() -> None:
    assert prose.listing(["a", "b", "c"]) == "a, b and c"
    assert prose.some(list("abcdefgh"), 6) == "a, b, c, d, e, f and 2 more"


def test_labels_are_cut_before_they_are_escaped() -> None:
    assert label("&" * 30, 5) == "&amp;" * 4 + "…"


def test_estimate_reads_every_form() -> None:
    tree = {"a": {"value": 1, "low": 0, "high": 2}, "b": 3, "c": None}
    assert estimate(tree, "a") == Figure(1.0, 0.0, 2.0)
    assert estimate(tree, "b").value == 3.0
    assert not estimate(tree, "c").known
    assert not estimate(tree, "d", "e").known


def test_nearest_prefers_the_smaller_of_two() -> None:
    assert nearest([0.6, 0.4], 0.5) == 0.4


def test_a_column_without_values_is_left_out() -> None:
    data = pd.DataFrame({"name": ["x"], "value": [None]})
    made = table_of("T", data, (Column("name", "name", text), Column("value", "value")))
    assert made.columns == ("name",)
    assert made.rows == (("x",),)


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((0.4867, 0.4067, 0.56), "0.49 (0.41 to 0.56)"),
        ((0.962, 0.951, 0.973), "0.962 (0.951 to 0.973)"),
        ((0.3, 0.1, 0.8), "0.3 (0.1 to 0.8)"),
        ((0.998, 0.95, 1.0), "0.998 (0.950 to 1.000)"),
        ((1.0, 0.95, 1.0), "1.00 (0.95 to 1.00)"),
        ((0.487,), "0.487"),
    ],
)
def test_no_digit_that_the_interval_does_not_carry(ends: tuple[float, ...], said: str) -> None:
    assert prose.with_interval(Figure(*ends)) == said
