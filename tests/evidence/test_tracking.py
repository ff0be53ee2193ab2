"""Runs logged to MLflow: a local file store, and what happens without the package."""

import sys
from pathlib import Path

import pytest
from cli.calling import CommandLine
from compare.saved_runs import save_run

from synapse_audit.evidence.tracking import metrics, parameters
from synapse_audit.summary import Figure

FIGURES = {
    "vulnerability": {
        "d.e f": {"redirect": {"0.1": Figure(0.02, 0.01, 0.04)}},
        "d:e f": {"redirect": {"0.1": Figure(0.5)}},
    },
    "sites": Figure.unknown("none was swept"),
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return save_run(tmp_path / "run", figures=FIGURES).folder


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capsys)


def test_names_are_made_fit_and_unknown_is_left_out(run: Path) -> None:
    from synapse_audit.store import finished

    found = metrics(finished(run))
    assert found["clean.accuracy"] == 0.9 and found["clean.accuracy.high"] == 0.93
    assert found["vulnerability._d.e f_.redirect._0.1_.low"] == 0.01
    assert found["vulnerability._d_e f_.redirect._0.1_"] == 0.5
    assert not any(name.startswith("sites") for name in found)
    assert parameters(finished(run))["grid.fractions"] == "[0.1, 0.5]"


def test_figures_of_one_name_are_numbered(tmp_path: Path) -> None:
    figures = {"calibration": {"a:b": Figure(1.0), "a;b": Figure(2.0)}}
    found = metrics(save_run(tmp_path / "twice", figures=figures))
    assert found["calibration._a_b_"] == 1.0 and found["calibration._a_b__2"] == 2.0


def test_without_the_package_one_line_says_what_to_install(
    cli: CommandLine, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    called = cli("evidence", run, "--log", "mlflow")
    assert called.code == 2 and "pip install 'synapse-audit[mlflow]'" in called.errors[0]
    other = cli("evidence", run, "--log", "mlflw")
    assert other.code == 2 and "did you mean" in other.errors[0]


@pytest.mark.filterwarnings("ignore")  # of MLflow and what it imports
def test_a_local_store_holds_parameters_figures_and_report(
    cli: CommandLine, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="the optional package mlflow is not installed")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    store = (tmp_path / "store").as_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    (run / "report.html").write_text("<p>", encoding="utf-8")
    called = cli("evidence", run, "--log", "mlflow")
    assert called.code == 0, called.stderr
    identity = called.stdout.rsplit("mlflow: run ", 1)[1].split()[0]
    found = mlflow.MlflowClient(store).get_run(identity)
    assert found.data.metrics["clean.accuracy.low"] == 0.85
    assert found.data.params["preset"] == "quick"
    assert found.data.tags["data _sha256_"] == "d" * 64
    names = {file.path for file in mlflow.MlflowClient(store).list_artifacts(identity)}
    assert names == {"report.html", "summary.json", "manifest.json"}
