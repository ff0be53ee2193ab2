"""``guard``: from a run to a folder, measured, audited again, compared."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from only_findings import only_findings

from synapse_audit import AuditResult
from synapse_audit.interventions.typed import TYPED
from synapse_audit.pipeline import typed_guard

from .calling import CommandLine


def test_a_guard_is_made_measured_audited_and_compared(
    cli: CommandLine,
    single: Path,
    audited: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(typed_guard, "TYPED", {"append": TYPED["append"]})  # one kind is enough
    audited = shutil.copytree(audited / "run", tmp_path / "run")
    folder = tmp_path / "guard"
    given = (
        "--out",
        folder,
        "--false-alarms",
        0.05,
        "--evaluate",
        "--attack",
        "text",
        "--draws",
        1,
    )
    called = cli("guard", audited, *given)
    assert called.code == 0, called.stderr
    assert called.stdout.splitlines()[-1] == str(folder)
    assert "alarms: 0.05 of inputs like those audited, on average over guards" in called.stdout
    assert "those with few examples alarm more often" in called.stdout
    known = json.loads((folder / "evaluation.json").read_text())
    assert {"1", "16"} == set(known["cost"])

    result = AuditResult.load(audited)
    table = result.table("guard.evaluation").set_index(["kind", "setting"])
    clean = table.loc[("none", "")]
    assert clean["host"] == pytest.approx(result.summary["clean"]["accuracy"]["value"])
    assert clean["host"] == clean["ranges"]
    # A head edit leaves the states clean: there is nothing for a detector of states.
    assert table.loc["head edit", "auc"].isna().all()
    flips = table.loc[("one bit flip", "exponent")]
    assert 0 <= flips["canaries"] <= 1 and flips["draws"] == 4
    assert table.loc["adaptive, inside the ranges", "measure"].eq("redirect").all()
    typed = result.table("guard.typed")
    assert set(typed["attack"]) == {"append", "any"} and (typed["silent"] <= typed["guarded"]).all()
    assert len(known["typed"]) == len(typed)
    assert cli("report", audited).code == 0
    report = (audited / "report.html").read_text()
    assert "What does a guard stop?" in report
    assert "Which typed edits does the guard notice?" in report

    second = tmp_path / "second"
    given = ("--against", audited, "--guard", folder, "--out", second)
    with only_findings("asymmetry", "redundancy", "vulnerability"):
        called = cli("run", single / "model", *given)
    assert called.code == 0, called.stderr
    manifest = AuditResult.load(second).manifest
    assert manifest["model"]["guard"] == str(folder)
    assert manifest["identity"]["guard_sha256"] == manifest["model"]["guard_sha256"]
    called = cli("compare", audited, second)
    assert called.code == 0 and "second names another class than run" in called.stdout
    called = cli("guard", second, "--false-alarms", 0.05)
    assert called.code == 2 and "behind a guard" in called.errors[0]

    other = tmp_path / "other"
    shutil.copytree(single / "model", other)
    file = next(other.glob("*.safetensors"))
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(bytes(content))
    called = cli("guard", audited, "--model", other, "--out", tmp_path / "g")
    assert called.code == 2 and "expected those that were audited" in called.errors[0]
    called = cli("guard", audited, "--evaluate", "--attack", "txt", "--out", tmp_path / "g")
    assert called.code == 2 and "attack 'txt' given; did you mean 'text'" in called.errors[0]
    called = cli("guard", audited, "--false-alarms", 0.0001, "--out", tmp_path / "g")
    assert called.code == 2 and "false-alarm rate 0.0001 given" in called.errors[0]
    assert not (tmp_path / "g").exists()


def test_another_detector_needs_its_package(
    cli: CommandLine, audited: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_ood", None)
    monkeypatch.setitem(sys.modules, "pytorch_ood.detector", None)
    given = ("--detector", "pytorch-ood:KNN", "--out", tmp_path / "g", "--false-alarms", 0.05)
    called = cli("guard", audited / "run", *given)
    assert called.code == 2 and len(called.errors) == 1
    assert "pip install 'synapse-audit[ood]'" in called.errors[0]
    assert not (tmp_path / "g").exists()


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--head", "votes"), "did you mean 'vote'"),
        (("--quantile", 0.7), "quantile 0.7 given"),
        (("--draws", 0), "--draws 0 given"),
        (("--check-every", -1), "check every -1 given"),
        (("--attack", "text"), "--attack text given without --evaluate"),
        (("--detector", "pytorch-ood:KNM"), "did you mean 'pytorch-ood:KNN'"),
    ],
)
def test_bad_options_are_one_line(
    cli: CommandLine, tmp_path: Path, option: tuple[object, ...], said: str
) -> None:
    called = cli("guard", tmp_path / "no-run", "--out", tmp_path / "g", *option)
    assert called.code == 2
    assert len(called.errors) == 1 and said in called.errors[0]
