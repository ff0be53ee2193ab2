import numpy as np
import pandas as pd
import pytest

from synapse_audit.effects.curves import draw_range, grid_band, random_controls, where
from synapse_audit.summary import Figure


def test_where_matches_values_and_nulls():
    table = pd.DataFrame({"ranking": ["probe", None, "iou"], "fraction": [0.1, 0.1, np.nan]})
    assert where(table, {"ranking": None}).index.tolist() == [1]
    assert where(table, {"ranking": "probe", "fraction": 0.1}).index.tolist() == [0]
    assert where(table, {"fraction": None}).index.tolist() == [2]


def test_draw_range_keeps_null_keys_apart():
    rows = pd.DataFrame({"ranking": [None] * 5 + ["iou"], "size": [1.0, 2, 3, 4, 5, 7]})
    table = draw_range(rows, ["ranking"], {"size": "d"}).set_index("ranking")
    # One draw says nothing of where another one would lie.
    assert table.loc["iou"].tolist()[:2] == [1, 7.0]
    assert table.loc["iou"][["d_low", "d_high"]].isna().all()
    # Five draws, mean 3 and variance 2.5: 3 ± 2.776 √(2.5 · 6/5), by the t table.
    half = 2.776445 * np.sqrt(3.0)
    assert table.loc[table.index.isna()].to_numpy()[0].tolist() == pytest.approx(
        [5, 3.0, 3 - half, 3 + half], abs=1e-5
    )


def test_bands_of_rates_and_drops_stay_where_such_numbers_can_lie():
    rows = pd.DataFrame({"accuracy": [0.1, 0.9], "accuracy_drop": [0.1, 0.9], "size": [0.1, 0.9]})
    table = draw_range(rows.assign(key=0), ["key"], {n: n for n in rows})
    ends = [(table[f"{n}_low"][0], table[f"{n}_high"][0]) for n in rows]
    assert ends[:2] == [(0.0, 1.0), (-1.0, 1.0)]
    assert ends[2][1] > 5


def test_a_band_holds_the_draws_themselves():
    rows = pd.DataFrame({"key": 0, "size": [0.0] * 30 + [10.0]})
    table = draw_range(rows, ["key"], {"size": "d"})
    # 10/31 ± 2.04 · 1.8 would end at 4.
    assert table["d_high"][0] == 10.0


def test_draw_range_of_nothing_has_its_columns():
    table = draw_range(pd.DataFrame({"ranking": [], "drop": []}), ["ranking"], {"drop": "d"})
    assert table.columns.tolist() == ["ranking", "draws", "d", "d_low", "d_high"]
    assert table.empty


def test_figures_are_null_where_unknown():
    assert Figure(np.inf, np.nan, 1.0).to_json() == {"value": None, "low": None, "high": 1.0}
    nothing = {"value": None, "low": None, "high": None, "reason": "why"}
    assert Figure.unknown("why").to_json() == nothing


def test_grid_band_keeps_to_values_that_occur():
    low, high = grid_band(np.array([0.1] * 50 + [0.2] * 47 + [np.inf] * 3))
    assert (low, high) == (0.1, np.inf)


def test_a_ranking_s_own_controls_go_before_the_shared_ones():
    rows = [("random", None, None), ("random", "paper", None), ("random", "paper", "a")]
    rows += [("matched", "probe", None), ("top", "probe", None)]
    table = pd.DataFrame(rows, columns=["selection", "ranking", "ranked_for"])
    assert random_controls(table, "paper").index.tolist() == [1]
    assert random_controls(table, "probe").index.tolist() == [0], (
        "matched random controls are a kind of their own"
    )
