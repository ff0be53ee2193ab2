"""What a notebook uses: data frames, predictions, short reprs, parts of one's own, results.

One small audit serves all tests of results; it runs with a ranking and an operator of this file.
"""

import hashlib
import inspect
import json
from dataclasses import fields
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import synapse_audit as sa
from synapse_audit.artifacts import Brief, brief
from synapse_audit.interventions.operators import Rewrite

pytestmark = pytest.mark.unchecked

GRID = {
    "fractions": (0.5,),
    "operators": ("mean", "zero", "halve"),
    "layer_fractions": (),
    "draws": 2,
    "rankings": ("probe", "spread"),
    "budgets": (0.5,),
    "constants": (2.0,),
    "attacks": ("deletion", "noise"),
}


def spread(context: sa.RankingContext) -> sa.Ranking:
    fit, layers = context.splits.fit, context.activations.layers
    scores = [layer[fit].std(axis=0).astype(np.float64) for layer in layers]
    return sa.Ranking("any name", dict.fromkeys((sa.GLOBAL, *context.classes), scores))


def halve(statistics: sa.LayerStatistics, cell: sa.Cell) -> Rewrite:
    return Rewrite(np.full_like(statistics.mean, 0.5), np.zeros_like(statistics.mean))


def _config(model: Path, data: Path, **options: object) -> sa.AuditConfig:
    grid = {"max_examples": 120, **GRID}
    given = {"model": str(model), "data": str(data), "preset": "quick", "resamples": 100}
    return sa.make_config({**given, "grid": grid, **options})


@pytest.fixture(scope="module")
def result(
    tiny_folder: Path, tiny_csv: Path, tmp_path_factory: pytest.TempPathFactory
) -> sa.AuditResult:
    folder = tmp_path_factory.mktemp("python") / "run"
    with sa.extended(rankings={"spread": spread}, operators={"halve": halve}):
        return sa.audit(_config(tiny_folder, tiny_csv), folder)


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
    classifier: sa.Classifier, rows: pd.DataFrame, result: sa.AuditResult
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
        *(result, result.outcomes, sa.Predictions(data.labels, found.logits)),
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


# Parts of one's own.


def test_a_ranking_and_an_operator_of_ones_own_are_swept_and_their_source_recorded(
    result: sa.AuditResult,
) -> None:
    hashes = {
        f"{kind} {function.__name__}": hashlib.sha256(
            inspect.getsource(function).encode()
        ).hexdigest()
        for kind, function in (("ranking", spread), ("operator", halve))
    }
    assert result.manifest["extensions"] == hashes
    assert result.manifest["identity"]["extensions"] == hashes
    assert "spread" in set(result.rankings["method"])
    assert {"halve", "mean"} <= set(result.effects["operator"])
    assert "spread" in set(result.effects["ranking"].dropna())


def test_what_was_added_is_gone_after_the_block_however_it_ends() -> None:
    with pytest.raises(KeyError), sa.extended(rankings={"spread": spread}):
        assert "spread" in sa.RANKINGS
        raise KeyError
    assert "spread" not in sa.RANKINGS and "halve" not in sa.OPERATORS


def test_a_run_with_parts_of_ones_own_is_resumed_only_with_them(
    result: sa.AuditResult, tiny_folder: Path, tiny_csv: Path
) -> None:
    def other(context: sa.RankingContext) -> sa.Ranking:
        return spread(context)

    config = _config(tiny_folder, tiny_csv)
    added = {"rankings": {"spread": other}, "operators": {"halve": halve}}
    with sa.extended(**added), pytest.raises(sa.RunFolderError, match="ranking spread"):
        sa.audit(config, result.folder)
    with pytest.raises(sa.UsageError, match="operator 'halve' given"):
        sa.audit(config, result.folder)


@pytest.mark.parametrize(
    ("added", "words"),
    [
        ({"rankings": {"probe": spread}}, "ranking 'probe' given, which is taken"),
        ({"operators": {"mean": halve}}, "operator 'mean' given, which is taken"),
        ({"rankings": {"new": partial(spread)}}, "whose source cannot be found"),
    ],
)
def test_what_cannot_be_added_is_refused(added: dict, words: str) -> None:
    with pytest.raises(sa.UsageError, match=words), sa.extended(**added):
        pass


def test_a_ranking_of_ones_own_must_score_every_neuron(
    classifier: sa.Classifier, rows: pd.DataFrame
) -> None:
    def short(context: sa.RankingContext) -> sa.Ranking:
        return sa.Ranking("short", {sa.GLOBAL: [np.zeros(3)]})

    data = sa.load_data(rows, classes=classifier.classes)
    splits = sa.split(data)
    found = sa.extract(classifier, classifier.encode(data.inputs), fit=splits.fit)
    context = sa.RankingContext.of(found.activations, data, splits)
    words = r"\(3,\) neurons for all classes; expected \(32, 32"
    with sa.extended(rankings={"short": short}), pytest.raises(sa.UsageError, match=words):
        sa.rank("short", context)


def test_workers_of_another_process_do_not_have_what_was_added(
    tiny_folder: Path, tiny_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synapse_audit.pipeline.stages.subject.check_engine", lambda config: None)
    config = _config(tiny_folder, tiny_csv, engine="ray")
    added = {"rankings": {"spread": spread}, "operators": {"halve": halve}}
    words = "ranking spread, operator halve of your own"
    with sa.extended(**added), pytest.raises(sa.UsageError, match=words):
        sa.audit(config, tmp_path / "run")


def test_what_is_in_memory_is_audited_as_what_is_read_from_files(
    classifier: sa.Classifier, tiny_folder: Path, tiny_csv: Path, tmp_path: Path
) -> None:
    grid = {"layer_fractions": (), "draws": 2, "budgets": (), "constants": (), "fractions": (0.5,)}
    options = {"grid": {"max_examples": 240, **grid}}
    read = sa.audit(_config(tiny_folder, tiny_csv, **options), tmp_path / "read")
    data = sa.load_data(pd.read_csv(tiny_csv), classes=classifier.classes)
    held = sa.audit(
        _config(Path("a model"), Path("a frame"), **options),
        tmp_path / "held",
        subject=sa.subject_of(classifier, data),
    )
    assert held.manifest["data"]["sha256"] == read.manifest["data"]["sha256"]
    assert held.effects.equals(read.effects)
    wrong = sa.load_data(pd.read_csv(tiny_csv), classes=classifier.classes[::-1])
    with pytest.raises(sa.UsageError, match="expected load_data"):
        sa.subject_of(classifier, wrong)


# Results.


def test_tables_are_had_by_name(result: sa.AuditResult) -> None:
    assert result.table("effects").equals(result.effects)
    removal = result.table("redundancy.removal")
    assert removal.equals(result.findings["redundancy"]["removal"])
    assert set(result.tables) > {"effects", "rankings", "redundancy.removal"}
    with pytest.raises(sa.UsageError, match="did you mean 'effects'"):
        result.table("efects")


def test_the_summary_is_a_frame_of_all_its_figures(result: sa.AuditResult) -> None:
    frame = result.summary_frame().set_index("figure")
    accuracy = result.summary["clean"]["accuracy"]
    row = frame.loc["clean.accuracy"]
    assert (row["value"], row["low"], row["high"]) == (
        accuracy["value"],
        accuracy["low"],
        accuracy["high"],
    )
    assert json.dumps(result.summary).count('"value"') == len(frame)


def test_all_tables_are_written_as_csv_and_read_back_equal(
    result: sa.AuditResult, tmp_path: Path
) -> None:
    files = result.to_csv(tmp_path / "new" / "tables")
    assert {file.stem for file in files} == {"summary", *result.tables}
    assert sorted(files) == sorted((tmp_path / "new" / "tables").iterdir())
    back = pd.read_csv(tmp_path / "new" / "tables" / "rankings.csv")
    np.testing.assert_allclose(back["score"], result.rankings["score"])
    assert back["method"].tolist() == result.rankings["method"].tolist()


def test_a_figure_of_the_report_is_a_plotly_figure(result: sa.AuditResult) -> None:
    import plotly.graph_objects as go

    figure = result.figure("removal")
    assert isinstance(figure, go.Figure)
    assert figure.layout.title.text == "Mean: each neuron held at its average"
    assert '"@' not in figure.to_json(), "every colour is a colour"
    top = next(trace for trace in figure.data if trace.name == "top-ranked")
    removal = result.table("redundancy.removal")
    drawn = removal.query("operator == 'mean' and selection == 'top' and ranking == 'probe'")
    np.testing.assert_allclose(top.y, drawn["accuracy"], rtol=1e-4)  # five digits are drawn
    zero = result.figure("removal", title="Zero: each neuron set to 0")
    assert zero.layout.title.text == "Zero: each neuron set to 0"
    kept = result.figure("removal", group="Only a share kept, all else silenced")
    assert {trace.name for trace in kept.data} >= {"top-ranked kept", "random kept"}


@pytest.mark.parametrize(
    ("section", "title", "words"),
    [
        ("removl", None, "did you mean 'removal'"),
        ("removal", "Zero", "figure 'Zero' given; .*Zero: each neuron set to 0"),
        ("method", None, "this run has no figure there"),
    ],
)
def test_a_figure_that_is_not_there_is_named(
    result: sa.AuditResult, section: str, title: str | None, words: str
) -> None:
    with pytest.raises(sa.UsageError, match=words):
        result.figure(section, title=title)


def test_a_result_shows_its_figures_in_a_notebook(result: sa.AuditResult) -> None:
    shown = result._repr_html_()
    assert "clean.accuracy" in shown and "<table" in shown
    assert repr(result) == f"<AuditResult of {result.summary['model']!r} in '{result.folder}'>"


def test_neither_the_run_folder_nor_the_report_nor_the_csv_holds_a_text(
    result: sa.AuditResult, rows: pd.DataFrame, tmp_path: Path
) -> None:
    texts = [text.encode() for text in rows["text"]]
    (tmp_path / "report.html").write_text(sa.render(result), encoding="utf-8")
    result.to_csv(tmp_path)
    files = [p for f in (result.folder, tmp_path) for p in f.rglob("*") if p.is_file()]
    assert len(files) > 50
    held = {file.name for file in files for text in texts if text in file.read_bytes()}
    assert held == set()
    # Compressed tables would hide a text: their columns are looked at as well.
    for file in result.folder.rglob("*.parquet"):
        words = pd.read_parquet(file).astype(str).to_csv()
        assert not any(text.decode() in words for text in texts), file.name


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
