import numpy as np
import pandas as pd
import pytest
from scipy import stats

from synapse_audit.metrics import curve_tests
from synapse_audit.metrics.controls import CURVE, adjusted, positions

BASE = {"space": "neuron", "operator": "mean", "strength": np.nan, "site": "block_output"}
BASE |= {"position": "pooled", "layers": "all", "ranking": None, "ranked_for": None}
TOP = {"selection": "top", "ranking": "probe", "ranked_for": "global", "draw": None}


def effects_table(rows):
    table = pd.DataFrame([BASE | row for row in rows])
    kinds = dict.fromkeys(["operator", "site", "position", "layers", "ranking"], "str")
    return table.astype(kinds | {"ranked_for": "str", "selection": "str", "draw": "Int64"})


def curve(drops, **purpose):
    """Rows at fractions .1, .3, .7."""
    points = zip((0.1, 0.3, 0.7), drops, strict=False)
    return [purpose | {"fraction": f, "accuracy_drop": d} for f, d in points]


def twins(draws=3, **purpose):
    """Random curves of constant drop 0.1, 0.2, 0.3, ..."""
    return [
        row
        for draw in range(draws)
        for row in curve([0.1 * (draw + 1)] * 3, selection="random", draw=draw, **purpose)
    ]


def test_area_and_t_by_hand():
    tests = curve_tests(effects_table(curve([0.2, 0.4, 0.6], **TOP) + twins()))
    # Top: .2 · .3 + .4 · .5 = .26; twins: .06, .12, .18.
    areas = np.array([0.20, 0.14, 0.08])
    t = 0.14 / (0.06 * np.sqrt(4 / 3))
    assert list(tests.columns) == [*CURVE, "area", "t", "df", "p_value", "p_adjusted"]
    assert tests.loc[0, "area"] == pytest.approx(areas.mean())
    assert tests.loc[0, "t"] == pytest.approx(t)
    assert tests.loc[0, "df"] == 2
    assert tests.loc[0, "p_value"] == pytest.approx(2 * stats.t.sf(t, 2))
    assert tests.loc[0, "p_adjusted"] == tests.loc[0, "p_value"]


def test_every_curve_is_tested_against_the_twins_of_its_own_setting():
    rows = curve([0.2, 0.2, 0.2], **TOP) + twins()
    rows += curve([0.9, 0.9, 0.9], **TOP, layers="2") + twins(layers="2", position="all")
    rows += curve([0.5, 0.5, 0.5], **(TOP | {"ranked_for": "sqli"}))
    rows += curve([0.5], **(TOP | {"ranking": "iou"})) + curve([0.5] * 3, **TOP, operator="zero")
    tests = curve_tests(effects_table(rows)).set_index(["ranking", "ranked_for", "layers"])
    assert len(tests) == 3  # neither one fraction nor another operator
    assert tests.loc[("probe", "global", "all"), "area"] == pytest.approx(0.0)
    assert tests.loc[("probe", "sqli", "all"), "area"] == pytest.approx(0.6 * 0.3)
    assert np.isnan(tests.loc[("probe", "global", "2"), ["area", "t", "p_adjusted"]].tolist()).all()
    known = tests["p_value"].dropna().to_numpy()
    expected = stats.false_discovery_control(known, method="by")
    np.testing.assert_allclose(tests["p_adjusted"].dropna(), expected)


def test_fractions_that_lack_a_draw_are_left_out():
    rows = curve([0.2, 0.4, 0.6], **TOP) + twins()[:-1]
    tests = curve_tests(effects_table(rows))
    assert tests.loc[0, "area"] == pytest.approx(0.06 - 0.04)


def test_adjusted_reaches_the_rows_of_the_curve_alone():
    rows = curve([0.2, 0.4, 0.6], **TOP) + twins()
    rows += curve([0.1, 0.2, 0.3], **(TOP | {"selection": "bottom"}))
    found = adjusted(effects_table(rows))
    expected = curve_tests(effects_table(rows)).loc[0, "p_adjusted"]
    np.testing.assert_allclose(found[:3], expected)
    assert np.isnan(found[3:]).all()


def test_no_curve_gives_an_empty_table():
    tests = curve_tests(effects_table(twins()))
    assert len(tests) == 0
    assert list(tests.columns) == [*CURVE, "area", "t", "df", "p_value", "p_adjusted"]


def test_positions_among_sets_of_the_same_size(build):
    cells = [
        build.cell([0, 1], selection="top", fraction=0.2),
        build.cell([0, 1], selection="exclusive", fraction=0.5),
        build.cell([0, 1, 2], selection="top", fraction=0.3),
        build.cell([0, 1], selection="top", fraction=0.2, operator="zero"),
        build.cell([2, 3], selection="random", draw=0, fraction=0.2),
        build.cell([4, 5], selection="random", draw=1, fraction=0.2),
        build.cell([4, 5], selection="random", draw=1, fraction=0.21),
        build.cell([6, 7], selection="keep_random", draw=0, fraction=0.8),
        build.cell([0, 1], selection="keep_top", fraction=0.8),
    ]
    drop = np.array([0.5, 0.2, 0.5, 0.5, 0.1, 0.3, 0.3, 0.9, 0.4])
    z, p = np.array(positions(cells, drop)).T
    np.testing.assert_allclose(p[[0, 1, 8]], [1 / 3, 2 / 3, 1.0])
    np.testing.assert_allclose(z[[0, 1]], [0.3 / np.sqrt(0.02), 0.0], atol=1e-12)
    assert np.isnan(p[2:8]).all()
