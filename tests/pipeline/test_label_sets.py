"""All labels of a multi-label model in one audit: from the files to tables, summary and report."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cli.calling import CommandLine
from jsonschema import Draft202012Validator
from planted_labels import LABELS, PlantedLabels, planted_labels
from scipy.special import expit
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    hamming_loss,
    precision_score,
    roc_auc_score,
)

from synapse_audit.artifacts.label_sets import decoded, encoded
from synapse_audit.config import make_config
from synapse_audit.data import load_data
from synapse_audit.errors import UsageError
from synapse_audit.model import Classifier
from synapse_audit.neurons import NeuronSet
from synapse_audit.pipeline.audit import audit
from synapse_audit.pipeline.stages import read_subject, subject_of
from synapse_audit.pipeline.stages.several import NOT_COVERED
from synapse_audit.report import SET_SECTIONS, contents, render
from synapse_audit.store import AuditResult
from synapse_audit.summary import entry_of, json_schema, walk
from synapse_audit.tables import TABLES, problem_of

pytestmark = pytest.mark.unchecked

GRID = {"fractions": (0.2,), "layer_fractions": (0.5,), "draws": 2, "budgets": (0.5, 1.0)}


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capsys)


@pytest.fixture(scope="module")
def plant() -> PlantedLabels:
    return planted_labels()


@pytest.fixture(scope="module")
def folder(plant: PlantedLabels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plant.save(tmp_path_factory.mktemp("labels"))


def options(folder: Path, **more: Any) -> dict[str, Any]:
    held = {"model": str(folder / "model"), "data": str(folder / "rows.csv"), "preset": "quick"}
    return held | {"grid": GRID, "resamples": 100} | more


@pytest.fixture(scope="module")
def result(folder: Path) -> AuditResult:
    return audit(make_config(options(folder)), folder / "run")


@pytest.fixture(scope="module")
def clean(result: AuditResult, plant: PlantedLabels) -> dict[str, np.ndarray]:
    """What is true of the evaluate examples, in their order: by arithmetic, not by the model."""
    splits, data = result.splits, read_subject(make_config(options(result.folder.parent))).data
    rows = np.flatnonzero(splits["split"] == "evaluate")
    place = {text: i for i, text in enumerate(plant.texts)}
    places = np.array([place[data.inputs[row]] for row in rows])
    return {
        "places": places,
        "weights": data.weights[rows],
        "true": plant.written[places],
        "said": plant.said()[places],
        "logits": plant.logits(NeuronSet.of({}))[places],
    }


def test_figures_over_all_labels_are_those_of_scikit_learn(
    result: AuditResult, clean: dict[str, np.ndarray]
) -> None:
    found, weights = result.summary["labels"], clean["weights"]
    both = clean["true"], clean["said"]
    # Equal by arithmetic, apart by rounding: the model's own order of them.
    logits = np.load(result.folder / "activations/logits.npy")[result.splits["split"] == "evaluate"]
    expected = {
        "micro_f1": f1_score(*both, average="micro", sample_weight=weights),
        "macro_f1": f1_score(*both, average="macro", sample_weight=weights),
        "sample_f1": f1_score(*both, average="samples", zero_division=0, sample_weight=weights),
        "subset_accuracy": accuracy_score(*both, sample_weight=weights),
        "hamming_loss": hamming_loss(*both, sample_weight=weights),
        "auc": roc_auc_score(clean["true"], logits, average="macro", sample_weight=weights),
    }
    for name, value in expected.items():
        assert found[name]["value"] == pytest.approx(value, abs=1e-6), name
        assert found[name]["low"] < value < found[name]["high"]
    assert result.summary["clean"] == {}  # nothing that would pass for the accuracy of classes
    table = result.findings["labels"]["labels"]
    each = precision_score(*both, average=None, sample_weight=weights)
    np.testing.assert_allclose(table["precision"], each, atol=1e-6)
    gap = np.average(expit(clean["logits"]) - clean["true"], axis=0, weights=weights)
    np.testing.assert_allclose(table["gap"], gap, atol=1e-6)


def test_the_best_constant_answer_is_found(
    result: AuditResult, clean: dict[str, np.ndarray]
) -> None:
    reached = []
    for label in range(3):
        always = np.zeros_like(clean["true"])
        always[:, label] = True
        reached.append(
            f1_score(clean["true"], always, average="micro", sample_weight=clean["weights"])
        )
    found = result.summary["labels"]["micro_f1"]
    assert found["constant"] == pytest.approx(max(reached), abs=1e-6)
    assert found["answer"] == LABELS[int(np.argmax(reached))]


def test_every_silenced_set_is_what_arithmetic_says(
    result: AuditResult, plant: PlantedLabels, clean: dict[str, np.ndarray]
) -> None:
    """Zeroed neurons leave the decisions that the planted weights give, cell by cell."""
    effects = result.effects
    cells = effects[(effects["operator"] == "zero") & (effects["layers"] == "all")]
    # Where hardly anything is kept, LayerNorm blows rounding up to the size of a word.
    cells = cells[cells["group"].isin(("removal", "class"))]
    sets = {c.key: c.neurons for c in planned(result)}
    assert len(cells) > 8
    for row in cells.to_dict("records"):
        outcome = result.outcomes.predicted[result.outcomes.row[row["action"]]]
        expected = plant.said(sets[row["cell"]])[clean["places"]]
        assert (decoded(outcome, 3) == expected).all(), row
        both = clean["true"], expected
        micro = f1_score(*both, average="micro", sample_weight=clean["weights"], zero_division=0)
        assert row["micro_f1"] == pytest.approx(micro, abs=1e-6)
        wrong = hamming_loss(*both, sample_weight=clean["weights"])
        assert row["hamming_loss"] == pytest.approx(wrong, abs=1e-6)


def planned(result: AuditResult) -> Any:
    """The cells of the run, planned again from its own rankings."""
    from synapse_audit.artifacts import GLOBAL, LayerStatistics, Ranking
    from synapse_audit.config import Grid
    from synapse_audit.interventions.edits import HeadView
    from synapse_audit.plan import PlanInputs, build_cells

    grid = Grid.model_validate(result.manifest["config"]["grid"])
    table = result.rankings
    rankings = {}
    for method, rows in table[table["method"].isin(grid.rankings)].groupby("method"):
        rows = rows.assign(
            whom=rows["ranked_for"].astype(object).where(rows["ranked_for"].notna(), "")
        )
        scores = {
            (name or GLOBAL): tuple(
                part.sort_values("neuron")["score"].to_numpy() for _, part in mine.groupby("layer")
            )
            for name, mine in rows.groupby("whom")
        }
        rankings[str(method)] = Ranking(str(method), scores)
    flat = np.ones(32, np.float32)
    statistics = tuple(LayerStatistics(flat, flat, flat) for _ in range(4))
    head = HeadView(
        np.eye(3, 32), np.ones((4, 32)), np.array([1, 2, 4, 0]), np.zeros(3), several=True
    )
    return build_cells(PlanInputs(grid, rankings, statistics, head, {}, LABELS, seed=0))


def test_each_label_is_ranked_by_its_own_neurons(result: AuditResult, plant: PlantedLabels) -> None:
    """The planted pair leads every label's own ranking, in each block, and shares the first 6."""
    table = result.rankings
    for method in ("probe", "probeless", "iou"):
        for name in LABELS:
            mine = table[(table["method"] == method) & (table["ranked_for"] == name)]
            for layer in (1, 2, 3):
                first = mine[(mine["layer"] == layer) & (mine["rank"] <= 2)]["neuron"]
                assert set(first) == set(plant.sets[name].by_layer[layer]), (method, name, layer)
    whole = table[(table["method"] == "probe") & table["ranked_for"].isna() & (table["layer"] == 2)]
    planted = {int(n) for chosen in plant.sets.values() for n in chosen.by_layer[2]}
    assert set(whole[whole["rank"] <= 6]["neuron"]) == planted


def test_probes_read_labels_where_they_are(result: AuditResult) -> None:
    table = result.label_probes.set_index(["scope", "label"])
    assert problem_of("label_probes", result.label_probes) == ""
    for name in LABELS:
        assert table.loc[("0", name), "auc"] == pytest.approx(0.5)
        assert table.loc[("2", name), "auc_low"] > 0.5
    own = result.findings["labels"]["labels"].set_index("label")["f1"]
    at_head = table.loc["head_input"]["f1"]
    # The head decides by the same two states of each label as any probe of it can.
    np.testing.assert_allclose(at_head[list(LABELS)], own[list(LABELS)], atol=1e-6)


def test_a_push_of_a_row_is_what_arithmetic_says(
    result: AuditResult, clean: dict[str, np.ndarray]
) -> None:
    """(w + δ)·h + b by hand, for every label, direction and size."""
    subject = read_subject(make_config(options(result.folder.parent)))
    head = Classifier.load(str(result.folder.parent / "model"))
    inputs = np.load(result.folder / "activations/head_input.npy").astype(np.float64)
    fit, evaluate = subject.splits.fit, subject.splits.evaluate
    weight, bias = head.head_weight.astype(np.float64), head.head_bias.astype(np.float64)
    logits = inputs @ weight.T + bias
    table = result.findings["switching"]["budgets"].set_index(["label", "direction", "budget"])
    for label, name in enumerate(LABELS):
        for direction, sign in (("on", 1), ("off", -1)):
            movable = sign * logits[fit, label] <= 0
            way = sign * inputs[fit][movable].mean(axis=0)
            for budget in GRID["budgets"]:
                size = budget * np.linalg.norm(weight[label])
                moved = inputs[evaluate] @ (weight[label] + size * way / np.linalg.norm(way))
                before = logits[evaluate, label] > 0
                among = before != (direction == "on")
                changed = (moved + bias[label] > 0) != before
                rate = np.average(changed[among], weights=clean["weights"][among])
                row = table.loc[(name, direction, budget)]
                assert row["rate"] == pytest.approx(rate, abs=1e-6)
                assert row["possible"] >= row["rate"] - 1e-9
                # No other label reads the row.
                assert row["collateral"] == 0
    pushes = result.effects[result.effects["group"] == "push"]
    for row in pushes.to_dict("records"):
        name = row["source"] if row["target"] is None or pd.isna(row["target"]) else row["target"]
        other = [i for i, one in enumerate(LABELS) if one != name]
        said = decoded(result.outcomes.predicted[result.outcomes.row[row["action"]]], 3)
        assert (said[:, other] == clean["said"][:, other]).all()


def test_constants_are_exact(result: AuditResult, clean: dict[str, np.ndarray]) -> None:
    """The planted logits take two values per label: what is missing to 0 is their distance."""
    table = result.findings["switching"]["constants"].set_index(["label", "direction"])
    for label, name in enumerate(LABELS):
        for direction in ("on", "off"):
            mine = clean["logits"][clean["said"][:, label] == (direction == "off"), label]
            row = table.loc[(name, direction)]
            assert row["movable"] == len(mine)
            assert row["half"] == pytest.approx(np.median(np.abs(mine)), abs=1e-5)


def test_no_smaller_edit_changes_a_decision_and_that_one_does(result: AuditResult) -> None:
    """Brute force: random edits just below each distance, and the best one just above."""
    inputs = np.load(result.folder / "activations/head_input.npy").astype(np.float64)
    rows = np.flatnonzero(result.splits["split"] == "evaluate")
    inputs = np.pad(inputs[rows], ((0, 0), (0, 1)), constant_values=1.0)
    head = Classifier.load(str(result.folder.parent / "model"))
    weight = np.column_stack([head.head_weight, head.head_bias]).astype(np.float64)
    generator = np.random.default_rng(0)
    table = result.findings["label_certificates"]["distances"]
    logits = inputs @ weight.T
    for label, name in enumerate(LABELS):
        length = np.abs(logits[:, label]) / np.linalg.norm(inputs, axis=1)
        towards = -np.sign(logits[:, [label]]) * inputs
        towards /= np.linalg.norm(towards, axis=1, keepdims=True)
        for factor, changes in ((0.999, False), (1.001, True)):
            edited = weight[label] + factor * length[:, None] * towards
            after = (edited * inputs).sum(axis=1)
            assert ((after > 0) != (logits[:, label] > 0)).all() == changes
        for _ in range(50):
            way = generator.normal(size=towards.shape)
            way *= 0.999 * (length / np.linalg.norm(way, axis=1))[:, None]
            after = ((weight[label] + way) * inputs).sum(axis=1)
            assert ((after > 0) == (logits[:, label] > 0)).all()
        row = np.linalg.norm(weight[label, :-1])
        mine = table[table["label"] == name]
        assert (mine["half"] * row >= length.min() - 1e-5).all()
        assert (mine["half"] * row <= length.max() + 1e-5).all()


def test_thresholds_are_for_all_labels_or_by_name(folder: Path, plant: PlantedLabels) -> None:
    texts = list(plant.texts[:40])
    probability = expit(plant.logits(NeuronSet.of({}))[:40])
    whole = Classifier.load(str(folder / "model"))
    np.testing.assert_allclose(whole.predict_proba(texts), probability, atol=1e-6)
    for given, limits in ((0.44, (0.44, 0.44, 0.44)), ({"beta": 0.6}, (0.5, 0.6, 0.5))):
        found = whole.at_threshold(given).predict(texts)
        expected = ["|".join(np.array(LABELS)[row]) for row in probability > limits]
        assert found == expected
    assert whole.at_threshold(0.44).decision.in_words(LABELS).endswith("is above 0.44")


def test_every_table_and_figure_is_declared(result: AuditResult) -> None:
    for name in result.tables:
        path = name if name in ("effects", *TABLES) else f"findings/{name}"
        assert path in TABLES, name
        assert problem_of(path, result.table(name)) == "", name
    for keys, _ in walk(result.summary):
        assert entry_of(keys) is not None, keys
    errors = list(Draft202012Validator(json_schema()).iter_errors(result.summary))
    assert errors == []


def test_the_report_shows_every_section_and_names_what_is_left_out(result: AuditResult) -> None:
    found = contents(result)
    shown = {name for chapter in found.chapters.values() for name in chapter.sections}
    assert shown == set(SET_SECTIONS)
    left_out = [one.label for one in found.chapters["trust"].missing]
    assert left_out == list(NOT_COVERED.values())
    assert all("--label NAME" in one.command for one in found.chapters["trust"].missing)
    assert {row.link for row in found.cover.rows} <= set(SET_SECTIONS)
    page = render(result, "md")
    assert not re.search(r"\bnan\b|None", page)
    assert "Micro F1" in found.cover.verdict


def test_a_finished_run_is_found_finished(result: AuditResult, folder: Path) -> None:
    before = (result.folder / "summary.json").read_bytes()
    again = audit(make_config(options(folder)), folder / "run")
    assert (again.folder / "summary.json").read_bytes() == before
    assert again.manifest["not_covered"] == list(NOT_COVERED.values())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--threshold", "delta=0.3"], "choices: alpha, beta, gamma"),
        (["--threshold", "1.5"], "threshold 1.5 for 'alpha' given"),
        (["--label-column", "text"], "is none of the model's"),
        (["--label-column", "tags"], "tags"),
        (["--benign", "alpha"], "--benign given with a model of several labels"),
        (["--faults", "5"], "--faults given with a model of several labels"),
        (["--seeds", "2"], "--seeds given with a model of several labels"),
        (["--label", "alpa"], "did you mean 'alpha'"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path, tmp_path: Path, command: CommandLine, given: list[str], said: str
) -> None:
    data = ["--data", str(folder / "rows.csv"), "--out", str(tmp_path / "run")]
    found = command("run", folder / "model", *data, *given)
    assert found.code == 2 and len(found.errors) == 1, found.stderr
    assert said in found.errors[0]
    assert not (tmp_path / "run" / "summary.json").exists()


def test_rows_and_model_must_agree_on_sets(folder: Path, plant: PlantedLabels) -> None:
    classifier = Classifier.load(str(folder / "model"))
    rows = plant.frame().assign(labels=[LABELS[i % 3] for i in range(len(plant.texts))])
    with pytest.raises(UsageError, match=r"one class per example given.*several=True"):
        subject_of(classifier, load_data(rows, classes=LABELS))


def test_a_run_of_sets_is_not_compared(
    result: AuditResult, tmp_path: Path, command: CommandLine
) -> None:
    found = command("compare", result.folder, result.folder, "--out", tmp_path / "other.html")
    assert found.code == 2 and "several labels per example" in found.errors[0]


def test_sets_are_written_row_by_row(result: AuditResult, clean: dict[str, np.ndarray]) -> None:
    table = result.table("set_predictions")
    mine = table[table["split"] == "evaluate"]
    said = mine["predicted"].to_numpy(bool).reshape(-1, 3)
    assert (encoded(said) == encoded(clean["said"])).all()
    assert (mine["present"].to_numpy(bool).reshape(-1, 3) == clean["true"]).all()
