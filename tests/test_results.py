"""One audit with a ranking and an operator of this file, and what a notebook does with it."""

import hashlib
import inspect
import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import synapse_audit as sa
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
    assert len(repr(result)) + len(repr(result.outcomes)) < 1600


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
