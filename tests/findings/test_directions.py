"""Directions: tables by hand, each method beside random directions of its own variance."""

from dataclasses import replace

import pandas as pd
import pytest

from synapse_audit.artifacts import Cell
from synapse_audit.findings.directions import directions
from synapse_audit.tables.run import DIRECTIONS

from .evidence import make_evidence, silence

LABELS = [0] * 10 + [1] * 10 + [2] * 10
HALF = [0] * 10 + [0] * 5 + [1] * 5 + [2] * 10
LESS = [0] * 10 + [0] * 2 + [1] * 8 + [2] * 10


def remove(selection: str, layer: int, rank: int, **more: object) -> Cell:
    fields = {"operator": "project", "strength": float(rank), "layers": str(layer), "ranking": None}
    return silence(selection, None, **(fields | more))


def removed(layer: int, method: str, ranked_for: str | None, rank: int, share: float) -> tuple:
    return layer, method, ranked_for, "direction", None, rank, share, share / 2


def table(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=DIRECTIONS.names).astype(DIRECTIONS.types)


def test_each_layer_stands_beside_as_many_and_as_much() -> None:
    trials = [
        (remove("direction", 1, 2, ranking="leace"), LABELS),
        (remove("direction", 2, 2, ranking="leace"), HALF),
        *((remove("random", 2, 2, draw=d), LABELS) for d in range(3)),
        *(
            (remove("equal_variance", 2, 2, ranking="leace", draw=d), said)
            for d, said in enumerate((LESS, LESS, LABELS))
        ),
        (remove("equal_variance", 2, 2, ranking="probe", draw=0), HALF),
    ]
    beside = table(removed(1, "leace", None, 2, 0.1), removed(2, "leace", None, 2, 0.3))
    finding = directions(replace(make_evidence(LABELS, trials), directions=beside))
    rows = finding.tables["layers"].set_index("layer")
    last = rows.loc[2]
    assert last["drop"] == pytest.approx(5 / 30)
    assert last["random_drop"] == 0.0
    assert last["matched_drop"] == pytest.approx(4 / 90), "the probe's own stay out"
    assert last["excess"] == pytest.approx(5 / 30 - 4 / 90)
    assert last["excess_low"] < last["excess"] < last["excess_high"]
    assert (last["variance"], last["variance_evaluate"], last["draws"]) == (0.3, 0.15, 3)
    assert pd.isna(rows.loc[1, "random_drop"]), "nothing of that layer was drawn"
    figures = finding.summary["directions"]["leace"]
    assert figures["drop"].value == pytest.approx(5 / 30), "the last layer, not the largest"
    assert figures["drop"].beside["layer"] == 2 and figures["drop"].beside["rank"] == 2


def test_a_class_loses_recall_to_its_own_direction() -> None:
    own = {"ranking": "probe", "ranked_for": "b"}
    trials = [
        (remove("direction", 2, 1, **own), HALF),
        *((remove("random", 2, 1, draw=d), LABELS) for d in range(2)),
        *((remove("equal_variance", 2, 1, draw=d, **own), LESS) for d in range(2)),
    ]
    beside = table(removed(2, "probe", "b", 1, 0.05))
    finding = directions(replace(make_evidence(LABELS, trials), directions=beside))
    (row,) = finding.tables["classes"].to_dict("records")
    assert (row["class"], row["rank"], row["variance"]) == ("b", 1, 0.05)
    assert row["recall_drop"] == pytest.approx(0.5)
    assert row["random_recall_drop"] == 0.0
    assert row["matched_recall_drop"] == pytest.approx(0.2)
    assert finding.tables["layers"].empty


def test_without_such_cells_the_reason_is_given() -> None:
    figure = directions(make_evidence(LABELS)).summary["directions"]
    assert "no directions" in figure.reason
