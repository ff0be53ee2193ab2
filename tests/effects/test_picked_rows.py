"""The picked row's interval against the correction worked out by hand."""

import math

import pandas as pd
import pytest
from scipy import stats

from synapse_audit.effects.picked_rows import PickedBy, picked_figure

ROWS = pd.DataFrame({
    "target": ["a", "b", "a"],
    "size": [1.0, 2.0, None],
    "rate": [0.2, 0.5, 0.4],
    "rate_low": [0.1, 0.4, 0.2],
    "rate_high": [0.3, 0.7, 0.5],
})  # fmt: skip
GROWN = stats.norm.ppf(1 - 0.025 / 3) / stats.norm.ppf(0.975)


def test_the_largest_with_an_interval_for_all_three() -> None:
    found = picked_figure(ROWS, PickedBy("rate", least=0.0), tied="target", beside=("size",))
    assert found.value == 0.5
    assert (found.low, found.high) == pytest.approx((0.5 - 0.1 * GROWN, 0.5 + 0.2 * GROWN))
    # .4 lies within √(.15² + .15²) · GROWN of .5, and .2 at .3 does not within √(.15² + .1²).
    assert found.beside == {"size": 2.0, "tied": ["a", "b"], "tried": 3}


def test_the_smallest_is_widened_the_same_way() -> None:
    found = picked_figure(ROWS, PickedBy("rate", least=0.0, smallest=True), tied="target")
    assert (found.value, found.low, found.high) == pytest.approx(
        (0.2, 0.2 - 0.1 * GROWN, 0.2 + 0.1 * GROWN)
    )


def test_ends_stay_within_what_is_possible() -> None:
    wide = ROWS.assign(rate_low=-2.0, rate_high=3.0)
    found = picked_figure(wide, PickedBy("rate", least=0.0), tied="target")
    assert (found.low, found.high) == (0.0, 1.0)
    found = picked_figure(wide, PickedBy("rate", least=0.0, smallest=True), tied="target")
    assert (found.low, found.high) == (0.0, 1.0)


def test_rows_without_a_value_are_passed_over() -> None:
    found = picked_figure(ROWS.assign(rate=math.nan), PickedBy("rate"), tied="target")
    assert not found.known
    assert found.reason == "none was run"
    one = picked_figure(ROWS.head(1), PickedBy("rate"), tied="target", beside=("size",))
    assert (one.low, one.high) == pytest.approx((0.1, 0.3))


def test_no_row_is_named_where_none_is_shown_to_be_above_0() -> None:
    rows = pd.DataFrame({"layer": [2, 10], "d": [0.1, 0.3], "d_low": [0.0, 0.2], "d_high": 0.4})
    sure = PickedBy("d", if_not_above_0="none is shown to cost anything")
    found = picked_figure(rows, sure, tied="layer", beside=("layer",))
    # Numbers stay numbers, in their own order.
    assert found.known and found.beside == {"layer": 10, "tied": [2, 10], "tried": 2}
    doubt = picked_figure(rows.assign(d_low=-0.1), sure, tied="layer")
    assert not doubt.known and doubt.reason == "none is shown to cost anything"
    assert doubt.beside == {"largest": 0.3}
