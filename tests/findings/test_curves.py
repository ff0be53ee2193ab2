import numpy as np
import pandas as pd
import pytest

from synapse_audit.effects.curves import (
    draw_range,
    figure,
    grid_band,
    half_points,
    plateaus,
    random_controls,
    unknown,
    where,
)

GRID = np.array([0.1, 0.2, 0.5, 0.8])


def test_half_point_interpolates_between_grid_points():
    accuracies = np.array([[1.0, 1.0, 0.8, 0.6], [0.5, 0.5, 0.5, 0.5], [1.0, 1.0, 1.0, 0.9]])
    found = half_points(GRID, accuracies, np.ones(3), np.full(3, 0.5))
    # 0.75 lies a quarter of the way from 0.8 (at 0.5) to 0.6 (at 0.8); half-way to the first
    # point; never.
    assert found == pytest.approx([0.575, 0.05, np.inf])


def test_half_point_on_a_grid_point_and_after_a_recovery():
    accuracies = np.array([[0.9, 0.75, 0.9, 0.5]])
    assert half_points(GRID, accuracies, np.ones(1), np.full(1, 0.5)) == pytest.approx([0.2])


def test_half_point_without_distance_is_zero():
    assert half_points(GRID, np.full((1, 4), 0.5), np.full(1, 0.5), np.full(1, 0.5)) == [0.0]


def test_plateau_ends_at_the_first_failure():
    held = np.array([[1, 1, 1, 1], [1, 1, 0, 1], [0, 1, 1, 1]], dtype=bool)
    assert plateaus(GRID, held).tolist() == [0.8, 0.2, 0.0]


def test_where_matches_values_and_nulls():
    table = pd.DataFrame({"ranking": ["probe", None, "iou"], "fraction": [0.1, 0.1, np.nan]})
    assert where(table, {"ranking": None}).index.tolist() == [1]
    assert where(table, {"ranking": "probe", "fraction": 0.1}).index.tolist() == [0]
    assert where(table, {"fraction": None}).index.tolist() == [2]


def test_draw_range_keeps_null_keys_apart():
    rows = pd.DataFrame({"ranking": [None] * 41 + ["iou"], "drop": [*range(41), 7.0]})
    table = draw_range(rows, ["ranking"], {"drop": "d"}).set_index("ranking")
    assert table.loc["iou"].tolist() == [1, 7.0, 7.0, 7.0]
    # 41 equally spaced draws: the 2.5 % and 97.5 % quantiles are the second and the last but one.
    assert table.loc[table.index.isna()].to_numpy().tolist() == [[41, 20.0, 1.0, 39.0]]


def test_draw_range_of_nothing_has_its_columns():
    table = draw_range(pd.DataFrame({"ranking": [], "drop": []}), ["ranking"], {"drop": "d"})
    assert table.columns.tolist() == ["ranking", "draws", "d", "d_low", "d_high"]
    assert table.empty


def test_figures_are_null_where_unknown():
    assert figure(np.inf, np.nan, 1.0).to_json() == {"value": None, "low": None, "high": 1.0}
    nothing = {"value": None, "low": None, "high": None, "reason": "why"}
    assert unknown("why").to_json() == nothing


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
