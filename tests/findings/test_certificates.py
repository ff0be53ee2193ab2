from dataclasses import replace

import numpy as np
import pytest

from synapse_audit.artifacts import Cell, DenseLayer, HeadEdit, LayerStatistics
from synapse_audit.findings.certificates.certificates import certificates
from synapse_audit.findings.certificates.guarantees import guarantees
from synapse_audit.neurons import NeuronSet
from synapse_audit.statistics import weighted_quantiles

from .evidence import make_evidence

N, CLASSES, FEATURES, NEURONS = 60, 3, 6, 5


def edit_cell(edit: HeadEdit) -> Cell:
    return Cell("weight", "push", "head_weight", target="b", edit=edit)


def silence_cell(operator: str, site: str, neurons: list[int]) -> Cell:
    layer = 1
    return Cell(
        "neuron", operator, site, position="pooled", layers=str(layer),
        selection="top", neurons=NeuronSet.of({layer: neurons}),
    )  # fmt: skip


def setting(seed=0, trials=()):
    """Evidence of a tanh head whose measured cells are computed, not made up."""
    generator = np.random.default_rng(seed)
    dense = DenseLayer(
        generator.normal(size=(FEATURES, NEURONS)).astype(np.float32),
        generator.normal(size=FEATURES).astype(np.float32) / 2,
        "tanh",
    )
    weight = generator.normal(size=(CLASSES, FEATURES)).astype(np.float32)
    bias = generator.normal(size=CLASSES).astype(np.float32) / 4
    pooled = generator.normal(size=(N, NEURONS)).astype(np.float32)

    def run(states, extra=None, inputs=None):
        x = np.tanh(states @ dense.weight.T + dense.bias) if inputs is None else inputs
        w, b = (weight, bias) if extra is None else (weight + extra.weight, bias + extra.bias)
        return x @ w.T + b

    logits = run(pooled)
    labels = np.where(generator.random(N) < 0.8, logits.argmax(axis=1), 0)
    made = [(cell, change(run, pooled).argmax(axis=1).tolist()) for cell, change in trials]
    evidence = make_evidence(
        labels.tolist(),
        made,
        logits=logits,
        head=(np.tanh(pooled @ dense.weight.T + dense.bias), weight, bias),
        weights=generator.uniform(0.5, 1.5, size=N),
    )
    layer = LayerStatistics(pooled.mean(axis=0), pooled.std(axis=0), np.ones(NEURONS, np.float32))
    return replace(evidence, dense=dense, pooled=pooled, statistics=(layer, layer))


def attacks(seed=1, count=30):
    """Random edits of the head over many sizes, and silenced sets."""
    generator, found = np.random.default_rng(seed), []
    for size in np.geomspace(0.01, 2.0, count):
        edit = HeadEdit(size * generator.normal(size=(CLASSES, FEATURES)), np.zeros(CLASSES))
        found.append((edit_cell(edit), lambda run, u, e=edit: run(u, extra=e)))
    for neuron in range(NEURONS):
        cell = silence_cell("zero", "block_output", [neuron])
        found.append((cell, lambda run, u, j=neuron: run(np.where(np.arange(NEURONS) == j, 0, u))))
    return found


def at(table, **wanted):
    for name, value in wanted.items():
        table = table[table[name].isna() if value is None else table[name] == value]
    return table


def test_guaranteed_accuracy_is_a_weighted_count_by_hand():
    # Head inputs (3, 4): ‖(h, 1)‖ = √26; runner-up margins 2, 1, 4, 1 (wrong), 3.
    logits = np.array([[2.0, 0.0], [1.0, 0.0], [4.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    inputs, weight = np.tile([3.0, 4.0], (5, 1)), np.array([[3.0, 0.0], [0.0, 4.0]])
    evidence = make_evidence(
        [0, 0, 0, 0, 0], logits=logits, head=(inputs, weight, np.zeros(2)),
        weights=np.array([1.0, 2.0, 1.0, 1.0, 1.0]), n_classes=2,
    )  # fmt: skip
    found = certificates(evidence)
    row = at(found.tables["distances"], place="head", change="l2", rows="all", target=None)
    row = at(row[row["bias"]], **{"class": None})
    # Right rows by margin: 1 (weight 2), 2, 3, 4 → median 2; the 5th percentile is margin 1.
    scale = np.sqrt(2) * np.sqrt(26) * 5
    assert row["median"].item() == pytest.approx(2 / scale)
    assert row["p05"].item() == pytest.approx(1 / scale)
    curve = at(found.tables["curves"], place="head", change="l2", rows="all")
    curve = at(curve[curve["bias"]], **{"class": None}).set_index("budget")["accuracy"]
    assert curve.loc[0.0] == pytest.approx(5 / 6)
    assert curve.loc[0.05] == pytest.approx(3 / 6)  # margins above 0.05 · scale = 1.80
    assert curve.loc[0.1] == pytest.approx(1 / 6)  # above 3.6
    assert curve.loc[0.2] == 0.0


def test_no_measured_change_breaks_its_guarantee():
    evidence = setting(trials=attacks())
    checks = certificates(evidence).tables["checks"]
    assert (checks["accuracy"] >= checks["guaranteed"] - 1e-9).all()
    assert checks["changed"].sum() == 0
    assert set(checks["place"]) == {"head", "state"}
    # The test means something only where examples are covered and where accuracy falls.
    assert checks["examples"].sum() > 200
    assert checks["accuracy"].min() < checks["accuracy"].max() - 0.2


def test_a_broken_guarantee_is_counted():
    edit = HeadEdit(np.full((CLASSES, FEATURES), 1e-9), np.zeros(CLASSES))
    lie = (edit_cell(edit), lambda run, u: np.roll(run(u), 1, axis=1))
    found = certificates(setting(trials=[lie]))
    assert found.summary["certificates"]["check"]["changed"] > 0


def test_curves_fall_and_more_freedom_never_guarantees_more():
    table = at(certificates(setting()).tables["curves"], **{"class": None})
    for _, curve in table.groupby(["place", "change", "rows", "bias"], dropna=False):
        assert (np.diff(curve.sort_values("budget")["accuracy"]) <= 1e-12).all()
        assert (curve["accuracy_low"] <= curve["accuracy"] + 1e-12).all()
        assert (curve["accuracy_high"] >= curve["accuracy"] - 1e-12).all()
    head = at(table, place="head", change="l2")
    free = head[(head["rows"] == "all") & head["bias"]]["accuracy"].to_numpy()
    for rows, bias in (("one", True), ("all", False), ("one", False)):
        bound = head[(head["rows"] == rows) & (head["bias"] == bias)]["accuracy"].to_numpy()
        assert (bound >= free).all()


def test_classes_add_up_to_everyone():
    evidence = setting()
    table = at(certificates(evidence).tables["curves"], place="head_input", change="zero")
    labels, weights = evidence.predictions.labels, evidence.weights
    shares = {n: weights[labels == c].sum() / weights.sum() for c, n in enumerate("abc")}
    for _, rows in table.groupby("budget"):
        by_class = rows.set_index("class")["accuracy"]
        total = sum(by_class[name] * share for name, share in shares.items())
        assert total == pytest.approx(at(rows, **{"class": None})["accuracy"].item())


def test_flips_are_the_distribution_of_the_distances():
    evidence = setting()
    found = certificates(evidence)
    zero = next(
        g for g in guarantees(evidence).found if (g.place, g.change) == ("head_input", "zero")
    )
    right = evidence.predictions.predicted == evidence.predictions.labels
    for row in at(found.tables["fewest_silenced"], change="zero", **{"class": None}).itertuples():
        moved = (zero.distance <= row.k) & right
        share = evidence.weights[moved].sum() / evidence.weights[right].sum()
        assert row.share == pytest.approx(share)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dense": None}, "no dense layer"),
        ({"pooled": None}, "not kept"),
        ({"activation": "swish"}, "swish"),
        ({"head_input": np.ones((N, FEATURES), np.float32)}, "does not give"),
    ],
)
def test_without_a_known_dense_layer_the_state_has_a_reason(change, reason):
    evidence = setting()
    if "activation" in change:
        change = {"dense": replace(evidence.dense, **change)}
    found = certificates(replace(evidence, **change))
    assert reason in found.tables["missing"]["reason"].item()
    assert reason in found.summary["certificates"]["state"]["l2"].reason
    assert "state" not in set(found.tables["curves"]["place"])


def test_a_head_of_zeros_has_no_relative_size():
    evidence = setting()
    zeros = np.zeros_like(evidence.head_weight)
    found = certificates(replace(evidence, head_weight=zeros, dense=None))
    assert set(found.tables["missing"]["place"]) == {"head", "state"}
    assert not found.summary["certificates"]["l2"].known


def test_quantiles_by_hand():
    values, weights = np.array([3.0, 1.0, np.inf, 2.0]), np.array([[1.0], [2.0], [1.0], [0.0]])
    assert weighted_quantiles(values, weights, (0.05, 0.5, 0.75, 1.0)).tolist() == [
        [1.0, 1.0, 3.0, np.inf]
    ]
    assert np.isnan(weighted_quantiles(values, 0 * weights, (0.5,))).all()
    assert np.isnan(weighted_quantiles(values, weights, (0.5,), np.zeros(4, bool))).all()
    finite = np.isfinite(values)
    assert weighted_quantiles(values, weights, (0.5, 1.0), finite).tolist() == [[1.0, 3.0]]
