"""Evidence files: the numbers, the gaps, and the schema of CycloneDX."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cli.calling import CommandLine
from compare.saved_runs import save_run
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from markdown_it import MarkdownIt

from synapse_audit.evidence import FILES, cyclonedx, model_card
from synapse_audit.evidence.mapping import CLAUSES
from synapse_audit.evidence.provenance import command
from synapse_audit.store import AuditResult, finished
from synapse_audit.summary import CATALOGUE, Figure

FIGURES: dict[str, Any] = {
    "redundancy": {"plateau": Figure(0.25, 0.1, 0.3), "half_point": Figure.unknown("never")},
    "vulnerability": {"d.e f": {"redirect": {"0.1": Figure(0.02, 0.01, 0.04)}}},
    "inputs": {"attacks": Figure.unknown("no attack on the input was run")},
}


@pytest.fixture
def run(tmp_path: Path) -> AuditResult:
    return save_run(tmp_path / "run | <b>", figures=FIGURES)


def test_the_bill_of_materials_is_valid(run: AuditResult) -> None:
    text = cyclonedx(run)
    assert JsonStrictValidator(SchemaVersion.V1_7).validate_str(text) is None
    broken = json.loads(text)
    broken["components"][0]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"][0]["x"] = 1
    assert JsonStrictValidator(SchemaVersion.V1_7).validate_str(json.dumps(broken)) is not None


def test_metrics_have_slices_and_intervals(run: AuditResult) -> None:
    card = json.loads(cyclonedx(run))["components"][0]["modelCard"]
    metrics = card["quantitativeAnalysis"]["performanceMetrics"]
    found = {metric["type"].partition(":")[0]: metric for metric in metrics}
    accuracy = found["clean.accuracy"]
    assert accuracy["value"] == "0.9" and "slice" not in accuracy
    assert accuracy["confidenceInterval"] == {"lowerBound": "0.85", "upperBound": "0.93"}
    redirect = found['vulnerability."d.e f".redirect."0.1"']
    assert redirect["slice"] == "d.e f"
    assert "redundancy.half_point" not in found, "unknown is left out, never 0"


def test_slices_of_the_data_are_slices_of_the_card(tmp_path: Path) -> None:
    of = {"accuracy": Figure(0.8, 0.7, 0.9, n=50), "recall": {"a": Figure(0.7, 0.6, 0.9)}}
    figures: dict[str, Any] = {
        "slices": {"site": {"<b>x": of}},
        "worst_slice": {"site": {"accuracy": Figure(0.8, 0.6, 0.9, beside={"slice": "<b>x"})}},
    }
    text = cyclonedx(save_run(tmp_path / "sliced", figures=figures))
    card = json.loads(text)["components"][0]["modelCard"]
    metrics = card["quantitativeAnalysis"]["performanceMetrics"]
    sliced = [m for m in metrics if m["type"].startswith(("slices", "worst_slice"))]
    assert [m["slice"] for m in sliced] == ["site=<b>x", "site=<b>x, a", "worst of site"]
    assert sliced[0]["confidenceInterval"] == {"lowerBound": "0.7", "upperBound": "0.9"}
    assert JsonStrictValidator(SchemaVersion.V1_7).validate_str(text) is None


def test_the_same_run_gives_the_same_file(run: AuditResult) -> None:
    assert cyclonedx(run) == cyclonedx(run)


def test_the_card_states_figures_gaps_hashes_and_the_command(run: AuditResult) -> None:
    text = model_card(run)
    assert "| `redundancy.plateau` |" in text and "| 0.250 | 0.100 to 0.300 |" in text
    assert text.count("**not covered**") == sum(not clause.figures for clause in CLAUSES) > 3
    assert "(not in this run)" in text
    digest = hashlib.sha256((run.folder / "summary.json").read_bytes()).hexdigest()
    assert f"| summary.json | {digest} |" in text
    assert "synapse-audit run m --data FILE --preset quick" in text
    assert "does not claim conformity" in text and "Signature" in text
    assert "Asks about (paraphrased)" in text and "is paraphrased here" in text
    assert "complies" not in text and "compliant" not in text
    assert "run \\| \\<b\\>" in text


def test_the_command_states_whatever_is_not_the_default(tmp_path: Path) -> None:
    made = save_run(tmp_path / "run")
    manifest = json.loads((made.folder / "manifest.json").read_text())
    manifest["config"] |= {"data": "d.csv", "max_tokens": 32, "lower_case": True, "label": "joy"}
    (made.folder / "manifest.json").write_text(json.dumps(manifest))
    said = command(finished(made.folder))
    assert "--max-tokens 32" in said and "--label joy" in said and "--lower-case" in said


def test_names_from_a_run_neither_link_nor_format_the_card(tmp_path: Path) -> None:
    """A class name closes no code and opens no picture, whose address would see who reads it."""
    name = "`![x](http://e.x/p.png) www.e.x"
    figures = {"clean": {"accuracy": Figure(0.9, 0.8, 0.95), "recall": {name: Figure(0.5)}}}
    made = save_run(tmp_path / "run", classes=(name, "b", "c", "d"), figures=figures)
    card = model_card(made)
    html = MarkdownIt("commonmark").enable("table").render(card)
    assert "<img" not in html and "<a " not in html and "p.png" in html
    assert "http\\://e.x/p.png) www\\.e.x" in card, "nor is an address linked as it stands"


def test_every_figure_of_the_mapping_is_in_the_catalogue() -> None:
    known = {entry.path for entry in CATALOGUE}
    assert {path for clause in CLAUSES for path in clause.figures} <= known
    assert all(clause.limits for clause in CLAUSES)


def test_the_command_writes_the_files(
    run: AuditResult, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cli = CommandLine(monkeypatch, capsys)
    assert cli("evidence", run.folder).code == 0
    assert {file.name for file in (run.folder / "evidence").iterdir()} == set(FILES)
    blocked = cli("evidence", run.folder, "--out", run.folder / "summary.json")
    assert blocked.code == 2 and len(blocked.errors) == 1
    nothing = cli("evidence", run.folder / "none")
    assert nothing.code == 2 and "expected a folder with manifest.json" in nothing.errors[0]
