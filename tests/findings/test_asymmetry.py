from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm, t
from sklearn.metrics import recall_score

from synapse_audit.findings.asymmetry import asymmetry, interaction
from synapse_audit.summary import Choice
from synapse_audit.tables.asymmetry import CURVES, FRAGILITY, MATRIX

from .evidence import GRID, Trial, make_evidence, silence

LABELS = np.repeat([0, 1, 2], 20)
CLASSES = ("a", "b", "c")
RIGHT = LABELS.tolist()


def killed(index: int) -> list[int]:
    """One class gone, all others as they were."""
    return np.where(index == LABELS, (index + 1) % 3, LABELS).tolist()


def random_controls(answers, fraction: float = 0.5, **changes) -> list[Trial]:
    return [(silence("random", fraction, draw=d, **changes), a) for d, a in enumerate(answers)]


def owned(answers, fraction: float = 0.5, **changes) -> list[Trial]:
    pairs = zip(CLASSES, answers, strict=True)
    return [(silence("top", fraction, ranked_for=name, **changes), a) for name, a in pairs]


def matrix(table, column: str) -> np.ndarray:
    return table.pivot(index="ranked_for", columns="class", values=column).to_numpy()


def test_own_neurons_that_hold_one_class_each():
    trials = owned([killed(i) for i in range(3)]) + random_controls([RIGHT, RIGHT])
    table = asymmetry(make_evidence(RIGHT, trials)).tables["matrix"]
    assert table.columns.tolist() == MATRIX.names
    assert matrix(table, "value") == pytest.approx(np.eye(3))
    assert matrix(table, "specificity") == pytest.approx(np.eye(3) - 1 / 3)
    # Nothing varies between the draws: no test can be made.
    assert table["p_value"].isna().all()


def test_specificity_of_an_additive_matrix_is_zero():
    rows, columns = np.array([0.1, 0.5, 0.9]), np.array([0.0, 0.2, 0.3, 0.7])
    assert interaction(rows[:, None] + columns) == pytest.approx(np.zeros((3, 4)), abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(arrays(np.float64, (3, 4), elements=st.floats(-1, 1)))
def test_interaction_has_no_row_or_column_left(values):
    rest = interaction(values)
    assert rest.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-12)
    assert rest.mean(axis=1) == pytest.approx(np.zeros(3), abs=1e-12)


def test_interaction_passes_over_an_absent_class():
    values = np.array([[0.0, 1.0, np.nan], [0.0, 3.0, np.nan]])
    rest = interaction(values)
    assert rest[:, :2] == pytest.approx(interaction(values[:, :2]))
    assert np.isnan(rest[:, 2]).all()


def test_the_same_sets_for_every_class_are_not_specific():
    trials = owned([killed(1)] * 3) + random_controls([RIGHT])
    table = asymmetry(make_evidence(RIGHT, trials)).tables["matrix"]
    assert matrix(table, "value") == pytest.approx(np.tile([0.0, 1.0, 0.0], (3, 1)))
    assert table["specificity"].to_numpy() == pytest.approx(np.zeros(9), abs=1e-12)


def test_sets_like_their_controls_have_no_effect():
    generator = np.random.default_rng(1)
    broken = [np.where(generator.random(60) < 0.3, 0, LABELS).tolist() for _ in range(23)]
    table = asymmetry(make_evidence(RIGHT, owned(broken[:3]) + random_controls(broken[3:]))).tables[
        "matrix"
    ]
    assert (table["low"] <= 0).all() and (table["high"] >= 0).all()
    same = asymmetry(
        make_evidence(RIGHT, owned([killed(0)] * 3) + random_controls([killed(0)] * 4))
    )
    assert same.tables["matrix"]["value"].to_numpy() == pytest.approx(np.zeros(9))
    # All examples of 20 behaved the same; the interval still holds what was not seen.
    ends = same.tables["matrix"]["high"]
    assert ends.to_numpy() == pytest.approx(np.full(9, norm.ppf(0.975) * np.sqrt(2) / 22))


def test_values_and_intervals_against_scikit_learn():
    generator = np.random.default_rng(2)
    sets, random = generator.integers(0, 3, (3, 60)), generator.integers(0, 3, (4, 60))
    weights = generator.uniform(0.5, 2.0, 60)
    trials = owned(sets.tolist()) + random_controls(random.tolist())
    evidence = make_evidence(RIGHT, trials, weights=weights, resamples=40)
    table = asymmetry(evidence).tables["matrix"]

    def expected(w):
        drop = [1 - recall_score(LABELS, p, sample_weight=w, average=None) for p in sets]
        base = [1 - recall_score(LABELS, p, sample_weight=w, average=None) for p in random]
        return np.array(drop) - np.mean(base, axis=0)

    assert matrix(table, "value") == pytest.approx(expected(weights))
    samples = np.array([expected(drawn) for drawn in evidence.resampled.T])
    drawn = np.array([recall_score(LABELS, p, sample_weight=weights, average=None) for p in random])
    unseen = 2 / 22**2
    examples, draws = samples.var(axis=0, ddof=1) + unseen, drawn.var(axis=0, ddof=1) * (1 + 1 / 4)
    half = _t_half(examples, draws)
    assert matrix(table, "low") == pytest.approx(expected(weights) - half, rel=1e-4)
    special = np.array([interaction(one) for one in samples])
    own = drawn - drawn.mean(axis=1, keepdims=True)
    spread = own.var(axis=0, ddof=1) * (1 - 1 / len(sets))
    half = _t_half(special.var(axis=0, ddof=1) + unseen, spread)
    high = interaction(expected(weights)) + half
    assert matrix(table, "specificity_high") == pytest.approx(high, rel=1e-4)
    inside = matrix(table, "specificity_low") * matrix(table, "specificity_high") < 0
    assert ((matrix(table, "p_value") > 0.05) == inside).all()
    assert (table["p_adjusted"] >= table["p_value"]).all()


def _t_half(examples: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Half width by Welch and Satterthwaite, four draws."""
    df = (examples + draws) ** 2 / (draws**2 / 3)
    return t.ppf(0.975, df) * np.sqrt(examples + draws)


def test_matrix_takes_the_fraction_closest_to_a_half_for_both_operators():
    trials = []
    for operator in ("zero", "mean"):
        for fraction in (0.1, 0.4, 0.8):
            answers = [killed(i) if fraction == 0.4 else RIGHT for i in range(3)]
            trials += owned(answers, fraction, operator=operator)
            trials += random_controls([RIGHT], fraction, operator=operator)
    found = asymmetry(make_evidence(RIGHT, trials))
    table = found.tables["matrix"]
    assert table["fraction"].unique().tolist() == [0.4]
    assert table["operator"].tolist() == ["mean"] * 9 + ["zero"] * 9
    assert table["value"].sum() == pytest.approx(6.0)
    assert found.summary["asymmetry"]["fraction"].value == 0.4


def test_matrix_needs_controls_and_reports_no_p_without_tests():
    alone = asymmetry(make_evidence(RIGHT, owned([killed(0)] * 3)))
    assert alone.tables["matrix"].empty
    quick = GRID.model_copy(update={"tests": False})
    generator = np.random.default_rng(3)
    trials = owned(generator.integers(0, 3, (3, 60)).tolist()) + random_controls([RIGHT])
    table = asymmetry(make_evidence(RIGHT, trials, grid=quick)).tables["matrix"]
    assert table[["p_value", "p_adjusted"]].isna().all(axis=None)


def test_a_class_without_examples_is_left_out():
    trials = owned([killed(0)] * 3) + random_controls([RIGHT]) + [(silence("top", 0.5), RIGHT)]
    tables = asymmetry(make_evidence(RIGHT, trials, n_classes=4)).tables
    assert set(tables["matrix"]["class"]) == set(CLASSES)
    assert tables["fragility"]["class"].tolist() == list(CLASSES)
    assert set(tables["curves"]["class"]) == set(CLASSES)


def gone(first: int, second: int, third: int) -> list[int]:
    """So many mistakes in each class of 20."""
    answers = LABELS.copy()
    for index, n in enumerate((first, second, third)):
        answers[20 * index : 20 * index + n] = (index + 1) % 3
    return answers.tolist()


def test_fragility_averages_over_the_curve():
    trials = [
        (silence("top", 0.5), gone(20, 4, 0)),
        (silence("top", 0.1), gone(10, 0, 0)),
        (silence("top", 0.8), gone(20, 11, 0)),
    ]
    found = asymmetry(make_evidence(RIGHT, trials))
    table = found.tables["fragility"].set_index("class")
    assert [table.index.name, *table.columns] == FRAGILITY.names
    assert table["mean_drop"].tolist() == pytest.approx([50 / 60, 15 / 60, 0.0])
    assert table["half_fraction"].tolist() == pytest.approx([0.5, 0.8, np.nan], nan_ok=True)
    assert table["support"].tolist() == [20, 20, 20]
    assert table["recall"].tolist() == [1.0, 1.0, 1.0]
    assert (table["mean_drop_low"] <= table["mean_drop"]).all()
    summary = found.summary["asymmetry"]
    assert summary["most_fragile"] == Choice("a", 1.0)
    # b lost 15 of 60 and c nothing: 20 examples each do not tell them apart.
    assert not summary["least_fragile"].known
    assert summary["least_fragile"].beside["tied"] == ["b", "c"]
    assert summary["gap"].value == pytest.approx(50 / 60)
    assert summary["gap"].beside == {"between": ["a", "c"], "collapses_to": None}
    assert 0 < summary["gap"].low < 50 / 60 < summary["gap"].high


def test_classes_that_lost_nothing_are_all_listed():
    trials = [(silence("top", 0.5), gone(0, 0, 0)), (silence("top", 0.1), gone(0, 0, 0))]
    summary = asymmetry(make_evidence(RIGHT, trials)).summary["asymmetry"]
    for end in ("most_fragile", "least_fragile"):
        assert summary[end].beside["tied"] == list(CLASSES)
        assert summary[end].reason == "indistinguishable: a, b, c"
    assert summary["gap"].low < 0 < summary["gap"].high


def test_the_class_a_collapsed_model_answers_does_not_hold_longest():
    # At .8 everything is called c: c keeps its recall because nothing else is said.
    trials = [(silence("top", 0.1), gone(10, 2, 0)), (silence("top", 0.8), [2] * 60)]
    summary = asymmetry(make_evidence(RIGHT, trials)).summary["asymmetry"]
    assert summary["least_fragile"].beside["tied"] == ["a", "b"]
    assert summary["gap"].beside == {"between": ["a", "b"], "collapses_to": "c"}


def test_small_classes_are_not_named():
    labels = [0] * 4 + [1] * 30 + [2] * 30
    answers = [1] * 4 + [1] * 30 + [1] * 10 + [2] * 20
    summary = asymmetry(make_evidence(labels, [(silence("top", 0.5), answers)])).summary
    assert summary["asymmetry"]["most_fragile"].value == "c"
    assert summary["asymmetry"]["gap"].beside["between"] == ["c", "b"]
    assert summary["asymmetry"]["gap"].value == pytest.approx(1 / 3)
    few = make_evidence([0] * 4 + [1] * 30, [(silence("top", 0.5), [1] * 34)])
    assert not asymmetry(few).summary["asymmetry"]["gap"].known


def test_recall_curves_beside_the_range_of_draws():
    trials = [(silence("top", 0.5), gone(10, 0, 5)), (silence("top", 0.1), RIGHT)]
    trials += random_controls([gone(0, 0, 0), gone(4, 0, 0)])
    table = asymmetry(make_evidence(RIGHT, trials)).tables["curves"]
    assert table.columns.tolist() == CURVES.names
    assert table["class"].tolist() == ["a", "a", "b", "b", "c", "c"]
    assert table["recall"].tolist() == [1.0, 0.5, 1.0, 1.0, 1.0, 0.75]
    row = table.iloc[1]
    assert row["recall_low"] < 0.5 < row["recall_high"]
    assert row["random_recall"] == pytest.approx(0.9)
    assert (row["random_low"], row["random_high"]) == (0.0, 1.0), "two draws say little"
    assert np.isnan(table.iloc[0]["random_recall"])


def test_resamples_without_a_class_are_passed_over():
    generator = np.random.default_rng(6)
    trials = owned(generator.integers(0, 3, (3, 60)).tolist()) + random_controls([RIGHT, killed(2)])
    trials += [(silence("top", 0.5), killed(1))]
    evidence = make_evidence(RIGHT, trials)
    resampled = evidence.resampled.copy()
    resampled[LABELS == 2, ::2] = 0
    found = asymmetry(replace(evidence, resampled=resampled))
    full = asymmetry(replace(evidence, resampled=evidence.resampled[:, 1::2]))
    mine, other = (one.tables["matrix"].query("`class` == 'c'") for one in (found, full))
    assert mine[["low", "high"]].to_numpy() == pytest.approx(other[["low", "high"]].to_numpy())
    assert found.tables["matrix"]["p_value"].notna().all()
    assert found.summary["asymmetry"]["gap"].bounded
