import numpy as np
import pandas as pd
import pytest

from synapse_audit.findings.redundancy.redundancy import (
    MOST_SETS,
    disjoint_sets,
    half_point,
    plateau,
    redundancy,
    sufficient_k,
)
from synapse_audit.probes.sufficiency import MAX_SETS
from synapse_audit.summary import Figure
from synapse_audit.tables.redundancy import LAYERS_ALONE, POSITIONS, REMOVAL, SUFFICIENT, TESTS

from .evidence import GRID, make_evidence, silence

LABELS = [0] * 200 + [1] * 200


def curve(errors: dict[float, int], selection: str = "top", **changes):
    return [(silence(selection, f, **changes), _answers(n)) for f, n in errors.items()]


def _answers(n: int) -> list[int]:
    """The right answers but for n mistakes, spread evenly over both classes."""
    first, second = n // 2, n - n // 2
    return [1] * first + [0] * (200 - first) + [0] * second + [1] * (200 - second)


def probes(rows) -> pd.DataFrame:
    columns = ["selection", "draw", "k", "fraction", "select_accuracy", "accuracy"]
    table = pd.DataFrame(rows, columns=columns).assign(ranking="probe")
    # As good as all neurons: .85 on evaluate, .90 on select.
    table = table.assign(sufficient=table.select_accuracy >= 0.89, holds=table.accuracy >= 0.84)
    table = table.assign(fewest_low=10, fewest_high=50)
    return table.assign(accuracy_low=table.accuracy - 0.1, accuracy_high=table.accuracy + 0.1)


def test_plateau_and_half_point_of_a_known_curve():
    evidence = make_evidence(LABELS, curve({0.1: 0, 0.2: 0, 0.5: 80, 0.8: 160}))
    # Losses of 0, 0, 0.2, 0.4; chance 0.5, so half is lost at accuracy 0.75.
    assert plateau(evidence) == Figure(0.2, 0.2, 0.5)
    half = half_point(evidence)
    assert half.value == pytest.approx(0.575)
    # Anywhere between the grid points: nothing was run there.
    assert (half.low, half.high, half.beside) == (0.5, 0.8, {"between": [0.5, 0.8]})


def test_a_step_anywhere_between_grid_points_lies_in_the_interval():
    # Accuracy .81 up to the step and chance after it, as on the bundled model.
    for step in (0.51, 0.6, 0.79):
        losses = {f: 76 if f < step else 200 for f in (0.05, 0.1, 0.25, 0.5, 0.8)}
        half = half_point(make_evidence(LABELS, curve(losses)))
        assert half.low <= step <= half.high


def test_the_plateau_is_not_shown_where_the_sample_is_small():
    # Nothing is lost among 119 examples, but a loss of .02 could not be seen: 137 are needed.
    labels = [0] * 60 + [1] * 59
    found = plateau(make_evidence(labels, [(silence("top", f), labels) for f in (0.1, 0.8)]))
    assert found.value == 0.8 and np.isnan(found.low)
    assert found.reason == "119 examples cannot show a loss below 0.02; about 137 would"
    enough = [0] * 69 + [1] * 68
    shown = plateau(make_evidence(enough, [(silence("top", f), enough) for f in (0.1, 0.8)]))
    assert (shown.value, shown.low, shown.reason) == (0.8, 0.8, "")
    assert np.isnan(shown.high), "no fraction that was tried costs more"


def test_plateau_is_cautious_where_the_loss_is_uncertain():
    evidence = make_evidence(LABELS, curve({0.1: 0, 0.2: 8}))
    # A measured loss of exactly 0.02 is within it; that it is no larger is shown up to 0.1 alone.
    found = plateau(evidence)
    assert (found.value, found.low) == (0.2, 0.1) and np.isnan(found.high)


def test_plateau_is_zero_where_the_first_point_fails():
    evidence = make_evidence(LABELS, curve({0.1: 100, 0.2: 0}))
    assert plateau(evidence).value == 0.0


def test_half_point_never_reached_has_a_reason():
    half = half_point(make_evidence(LABELS, curve({0.1: 0, 0.5: 10})))
    assert not half.known
    assert np.isnan(half.high)
    assert half.reason == "never within the grid"
    assert half.beside["never_share"] == 1.0


def test_half_point_sometimes_reached_has_no_upper_end():
    half = half_point(make_evidence(LABELS, curve({0.1: 0, 0.5: 100})))
    assert half.value == pytest.approx(0.5)
    assert not np.isnan(half.low)
    assert np.isnan(half.high)
    assert 0.2 < half.beside["never_share"] < 0.8


def test_half_point_needs_a_classifier_above_chance():
    logits = np.eye(2)[[0] * 400]
    half = half_point(make_evidence(LABELS, curve({0.5: 0}), logits=logits))
    assert half.reason == "clean accuracy is not above chance"


def test_sufficient_k_is_chosen_on_select_and_reported_on_evaluate():
    table = probes(
        [
            ("top", None, 10, 0.1, 0.80, 0.95),
            ("top", None, 20, 0.2, 0.89, 0.70),
            ("top", None, 50, 0.5, 0.92, 0.80),
            ("top", None, 100, 1.0, 0.90, 0.85),
            ("disjoint", 0, 20, 0.2, 0.9, 0.8),
            ("disjoint", 1, 20, 0.2, 0.9, 0.8),
        ]
    )
    evidence = make_evidence(LABELS, sufficiency=table)
    found = sufficient_k(evidence)
    assert (found.value, found.low, found.high) == (20.0, 10.0, 50.0)
    reached = found.beside["accuracy"]
    assert (reached.value, reached.low, reached.high) == pytest.approx((0.8, 0.7, 0.9))
    assert found.beside["holds"] is False
    assert found.beside["random"].reason == "no random sets were probed"
    # Two were found on select; neither is as good as all neurons on evaluate.
    sets = disjoint_sets(evidence)
    assert (sets.value, sets.beside["found"]) == (0.0, 2)


def test_sufficiency_unknown_without_probes():
    evidence = make_evidence(LABELS)
    assert sufficient_k(evidence).reason == "no probe on all neurons was fitted"
    assert not disjoint_sets(evidence).known


def test_removal_table_averages_draws():
    trials = curve({0.5: 80})
    trials += [t for d, n in enumerate((0, 40)) for t in curve({0.5: n}, "random", draw=d)]
    trials += curve({0.5: 8}, "top", ranked_for="a") + curve({0.5: 8}, "top", layers="1")
    table = redundancy(make_evidence(LABELS, trials)).tables["removal"]
    assert table.columns.tolist() == REMOVAL.names
    assert table["selection"].tolist() == ["top", "random"]
    top, random = table.to_dict("records")
    assert (top["accuracy"], top["accuracy_drop"]) == pytest.approx((0.8, 0.2))
    assert top["drop_low"] < 0.2 < top["drop_high"]
    assert np.isnan(top["draws"])
    assert random["draws"] == 2
    assert random["accuracy_drop"] == pytest.approx(0.05)
    # Two draws say next to nothing of a third: t = 12.7 with one degree of freedom.
    assert (random["drop_low"], random["drop_high"]) == (-1.0, 1.0)
    assert (random["accuracy_low"], random["accuracy_high"]) == (0.0, 1.0)


def test_layers_table_sets_each_layer_beside_its_controls():
    trials = curve({0.5: 80}, layers="2") + curve({0.5: 40}, layers="10")
    trials += curve({0.5: 40}, "random", layers="2", draw=0)
    trials += curve({0.5: 0}, "random", layers="2", draw=1)
    table = redundancy(make_evidence(LABELS, trials)).tables["layers"]
    assert table.columns.tolist() == LAYERS_ALONE.names
    assert table["layer"].tolist() == [2, 10]
    assert table["drop"].tolist() == pytest.approx([0.2, 0.1])
    assert table["random_drop"][0] == pytest.approx(0.05)
    assert np.isnan(table["random_drop"][1])


def test_positions_table_keeps_fractions_run_at_both():
    trials = curve({0.1: 0, 0.5: 40}) + curve({0.5: 80}, position="all")
    trials += curve({0.5: 20}, "random", position="all", draw=0)
    table = redundancy(make_evidence(LABELS, trials)).tables["positions"]
    assert table.columns.tolist() == POSITIONS.names
    rows = table[["fraction", "position", "selection", "drop"]].to_numpy().tolist()
    assert rows == [
        [0.5, "all", "random", pytest.approx(0.05)],
        [0.5, "all", "top", pytest.approx(0.2)],
        [0.5, "pooled", "top", pytest.approx(0.1)],
    ]


def test_curve_tests_only_when_the_grid_tests():
    trials = curve({0.1: 40, 0.5: 80})
    for draw in range(5):
        trials += curve({0.1: draw, 0.5: 10 + draw}, "random", draw=draw)
    tested = redundancy(make_evidence(LABELS, trials)).tables["tests"]
    assert tested.columns.tolist() == TESTS.names
    assert tested["p_value"][0] == pytest.approx(1 / 6), "five draws cannot show more"
    quick = GRID.model_copy(update={"tests": False})
    silent = redundancy(make_evidence(LABELS, trials, grid=quick)).tables["tests"]
    assert silent.empty
    assert silent.columns.tolist() == TESTS.names


def test_sufficiency_table_averages_random_draws_and_keeps_disjoint_sets():
    rows = [("top", None, 10, 0.1, 0.8, 0.9)]
    rows += [("random", d, 10, 0.1, 0.5, a) for d, a in enumerate((0.4, 0.6))]
    rows += [("disjoint", 0, 20, 0.2, 0.8, 0.9), ("disjoint", 1, 10, 0.1, 0.8, 0.7)]
    table = redundancy(make_evidence(LABELS, sufficiency=probes(rows))).tables["sufficiency"]
    assert table.columns.tolist() == SUFFICIENT.names
    assert table["selection"].tolist() == ["disjoint", "disjoint", "random", "top"]
    assert table["draw"].isna().tolist() == [False, False, True, True]
    assert table["draw"].tolist()[:2] == [0, 1]
    assert table["k"].tolist() == [20, 10, 10, 10]
    assert table["accuracy"].tolist() == pytest.approx([0.9, 0.7, 0.5, 0.9])
    assert table["accuracy_low"].tolist() == pytest.approx([0.8, 0.6, 0.0, 0.8])


def test_disjoint_sets_say_when_the_search_stopped():
    assert MOST_SETS == MAX_SETS
    for found, capped in ((MOST_SETS - 1, False), (MOST_SETS, True)):
        rows = [("disjoint", i, 5, 0.05, 0.9, 0.9) for i in range(found)]
        figure = disjoint_sets(make_evidence(LABELS, sufficiency=probes(rows)))
        assert (figure.value, figure.beside["capped"]) == (found, capped)


def test_half_point_and_plateau_correct_for_what_the_stream_route_misses():
    # The pooled row alone shows no harm at all; on the exact half every second example is lost.
    known = [i % 2 == 0 for i in range(400)]
    hurt = [(1 - y if i % 4 == 0 else y) for i, y in enumerate(LABELS)]
    trials = [(silence("top", 0.5), hurt)]
    evidence = make_evidence(LABELS, trials, stream=[(LABELS, known)])
    # Loss 0.5 of all, the whole distance to chance: half of it is lost half-way to 0.5.
    assert half_point(evidence).value == pytest.approx(0.25)
    assert plateau(evidence) == Figure(0.0, 0.0, 0.5)


def test_participation_counts_layers_from_the_embeddings():
    table = redundancy(make_evidence(LABELS)).tables["participation"]
    assert table.to_numpy().tolist() == [[0, 4, 1.5], [1, 4, 2.5]]


def test_chance_is_the_best_constant_predictor():
    evidence = make_evidence([0] * 30 + [1] * 10)
    found = redundancy(evidence).summary["redundancy"]["chance"]
    # Strata keep class shares, so resampling cannot move it.
    assert found == Figure(0.75, 0.75, 0.75)
