import numpy as np
import pandas as pd
import pytest
from scipy import stats

from synapse_audit.effects import curve_tests
from synapse_audit.effects.controls import CURVE, _position, adjusted, positions

BASE = {
    "group": "removal",
    "space": "neuron",
    "operator": "mean",
    "strength": np.nan,
    "site": "block_output",
}
BASE |= {"position": "pooled", "layers": "all", "ranking": None, "ranked_for": None}
TOP = {"selection": "top", "ranking": "probe", "ranked_for": None, "draw": None}


def effects_table(rows):
    table = pd.DataFrame([BASE | row for row in rows])
    kinds = dict.fromkeys(["operator", "site", "position", "layers", "ranking"], "str")
    return table.astype(kinds | {"ranked_for": "str", "selection": "str", "draw": "Int64"})


def curve(drops, **purpose):
    """Rows at fractions .1, .3, .7."""
    points = zip((0.1, 0.3, 0.7), drops, strict=False)
    return [purpose | {"fraction": f, "accuracy_drop": d} for f, d in points]


def random_controls(draws=3, **purpose):
    """Random curves of constant drop 0.1, 0.2, 0.3, ..."""
    return [
        row
        for draw in range(draws)
        for row in curve([0.1 * (draw + 1)] * 3, selection="random", draw=draw, **purpose)
    ]


def named(tests, *columns):
    """Rows by some columns; all classes at once as the empty name."""
    return tests.fillna({"ranked_for": ""}).set_index([*columns])


def test_area_and_t_by_hand():
    tests = curve_tests(effects_table(curve([0.2, 0.4, 0.6], **TOP) + random_controls()))
    # Top: .2 · .3 + .4 · .5 = .26; random controls: .06, .12, .18.
    areas = np.array([0.20, 0.14, 0.08])
    t = 0.14 / (0.06 * np.sqrt(4 / 3))
    assert list(tests.columns) == [*CURVE, "area", "t", "df", "p_value", "p_adjusted"]
    assert tests.loc[0, "area"] == pytest.approx(areas.mean())
    assert tests.loc[0, "t"] == pytest.approx(t)
    assert tests.loc[0, "df"] == 2
    assert tests.loc[0, "p_value"] == max(2 * stats.t.sf(t, 2), 1 / 4)
    assert tests.loc[0, "p_adjusted"] == tests.loc[0, "p_value"]


def test_every_curve_is_tested_against_the_controls_of_its_own_setting():
    rows = curve([0.2, 0.2, 0.2], **TOP) + random_controls()
    rows += curve([0.9, 0.9, 0.9], **TOP, layers="2") + random_controls(layers="2", position="all")
    rows += curve([0.5, 0.5, 0.5], **(TOP | {"ranked_for": "sqli"}))
    rows += curve([0.5], **(TOP | {"ranking": "iou"})) + curve([0.5] * 3, **TOP, operator="zero")
    tests = named(curve_tests(effects_table(rows)), "ranking", "ranked_for", "layers")
    assert len(tests) == 3  # neither one fraction nor another operator
    assert tests.loc[("probe", "", "all"), "area"] == pytest.approx(0.0)
    assert tests.loc[("probe", "sqli", "all"), "area"] == pytest.approx(0.6 * 0.3)
    assert np.isnan(tests.loc[("probe", "", "2"), ["area", "t", "p_adjusted"]].tolist()).all()
    # Each is the first of its own question.
    np.testing.assert_array_equal(tests["p_adjusted"], tests["p_value"])


def test_a_ranking_with_controls_of_its_own_is_not_set_beside_the_shared_ones():
    own = {"ranking": "paper", "ranked_for": None}
    rows = curve([0.5] * 3, **TOP) + curve([0.5] * 3, **(TOP | own)) + random_controls()
    rows += random_controls(2, **own)
    # A setting of its own is on no curve.
    rows += random_controls(2, **(own | {"ranked_for": "sqli", "group": "paper_mass"}))
    rows += curve([0.5] * 3, **(TOP | own | {"ranked_for": "sqli"}))
    tests = named(curve_tests(effects_table(rows)), "ranking", "ranked_for")
    assert tests.loc[("probe", ""), "area"] == pytest.approx(0.3 * 0.6)
    assert tests.loc[("paper", ""), "area"] == pytest.approx((0.5 - 0.15) * 0.6)
    # Random controls with the counts of the global sets say nothing of a class's own sets.
    assert np.isnan(tests.loc[("paper", "sqli"), "p_value"])
    assert tests["df"].tolist() == [2, 1, 0]


def test_fractions_that_lack_a_draw_are_left_out():
    rows = curve([0.2, 0.4, 0.6], **TOP) + random_controls()[:-1]
    tests = curve_tests(effects_table(rows))
    assert tests.loc[0, "area"] == pytest.approx(0.06 - 0.04)


def test_adjusted_reaches_the_rows_of_the_curve_alone():
    rows = curve([0.2, 0.4, 0.6], **TOP) + random_controls()
    rows += curve([0.1, 0.2, 0.3], **(TOP | {"selection": "bottom"}))
    found = adjusted(effects_table(rows))
    expected = curve_tests(effects_table(rows)).loc[0, "p_adjusted"]
    np.testing.assert_allclose(found[:3], expected)
    assert np.isnan(found[3:]).all()


def test_no_curve_gives_an_empty_table():
    tests = curve_tests(effects_table(random_controls()))
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


def test_noise_that_value_and_draws_share_changes_nothing(build):
    cells = [build.cell([0, 1], selection="top", fraction=0.2)]
    cells += [build.cell([2 + i, 3 + i], selection="random", draw=i) for i in range(4)]
    drop = np.array([0.5, 0.1, 0.2, 0.3, 0.4])
    plain = positions(cells, drop)[0]
    assert positions(cells, drop, np.full(5, 0.05))[0] == pytest.approx(plain)
    # s² = .1² · 5/3; the value alone is noisy: s² + .05².
    z = positions(cells, drop, np.array([0.05, *[np.nan] * 4]))[0].z
    assert z == pytest.approx(0.25 / np.sqrt(0.05 / 3 + 0.05**2))
    # The draws alone are: s² − .05² = .85 s², on 3 · .85² = 2.2 degrees of freedom, so on two; 2.5
    # % of t lie beyond 3.182 on three and beyond 4.303 on two.
    z = positions(cells, drop, np.array([0.0, *[0.05] * 4]))[0].z
    assert z == pytest.approx(0.25 / np.sqrt(0.85 * 0.05 / 3) * 3.182446 / 4.302653)
    # However noisy the draws, half of their variance is kept, on 1 degree of freedom (12.706).
    z = positions(cells, drop, np.array([0.0, 9.0, 9.0, 9.0, 9.0]))[0].z
    assert z == pytest.approx(np.sqrt(2) * plain.z * 3.182446 / 12.706205)


def _noisy_audits(audits, top_noise, draw_noise):
    """Drops (audits, sets, fractions) of a ranking that is one more draw, then of 20 draws."""
    generator = np.random.default_rng(0)
    noise = np.array([top_noise, *[draw_noise] * 20])[:, None]
    return generator.normal(generator.normal(0.1, 0.02, (audits, 21, 3)), noise)


def _called_apart(drops, top_noise, draw_noise):
    """Share of audits in which a reader calls z beyond its 5 % limit on 19 degrees of freedom."""
    random_controls = [np.stack([d[1:, 0], np.full(20, draw_noise**2)], axis=1) for d in drops]
    tops = drops[:, 0, 0]
    z = [_position(t, top_noise**2, d).z for t, d in zip(tops, random_controls, strict=True)]
    return np.mean(np.abs(z) > 2.093 * np.sqrt(1.05))  # z = t √(1 + 1/B)


@pytest.mark.parametrize(
    ("top_noise", "draw_noise"), [(0.03, 0.03), (0.03, 0.0), (0.0, 0.01), (0.0, 0.016), (0.0, 0.02)]
)
def test_one_more_draw_stays_one_whichever_is_estimated(top_noise, draw_noise):
    drops = _noisy_audits(1000, top_noise, draw_noise)
    # 5 % and 2.3 standard errors of a thousand audits; fewer where df are cut.
    assert 0.005 < _called_apart(drops, top_noise, draw_noise) < 0.066


def test_taking_the_noise_out_of_the_draws_alone_would_make_noise_an_effect():
    drops = _noisy_audits(1000, 0.03, 0.03)
    assert _called_apart(drops, 0.0, 0.03) > 0.055 > _called_apart(drops, 0.03, 0.03)


@pytest.mark.parametrize(("top_noise", "draw_noise"), [(0.03, 0.03), (0.03, 0.0)])
def test_curves_that_are_one_more_draw_are_not_called_significant(top_noise, draw_noise):
    p = []
    for drops in _noisy_audits(60, top_noise, draw_noise):
        rows = curve(drops[0], **TOP, phase_se=top_noise)
        for b in range(20):
            rows += curve(drops[1 + b], selection="random", draw=b, phase_se=draw_noise)
        p.append(curve_tests(effects_table(rows)).loc[0, "p_value"])
    assert np.mean(np.array(p) < 0.05) <= 0.12  # two and a half standard errors above 5 %


def test_a_curve_whose_draws_alone_are_noisy_is_tested_on_fewer_degrees_of_freedom():
    """By hand: areas over .1 to .3 are .2 times the gaps, whose variance is .05 / 3.

    Noise of .08 at both ends, each weighing .1, takes 2 · .1² · .08² of .04 · .05 / 3 off: .192.
    """
    rows = curve([0.2, 0.2], **TOP)
    for b, level in enumerate((0.0, 0.1, 0.2, 0.3)):
        rows += curve([level, level], selection="random", draw=b, phase_se=0.0)
    noisy = [row | {"phase_se": 0.08 if row["selection"] == "random" else 0.0} for row in rows]
    plain, found = (curve_tests(effects_table(table)).loc[0] for table in (rows, noisy))
    assert (plain["df"], found["df"]) == (3, 1)  # 3 · .808² = 1.96, rounded down
    assert found["t"] == pytest.approx(plain["t"] * np.sqrt(1.25 / (0.808 + 0.25)))
    assert found["p_value"] == pytest.approx(2 * stats.t.sf(found["t"], 1))


def test_places_among_blurred_draws_are_unknown_where_only_their_mean_is_reported(build):
    cells = [build.cell([0, 1], selection="top", fraction=0.2)]
    cells += [build.cell([2 + i, 3 + i], selection="random", draw=i) for i in range(4)]
    drop, draws = np.array([0.5, 0.1, 0.2, 0.3, 0.4]), {cell.action for cell in cells[1:]}
    # The draws' variance is .1² · 5/3 = .0167, half of which is .0833 + .0083: noise of .09 and .1.
    clear, blurred = (np.array([np.nan, *[error] * 4]) for error in (0.09, 0.1))
    assert np.isfinite(positions(cells, drop, clear, draws)[0]).all()
    assert np.isnan(positions(cells, drop, blurred, draws)[0]).all()
    assert np.isfinite(positions(cells, drop, blurred)[0]).all()
