import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import precision_recall_fscore_support

from synapse_audit import memory
from synapse_audit.artifacts import HeadEdit
from synapse_audit.effects import curve_tests
from synapse_audit.errors import DataError

LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
CLEAN_ = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 0])
AFTER_ = np.array([0, 2, 2, 2, 1, 2, 2, 2, 2, 2])

CONTRACT = """
cell group space operator strength site position layers ranking ranked_for selection fraction k draw
source target parameter setting addresses used part format bit_kind unit steps weight bit
budget_l2 budget_linf n_changed n accuracy accuracy_low accuracy_high
accuracy_drop accuracy_drop_low accuracy_drop_high macro_f1 macro_f1_low macro_f1_high
weighted_f1 weighted_f1_low weighted_f1_high flip_rate flip_rate_low flip_rate_high
redirect_rate redirect_rate_low redirect_rate_high collateral collateral_low collateral_high
mean_kl p_value p_adjusted z_random p_random route n_exact direct_drop action phase_se
tier half_width
"""

CLASS_CONTRACT = """
cell class support recall recall_low recall_high precision f1 recall_drop
"""


def head_cell(build, target, **purpose):
    edit = HeadEdit(np.array([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]]), np.zeros(3))
    fixed = {"space": "weight", "operator": "push", "site": "head_weight", "edit": edit}
    fixed |= {"position": None, "layers": None, "neurons": None}
    return build.cell([], **(fixed | {"target": target} | purpose))


def test_columns_are_those_of_the_contract_in_order(build):
    run = build.run([build.cell([0])], [AFTER_], LABELS, CLEAN_)
    assert list(run.effects.columns) == CONTRACT.split()
    assert list(run.class_effects.columns) == CLASS_CONTRACT.split()


def test_a_plan_without_cells_gives_empty_tables(build):
    run = build.run([], np.empty((0, 10)), LABELS, CLEAN_)
    assert list(run.effects.columns) == CONTRACT.split()
    assert list(run.class_effects.columns) == CLASS_CONTRACT.split()
    assert len(run.effects) == len(run.class_effects) == 0


def test_no_example_is_refused(build):
    empty = np.array([], dtype=np.int64)
    with pytest.raises(DataError, match="0 examples given"):
        build.run([build.cell([0])], np.empty((1, 0)), empty, empty)


def test_rows_describe_their_cells_and_leave_the_rest_null(build):
    neuron = build.cell([0, 1], selection="top", fraction=0.5, ranking="probe")
    weight = head_cell(build, "c", fraction=0.25, strength=0.1)
    run = build.run([neuron, weight], [AFTER_, AFTER_], LABELS, CLEAN_)
    first, second = (row for _, row in run.effects.iterrows())
    assert first["cell"] == neuron.key
    assert (first["k"], first["n"], first["n_exact"], first["route"]) == (2, 10, 10, "full")
    assert first[["strength", "draw", "target", "budget_l2", "n_changed"]].isna().all()
    assert first[["redirect_rate", "collateral_low", "direct_drop"]].isna().all()
    assert (second["budget_l2"], second["budget_linf"], second["n_changed"]) == (5.0, 4.0, 2)
    assert second["redirect_rate"] == pytest.approx(5 / 7)
    assert second[["k", "position", "layers", "z_random", "p_random"]].isna().all()


def test_cells_that_share_an_action_share_its_outcome_but_not_their_aim(build):
    plain = head_cell(build, "c")
    sourced = head_cell(build, "c", source="a")
    run = build.run([plain, sourced], [AFTER_], LABELS, CLEAN_)
    assert run.effects["accuracy"].tolist() == [0.5, 0.5]
    assert run.effects["redirect_rate"].tolist() == pytest.approx([5 / 7, 3 / 4])
    assert run.effects["cell"].nunique() == 2


def test_p_value_is_mcnemar_against_clean(build):
    run = build.run([build.cell([0])], [AFTER_], LABELS, CLEAN_)
    lost, won = 3, 1  # examples 1, 2, 5 lost; 9 won
    assert run.effects["p_value"][0] == pytest.approx(stats.binomtest(lost, lost + won).pvalue)


def test_class_effects_match_scikit_learn(build):
    weights = np.arange(1.0, 11.0)
    run = build.run([build.cell([0])], [AFTER_], LABELS, CLEAN_, weights=weights)
    after, before = (
        precision_recall_fscore_support(LABELS, predicted, sample_weight=weights)
        for predicted in (AFTER_, CLEAN_)
    )
    table = run.class_effects
    assert table["class"].tolist() == ["a", "b", "c"]
    assert table["support"].tolist() == [4, 3, 3]
    np.testing.assert_allclose(table["precision"], after[0])
    np.testing.assert_allclose(table["recall"], after[1])
    np.testing.assert_allclose(table["f1"], after[2])
    np.testing.assert_allclose(table["recall_drop"], before[1] - after[1])
    assert (table["recall_low"] <= table["recall"]).all()
    assert (table["recall"] <= table["recall_high"]).all()


def test_a_class_absent_from_the_data_is_null(build):
    options = {"classes": ("a", "b", "c", "d")}
    run = build.run([build.cell([0])], [AFTER_], LABELS, CLEAN_, **options)
    last = run.class_effects.iloc[3]
    assert last["support"] == 0
    assert last[["recall", "recall_low", "precision", "f1", "recall_drop"]].isna().all()
    assert run.effects["macro_f1"][0] == pytest.approx((0.4 + 0.5 + 6 / 11) / 3)


def swept(build, **options):
    """Top and three random curves over two fractions; predictions drawn at random."""
    cells = []
    for size in (1, 2):
        where = {"fraction": size / 10}
        aim = {"ranking": "probe", "ranked_for": None}
        cells.append(build.cell(range(size), selection="top", **aim, **where))
        for draw in range(3):
            ids = range(3 + draw * 2, 3 + draw * 2 + size)
            cells.append(build.cell(ids, selection="random", draw=draw, **where))
    predicted = np.random.default_rng(0).integers(0, 3, (len(cells), 10))
    return build.run(cells, predicted, LABELS, CLEAN_, **options).effects


def test_controls_and_tests_reach_the_table(build):
    effects = swept(build)
    tops = effects[effects["selection"] == "top"]
    expected = curve_tests(effects)["p_adjusted"][0]
    assert tops["p_adjusted"].tolist() == [expected, expected]
    assert tops["p_random"].notna().all()
    rest = effects[effects["selection"] == "random"]
    assert rest[["p_adjusted", "p_random", "z_random"]].isna().all(axis=None)


def test_without_tests_there_is_no_adjusted_p(build):
    effects = swept(build, tests=False)
    assert effects["p_adjusted"].isna().all()
    assert effects["p_value"].notna().all()


def test_chunks_do_not_show(build, monkeypatch):
    whole = swept(build)
    monkeypatch.setattr(memory, "NUMBERS", 3000)
    # float32 products may be summed in another order
    pd.testing.assert_frame_equal(swept(build), whole, rtol=1e-5)


def test_measuring_twice_gives_identical_tables(build):
    pd.testing.assert_frame_equal(swept(build), swept(build), check_exact=True)


def test_null_strength_survives_the_join(build):
    noise = [
        build.cell([i], operator="noise", strength=1.0, selection="top", fraction=i / 10)
        for i in (1, 2)
    ]
    effects = build.run(noise, [AFTER_, CLEAN_], LABELS, CLEAN_).effects
    assert effects["strength"].tolist() == [1.0, 1.0]
    assert effects["p_adjusted"].isna().all()  # only mean curves are tested
