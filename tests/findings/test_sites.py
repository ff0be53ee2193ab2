"""Sites and steering: tables by hand, and no mixing with the curves of block outputs."""

import numpy as np
import pytest

from synapse_audit.findings.redundancy.redundancy import redundancy
from synapse_audit.findings.sites import sites

from .evidence import make_evidence, silence

LABELS = [0] * 10 + [1] * 10
RIGHT = LABELS
HALF = [0] * 10 + [0] * 5 + [1] * 5
WORSE = [1] * 10 + [0] * 5 + [1] * 5


def test_a_site_stands_beside_its_random_controls_and_the_block_output() -> None:
    inner = {"site": "mlp_output"}
    trials = [
        (silence("top", 0.5, **inner), HALF),
        (silence("bottom", 0.5, **inner), RIGHT),
        *((silence("random", 0.5, draw=d, **inner), RIGHT) for d in range(3)),
        (silence("top", 0.5), WORSE),
        (silence("random", 0.5, draw=0), HALF),
        (silence("top", 0.1), WORSE),
    ]
    table = sites(make_evidence(LABELS, trials)).tables["removal"].set_index(["site", "selection"])
    assert table.loc[("mlp_output", "top"), "drop"] == pytest.approx(0.25)
    assert table.loc[("mlp_output", "bottom"), "drop"] == 0.0
    assert table.loc[("mlp_output", "top"), "random_drop"] == 0.0
    assert table.loc[("mlp_output", "top"), "draws"] == 3
    assert table.loc[("block_output", "top"), "drop"] == pytest.approx(0.75)
    assert len(table) == 3, "the block output's fraction that no other site has is left out"


def test_cells_of_other_sites_stay_out_of_the_removal_curves() -> None:
    trials = [
        (silence("top", 0.5), HALF),
        (silence("random", 0.5, draw=0), RIGHT),
        (silence("top", 0.5, site="mlp_output"), WORSE),
        (silence("random", 0.5, draw=0, site="mlp_output"), WORSE),
        (silence("random", 0.5, draw=0, operator="translate", target="b"), WORSE),
    ]
    table = redundancy(make_evidence(LABELS, trials)).tables["removal"]
    drops = dict(zip(table["selection"], table["accuracy_drop"], strict=True))
    assert drops == pytest.approx({"top": 0.25, "random": 0.0})
    assert table["operator"].unique().tolist() == ["mean"]


def test_whole_sublayers_are_listed_by_layer() -> None:
    trials = [
        (silence("top", 1.0, site="attention_output", layers=str(m)), outcome)
        for m, outcome in ((1, RIGHT), (2, HALF))
    ]
    finding = sites(make_evidence(LABELS, trials))
    table = finding.tables["sublayers"]
    assert table[["layer", "drop"]].to_numpy().tolist() == [[1, 0.0], [2, 0.25]]
    figure = finding.summary["sites"]["attention_output"]
    assert figure["largest_drop"].value == pytest.approx(0.25)
    assert figure["largest_drop"].beside == {"tried": 2, "tied": [1, 2]}, "5 of 20 name no layer"
    assert figure["layer"] is None


def test_the_interval_of_the_costliest_sublayer_holds_for_all_of_them() -> None:
    labels = [0, 1] * 100
    lost = [1 - y if i < 80 else y for i, y in enumerate(labels)]
    trials = [
        (silence("top", 1.0, site="mlp_output", layers=str(m)), lost if m == 3 else labels)
        for m in range(1, 5)
    ]
    finding = sites(make_evidence(labels, trials))
    row = finding.tables["sublayers"].set_index("layer").loc[3]
    figure = finding.summary["sites"]["mlp_output"]
    assert figure["layer"] == 3
    assert figure["largest_drop"].beside["tied"] == [3]
    # Four at once: z(1 - .025 / 4) / z(.975) = 2.4977 / 1.9600.
    for end in ("low", "high"):
        own = abs(row[f"drop_{end}"] - row["drop"])
        wide = abs(getattr(figure["largest_drop"], end) - row["drop"])
        assert wide / own == pytest.approx(2.4977 / 1.9600, abs=1e-3)


def test_steering_is_set_beside_random_neurons_steered_as_far() -> None:
    aimed = {"operator": "translate", "target": "b", "strength": 1.0}
    moved = [1] * 5 + [0] * 5 + [1] * 10
    trials = [
        (silence("top", 0.5, ranked_for="b", **aimed), moved),
        *((silence("random", 0.5, draw=d, **aimed), RIGHT) for d in range(2)),
    ]
    finding = sites(make_evidence(LABELS, trials))
    row = finding.tables["steering"].iloc[0]
    assert (row["target"], row["redirect_rate"], row["random_rate"]) == ("b", 0.5, 0.0)
    assert row["redirect_low"] < 0.5 < row["redirect_high"]
    figure = finding.summary["steering"]["translate"]
    assert figure["redirect"].value == 0.5
    assert (figure["target"], figure["redirect"].beside) == ("b", {"tried": 1, "tied": ["b"]})


def test_targets_that_are_indistinguishable_are_listed() -> None:
    aimed = {"operator": "translate", "strength": 1.0}
    to_b, to_a = [1] * 4 + [0] * 6 + [1] * 10, [0] * 10 + [0] * 5 + [1] * 5
    trials = [
        (silence("top", 0.5, ranked_for=name, target=name, **aimed), said)
        for name, said in (("a", to_a), ("b", to_b))
    ]
    figure = sites(make_evidence(LABELS, trials)).summary["steering"]["translate"]
    assert figure["redirect"].value == 0.5 and figure["target"] is None
    assert figure["redirect"].beside["tied"] == ["a", "b"]
    assert figure["redirect"].low >= 0.0


def test_without_such_cells_the_reason_is_given() -> None:
    summary = sites(make_evidence(LABELS)).summary
    assert not summary["sites"].known
    assert "no site" in summary["sites"].reason
    assert np.size(summary["steering"].reason)
