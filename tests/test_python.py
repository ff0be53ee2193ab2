"""What a notebook uses: data frames, predictions, short reprs, the way to a first curve."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from only_findings import only_findings

import synapse_audit as sa
from synapse_audit.artifacts import Brief, brief

pytestmark = pytest.mark.unchecked


@pytest.fixture(scope="module")
def classifier(tiny_folder: Path) -> sa.Classifier:
    return sa.Classifier.load(tiny_folder)


# Data.


def test_a_frame_a_path_and_a_name_give_the_same_data(
    classifier: sa.Classifier, tiny_csv: Path, rows: pd.DataFrame
) -> None:
    frame = rows.sample(frac=1, random_state=0).sort_index()  # its own numbers are not used
    named, path, held = (
        sa.load_data(one, classes=classifier.classes) for one in (str(tiny_csv), tiny_csv, frame)
    )
    assert named.sha256 == path.sha256 == held.sha256
    assert held.source == "the data frame"
    assert frame.equals(rows)


def test_a_second_frame_may_be_there_to_fit_on(rows: pd.DataFrame) -> None:
    data = sa.load_data(rows.iloc[::2], fit_data=rows.iloc[1::2])
    assert np.bincount(data.origin).tolist() == [len(rows) // 2, len(rows) // 2]


def test_class_names_are_those_of_the_labels_where_nobody_gives_them(rows: pd.DataFrame) -> None:
    data = sa.load_data(rows)
    assert data.classes == tuple(sorted(rows["label"].unique()))
    assert [data.classes[i] for i in data.labels] == rows["label"].tolist()


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame({"text": ["a", "b"], "label": [0, 1]}), "label '0' of 'the data frame' is a"),
        (pd.DataFrame({"text": ["a", "b"], "label": ["x", "1.5"]}), "label '1.5'"),
        (pd.DataFrame({"text": [], "label": []}), "holds no rows; .* columns: text, label"),
        (pd.DataFrame([["a", "b"]], columns=["text", "text"]), "two columns 'text'"),
        (pd.DataFrame({"text": ["a", None], "label": ["x", "y"]}), "holds no text in 1 of 2 rows"),
    ],
)
def test_a_frame_that_will_not_do_is_refused_in_one_line(frame: pd.DataFrame, words: str) -> None:
    with pytest.raises(sa.DataError, match=words):
        sa.load_data(frame)


def test_classes_in_another_order_than_the_models_are_refused_before_they_mislead(
    classifier: sa.Classifier, rows: pd.DataFrame
) -> None:
    data = sa.load_data(rows, classes=classifier.classes[::-1])
    splits = sa.split(data)
    found = sa.extract(classifier, classifier.encode(data.inputs), fit=splits.fit)
    context = sa.RankingContext.of(found.activations, data, splits)
    with pytest.raises(sa.UsageError, match=r"expected load_data\(…, classes=classifier.classes\)"):
        sa.PlanInputs.of(classifier, found, context)


# Predictions.


def test_predictions_are_names_and_their_probabilities_in_the_order_of_the_texts(
    classifier: sa.Classifier, rows: pd.DataFrame
) -> None:
    texts = rows["text"].tolist()[:70]  # three batches
    expected = np.empty((70, len(classifier.classes)))
    for i, text in enumerate(texts):
        batch = classifier.collate(classifier.encode([text]), [0])
        logits = classifier.logits(batch).double().numpy()[0]
        expected[i] = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    # Padding changes the order of sums in float32: logits up to 100 agree to some 1e-4.
    np.testing.assert_allclose(classifier.predict_proba(texts), expected, atol=1e-4)
    names = [classifier.classes[i] for i in expected.argmax(axis=1)]
    assert classifier.predict(texts) == names
    assert classifier.predict([]) == []


def test_a_text_in_windows_has_the_mean_of_its_windows(tiny_folder: Path) -> None:
    from synapse_audit.model import Window

    whole = sa.Classifier.load(tiny_folder, window=Window(6))
    texts = ["word1 word2 word3 word4 word5 word6 word7", "word9"]
    encoded = whole.encode(texts)
    assert encoded.rows is not None and encoded.rows.tolist() == [0, 0, 1]
    each = [
        whole.logits(whole.collate(encoded, [i])).double().softmax(dim=1).numpy()[0]
        for i in range(3)
    ]
    expected = [(each[0] + each[1]) / 2, each[2]]
    np.testing.assert_allclose(whole.predict_proba(texts), expected, atol=1e-5)


# How values show themselves.


def test_no_repr_contains_a_text_and_none_is_long(
    classifier: sa.Classifier, rows: pd.DataFrame
) -> None:
    secret = "patient Miller was here"
    frame = rows.assign(text=[f"{secret} {i}" for i in range(len(rows))])
    data = sa.load_data(frame, classes=classifier.classes)
    splits, encoded = sa.split(data), classifier.encode(data.inputs)
    found = sa.extract(classifier, encoded, fit=splits.fit)
    probes = sa.fit_probes(found.activations, data, splits)
    context = sa.RankingContext.of(found.activations, data, splits, probes)
    sources = sa.PlanInputs.of(classifier, found, context)
    plan = sa.plan(sa.build_cells(sources), classifier.n_layers, frozenset())
    shown = (
        *(data, splits, encoded, found, probes[0], context, sources, plan, sources.head),
        *(classifier, sa.rank("probe", context), sources.statistics[0], found.activations),
        sa.Predictions(data.labels, found.logits),
    )
    for value in shown:
        assert "Miller" not in repr(value) and len(repr(value)) < 800, type(value)
    assert repr(data).startswith("<LabelledData: 240 examples of ")
    assert "Inputs" in repr(sa.Inputs(classifier.encoder, classifier.collator, examples=(secret,)))
    assert "Miller" not in repr(
        sa.Inputs(classifier.encoder, classifier.collator, examples=(secret,))
    )


def test_brief_says_what_a_value_holds() -> None:
    assert brief(np.zeros((3, 2), np.float32)) == "float32 (3, 2)"
    assert brief(("a text", "another")) == "2 items"
    assert brief([1]) == "1 item"
    assert brief({"probe": 1, "iou": 2}) == "probe, iou: …"
    assert [brief(one) for one in (0.25, None, "x", np.int64(3))] == ["0.25", "None", "'x'", "3"]
    assert brief("x" * 50) == "'" + "x" * 39 + "…'"
    assert brief(object()) == "<object>"
    assert issubclass(sa.Outcomes, Brief)


# Stage by stage, or at once.


def test_the_way_to_a_first_curve_is_as_the_docs_say(
    classifier: sa.Classifier, rows: pd.DataFrame
) -> None:
    page = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
    section = page.partition("## To the first curve")[2]
    code = section.partition("```python\n")[2].partition("```")[0]
    small = {"layer_fractions": (), "draws": 2, "budgets": (0.5,), "constants": (2.0,)}
    code = code.replace('sa.PRESETS["quick"]', "GRID")
    names = {
        "sa": sa,
        "classifier": classifier,
        "data": sa.load_data(rows, classes=classifier.classes),
        "GRID": sa.PRESETS["quick"].model_copy(update=small),
    }
    exec(code, names)
    effects = names["effects"]
    top = effects.query("operator == 'mean' and selection == 'top' and layers == 'all'")
    curve = top[top["group"] == "removal"].drop_duplicates("fraction")
    assert curve["fraction"].tolist() == list(sa.PRESETS["quick"].fractions)
    assert curve["accuracy_drop"].iloc[-1] > 0.2, "with 80 % silenced little is left"


def test_what_is_in_memory_is_audited_as_what_is_read_from_files(
    classifier: sa.Classifier, tiny_folder: Path, tiny_csv: Path, tmp_path: Path
) -> None:
    grid = {"layer_fractions": (), "draws": 2, "budgets": (), "constants": (), "fractions": (0.5,)}
    grid |= {"operators": ("mean",), "rankings": ("probe",), "compared": (), "max_examples": 240}
    options = {"preset": "quick", "resamples": 100, "grid": grid}
    named = {"model": str(tiny_folder), "data": str(tiny_csv)}
    with only_findings():
        read = sa.audit(sa.make_config(named | options), tmp_path / "read")
    data = sa.load_data(pd.read_csv(tiny_csv), classes=classifier.classes)
    config = sa.make_config({"model": "a model", "data": "a frame"} | options)
    with only_findings():
        held = sa.audit(config, tmp_path / "held", subject=sa.subject_of(classifier, data))
    assert held.manifest["data"]["sha256"] == read.manifest["data"]["sha256"]
    assert held.effects.equals(read.effects)
    wrong = sa.load_data(pd.read_csv(tiny_csv), classes=classifier.classes[::-1])
    with pytest.raises(sa.UsageError, match="expected load_data"):
        sa.subject_of(classifier, wrong)


# What help() and the schema say.


def test_every_field_of_the_configuration_is_explained_in_help_and_in_the_schema() -> None:
    for value in (sa.AuditConfig, sa.Grid, sa.Loading, sa.DataOptions):
        named = getattr(value, "model_fields", None) or [field.name for field in fields(value)]
        for name in named:
            assert f"    {name}: " in str(value.__doc__), (value, name)
    schema = sa.AuditConfig.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        for name, field in part["properties"].items():
            known = field.get("description") or "$ref" in field
            assert known, name
