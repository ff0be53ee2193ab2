"""The paper's protocol: figures by hand, in weighted F1."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from synapse_audit.artifacts import GLOBAL, Cell, Evidence, Ranking
from synapse_audit.findings.paper import PRINTED, paper

from .evidence import GRID, make_evidence, silence

LABELS = [0] * 10 + [1] * 10
SPOILED = GRID.model_copy(update={"rankings": ("paper", "probeless"), "paper": True})
FRACTIONS = (0.1, 0.5, 0.9)


def wrong(n: int) -> list[int]:
    """Predictions of which the first ``n`` are wrong."""
    return [1 - y if i < n else y for i, y in enumerate(LABELS)]


def ranked(selection: str, fraction: float, **changes: object) -> Cell:
    return silence(selection, fraction, **({"ranking": "paper", "operator": "zero"} | changes))


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    trials = []
    for f, n in zip(FRACTIONS, (0, 6, 10), strict=True):
        trials.append((ranked("top", f), wrong(n)))
        trials.append((ranked("bottom", f), wrong(0)))
        for draw, m in enumerate((1, 3)):
            own = ranked("random", f, ranked_for=GLOBAL, draw=draw)
            trials.append((own, wrong(m)))
            trials.append((silence("random", f, operator="zero", draw=draw), wrong(9)))
        for name, m in (("a", 4), ("b", 8)):
            trials.append((ranked("top", f, ranked_for=name), wrong(m)))
    by_mass = {"setting": "0.1 of the weight mass", "ranked_for": "a"}
    trials.append((ranked("exclusive_mass", 0.05, **by_mass), wrong(1)))
    trials.append((ranked("random", 0.05, **by_mass, draw=0), wrong(0)))
    trials.append((ranked("exclusive", 0.1, ranked_for="b"), wrong(2)))
    noise = {"operator": "gaussian", "strength": 0.9, "ranked_for": GLOBAL}
    noise["setting"] = "noise on the top 60 %"
    trials.append((ranked("top", 0.6, **noise), wrong(5)))
    trials += [(ranked("random", 0.6, **noise, draw=d), wrong(d)) for d in range(2)]
    push = Cell("weight", "paper_push", "head_weight", target="b", setting="paper malware a")
    trials.append((replace(push, strength=0.3, selection="top"), [1] * 20))
    # Without an edit of its own the strength tells it from the ranked push.
    trials.append((replace(push, strength=0.31, selection="random", draw=0), wrong(0)))
    trials.append((Cell("logit", "shift", "logits", strength=8.0, target="a"), wrong(0)))
    found = make_evidence(LABELS, trials, grid=SPOILED)
    scores = [np.zeros(4), np.array([1.0, 2, 3, 4]), np.array([9.0, 8, 7, 0])]
    return replace(found, rankings={"paper": Ranking("paper", {GLOBAL: scores}, across=True)})


def test_nothing_without_the_paper_s_settings() -> None:
    found = paper(make_evidence(LABELS))
    assert found.tables == {}
    assert not found.summary["paper"].known
    assert "preset paper" in found.summary["paper"].reason


def test_curves_hold_weighted_f1_beside_their_own_controls(evidence: Evidence) -> None:
    table = paper(evidence).tables["curve"].set_index(["operator", "selection", "fraction"])
    assert set(table.index.get_level_values("selection")) == {"top", "bottom", "random"}
    for f, n in zip(FRACTIONS, (0, 6, 10), strict=True):
        row = table.loc[("zero", "top", f)]
        assert row["f1"] == pytest.approx(f1_score(LABELS, wrong(n), average="weighted"))
        assert row["f1_low"] <= row["f1"] <= row["f1_high"]
        assert row["drop"] == pytest.approx(n / 20)
        random_control = table.loc[("zero", "random", f)]
        assert random_control["drop"] == pytest.approx(0.1), (
            "the ranking's own draws, not the shared ones"
        )
        assert random_control["draws"] == 2


def test_figures_of_the_curve(evidence: Evidence) -> None:
    figures = paper(evidence).summary["paper"]
    assert figures["clean"].value == pytest.approx(1.0)
    zero = figures["zero"]
    assert zero["plateau"].value == 0.1
    assert np.isnan(zero["plateau"].low), "twenty examples cannot rule out a loss of 0.02"
    assert zero["plateau"].reason.startswith("20 examples cannot show a loss below 0.02")
    # Accuracy 1 at .1, .7 at .5, .5 at .9; half of the way to chance (.5) is .75.
    assert zero["half_point"].value == pytest.approx(0.1 + 0.4 * 0.25 / 0.3)
    assert zero["f1_at_half"].beside["fraction"] == 0.5
    assert zero["f1_at_half"].value == pytest.approx(f1_score(LABELS, wrong(6), average="weighted"))
    assert not figures["mean"]["plateau"].known
    assert figures["mean"]["plateau"].reason


def test_random_sets_that_differ_by_rounding_alone_have_no_z(evidence: Evidence) -> None:
    effects = evidence.effects
    drawn = (effects["selection"] == "random") & (effects["fraction"] == 0.5)
    drops = effects["accuracy_drop"].mask(drawn, 0.1).to_numpy(copy=True)
    drops[np.flatnonzero(drawn)[:1]] = np.nextafter(0.1, 1.0)
    alike = replace(evidence, effects=effects.assign(accuracy_drop=drops))
    z = paper(alike).summary["paper"]["zero"]["z_matched"]
    assert not z.known
    assert "all random sets cost the same" in z.reason


def test_classes_and_their_own_recall(evidence: Evidence) -> None:
    table = paper(evidence).tables["classes"].set_index(["ranked_for", "fraction"])
    assert table.loc[("a", 0.5), "own_recall"] == pytest.approx(0.6)
    assert table.loc[("b", 0.5), "own_recall"] == pytest.approx(1.0)
    assert table.loc[("b", 0.5), "drop"] == pytest.approx(0.4)


def test_exclusive_sets_by_count_and_by_mass(evidence: Evidence) -> None:
    table = paper(evidence).tables["exclusive"].set_index(["kind", "ranked_for"])
    assert table.loc[("mass", "a"), "drop"] == pytest.approx(0.05)
    assert table.loc[("mass", "a"), "random_drop"] == pytest.approx(0.0)
    assert table.loc[("count", "b"), "drop"] == pytest.approx(0.1)
    assert np.isnan(table.loc[("count", "b"), "random_drop"])


def test_disturbances_and_redirections(evidence: Evidence) -> None:
    tables = paper(evidence).tables
    noise = tables["disturbances"].set_index("selection")
    assert noise.loc["top", "setting"] == "noise on the top 60 %"
    assert noise.loc["top", "drop"] == pytest.approx(0.25)
    assert noise.loc["random", "drop"] == pytest.approx(0.025)
    redirects = tables["redirects"].set_index("setting")
    assert redirects["redirect"].to_dict() == pytest.approx(
        {"paper malware a": 1.0, "logit +8": 0.0}
    )
    assert len(redirects) == 2, "random columns are not the paper's"


def test_layers_of_the_top_neurons(evidence: Evidence) -> None:
    found = paper(evidence)
    table = found.tables["layers"].set_index(["fraction", "layer"])
    # Half of eight neurons: 9, 8, 7 of layer 2 and 4 of layer 1.
    assert table["k"].loc[0.5].to_dict() == {1: 1, 2: 3}
    assert table.loc[(0.5, 2), "share"] == pytest.approx(0.75)
    assert table["even_share"].unique().tolist() == [0.5]
    assert found.summary["paper"]["last_blocks"].beside["even"] == pytest.approx(1.0)


def test_without_the_ranking_at_hand_the_layers_are_unknown(evidence: Evidence) -> None:
    found = paper(replace(evidence, rankings={}))
    assert found.tables["layers"].empty
    assert not found.summary["paper"]["last_blocks"].known


def test_what_the_paper_printed_is_named_as_other_models() -> None:
    assert all(model and 0 < f1 < 1 for _, model, _, _, f1 in PRINTED)
    curve = [f1 for what, _, _, _, f1 in PRINTED if what == "silencing"]
    assert curve == sorted(curve, reverse=True)
