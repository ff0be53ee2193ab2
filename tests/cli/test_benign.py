"""``--benign``: the detection view from the command line to the report."""

import json
from pathlib import Path

import pandas as pd
import pytest
from only_findings import only_findings
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from cli.calling import CommandLine
from synapse_audit.store import AuditResult


def test_a_class_that_is_none_is_refused_with_the_choices(
    cli: CommandLine, single: Path, tmp_path: Path
) -> None:
    data = ("--data", single / "rows.csv")
    called = cli("run", single / "model", *data, "--out", tmp_path / "run", "--benign", "plane")
    assert called.code == 2
    assert called.errors == [
        "synapse-audit: benign class 'plane' given; did you mean 'plain'? "
        "choices: plain, alpha, beta, gamma"
    ]


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("benign") / "grid.toml"
    path.write_text(
        'preset = "quick"\nresamples = 100\nexact = true\nbenign = "plain"\n[grid]\n'
        "fractions = [0.1875]\nlayer_fractions = []\ndraws = 2\nbudgets = [1.0]\n"
        "constants = [1.0]\ntemperatures = [2.0]\nlogit_noise = [1.0]\n",
        encoding="utf-8",
    )
    return path


def test_the_view_is_in_the_run_folder(
    cli: CommandLine, single: Path, grid: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    data = ("--data", single / "rows.csv")
    with only_findings("calibration", "detection", "redundancy"):
        called = cli("run", single / "model", *data, "--out", out, "--config", grid)
    assert called.code == 0, called.stderr
    result = AuditResult.load(out)
    assert result.manifest["config"]["benign"] == "plain"
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    rows = result.predictions.query("split == 'evaluate'")
    logits = rows[[c for c in rows.columns if c.startswith("logit_")]].to_numpy()
    benign = softmax(logits, axis=1)[:, 0]
    area = roc_auc_score(rows["label"] != 0, 1 - benign, sample_weight=rows["weight"])
    assert summary["detection"]["auc"]["value"] == pytest.approx(area)
    assert set(summary["calibration"]) >= {"ece", "temperature", "wrong_confidence"}
    cells = result.findings["detection"]["cells"].query("space == 'logit'")
    assert set(cells["operator"]) == {"shift", "temperature", "noise"}
    warm = cells.query("operator == 'temperature'").iloc[0]
    assert (warm["missed_rise"], warm["false_rise"]) == (0.0, 0.0), "no prediction changes"
    effects = result.effects.query("operator == 'temperature'")
    assert (effects["flip_rate"] == 0).all() and (effects["mean_kl"] > 0).all()
    assert isinstance(effects, pd.DataFrame) and (effects["route"] == "head").all()
    report = (out / "report.html").read_text(encoding="utf-8")
    assert "Does it fail loudly or silently?" in report
