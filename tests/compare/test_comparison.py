"""Whole comparisons from folders written by hand, through the command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli.calling import CommandLine

from synapse_audit.compare import compare, markdown, page, sentences
from synapse_audit.compare.comparable import comparable
from synapse_audit.compare.figures import Row
from synapse_audit.store import finished
from synapse_audit.summary import CATALOGUE, Entry, Figure, dotted

from .saved_runs import save_run

LABELS = np.repeat([0, 1, 2, 3], [2000, 1950, 50, 1000])


def before() -> np.ndarray:
    """``rare`` (class 2): 40 of 50 found, 8 others taken for it."""
    answers = LABELS.copy()
    answers[np.flatnonzero(LABELS == 2)[:10]] = 0
    answers[np.flatnonzero(LABELS == 0)[:8]] = 2
    return answers


def after() -> np.ndarray:
    """``rare``: all 50 found, 52 others taken for it."""
    answers = LABELS.copy()
    answers[np.flatnonzero(LABELS == 1)[:52]] = 2
    return answers


def figures(plateau: float) -> dict[str, Any]:
    return {
        "redundancy": {
            "plateau": Figure(plateau, plateau - 0.05, plateau + 0.05),
            "chance": Figure(0.4),
        },
        "silenced": {"accuracy": {"0.1": Figure(0.8, 0.75, 0.85), "0.5": Figure(0.5, 0.4, 0.6)}},
        "certificates": {"l2": {"0.1": Figure(0.7, 0.6, 0.8)}},
    }


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    labels = LABELS.tolist()
    one = save_run(tmp_path / "fp32", labels, before().tolist(), figures=figures(0.5))
    other = save_run(tmp_path / "int8", labels, after().tolist(), figures=figures(0.2))
    return one.folder, other.folder


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capsys)


def test_a_class_that_accuracy_hides_is_named(cli: CommandLine, pair: tuple[Path, Path]) -> None:
    called = cli("compare", *pair)
    assert called.code == 0
    assert "Accuracy hides what happens to “rare”" in called.stdout
    # Precision moves by .343, recall by .2: the larger one is quoted.
    assert "its precision goes from 0.833 to 0.490" in called.stdout
    assert "recall of “rare” rises by 0.20" in called.stdout
    assert "52 right answers became wrong, 18 wrong ones right" in called.stdout
    # Of four figures: ±.05 twice, as roots of squares, times z(1 − .025/4) / z(.975).
    assert "Worse: redundancy.plateau 0.500 → 0.200 (change −0.390 to −0.210)" in called.stdout


def test_json_holds_the_numbers(cli: CommandLine, pair: tuple[Path, Path]) -> None:
    found = json.loads(cli("compare", *pair, "--format", "json").stdout)
    changes = {(row["figure"], row["class"]): row for row in found["paired_changes"]}
    precision = changes["precision", "rare"]
    assert (precision["first"], precision["second"]) == pytest.approx((40 / 48, 50 / 102))
    assert precision["change_high"] < 0 and precision["p"] < 0.05
    assert changes["accuracy", None]["change"] == pytest.approx(-34 / 5000)
    plateau = [row for row in found["figures"] if row["figure"] == "redundancy.plateau"]
    assert [row["verdict"] for row in plateau] == [None, "worse"]
    assert plateau[1]["difference"] == pytest.approx(-0.3)
    assert found["not_compared"] == []


def test_markdown_has_the_tables(cli: CommandLine, pair: tuple[Path, Path]) -> None:
    text = cli("compare", *pair, "--format", "md").stdout
    assert "## Paired changes" in text
    assert "| int8 | precision | rare | 0.833 | 0.490 | −0.343 |" in text


def test_the_page_is_written_and_holds_no_link(
    cli: CommandLine, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "compare.html"
    assert cli("compare", *pair, "--out", out).code == 0
    text = out.read_text(encoding="utf-8")
    assert "<h1>fp32 · int8</h1>" in text
    assert "Accuracy hides what happens to" in text
    assert "Change of precision per class" in text
    assert "default-src &#39;none&#39;" in text


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    names = ["<script>alert(1)</script>", "b|c", "rare", "d"]
    runs = [
        save_run(tmp_path / n, LABELS.tolist(), made().tolist(), classes=names)
        for n, made in (("one", before), ("two", after))
    ]
    assert "<script>alert" not in page(compare(runs))


def test_other_data_are_not_paired_and_the_reason_is_named(tmp_path: Path) -> None:
    labels = LABELS.tolist()
    one = save_run(tmp_path / "one", labels, before().tolist(), figures=figures(0.5))
    other = save_run(
        tmp_path / "other", labels, after().tolist(), figures=figures(0.2), data="e" * 64
    )
    found = compare([one, other])
    assert found.pairs[0].flips == () and found.pairs[0].changes == ()
    assert len(found.notes) == 1 and "data differ" in found.notes[0]
    assert not any("became wrong" in text for text in sentences(found))
    assert [row.verdict(0) for row in found.rows if row.keys[1] == "plateau"] == ["worse"]
    assert "Removal" in page(found) and "Changed answers" not in page(found)


def test_other_classes_leave_what_is_free_of_the_task(tmp_path: Path) -> None:
    one = save_run(tmp_path / "one", figures=figures(0.5))
    other = save_run(tmp_path / "two", figures=figures(0.5), classes=("k", "l", "m", "n"))
    found = compare([one, other])
    assert [dotted(row.keys) for row in found.rows] == ["redundancy.plateau"]
    assert "classes differ" in found.notes[0]
    assert [row.verdict(0) for row in found.rows] == ["not shown"]


def test_another_grid_is_marked_and_answers_are_still_paired(tmp_path: Path) -> None:
    labels = LABELS.tolist()
    figured = {"figures": figures(0.5)}, {"figures": figures(0.2)}
    one = save_run(tmp_path / "one", labels, before().tolist(), fractions=(0.1,), **figured[0])
    other = save_run(tmp_path / "two", labels, after().tolist(), fractions=(0.2,), **figured[1])
    found = compare([one, other])
    assert found.pairs[0].flips
    differ = "grid differs: fractions [0.1] against [0.2]"
    assert differ in found.notes[0]
    settings = {dotted(row.keys): row.settings for row in found.rows}
    assert settings["redundancy.plateau"] == (differ,)
    # What is certified, and what is left at one share, is the same whatever other shares are tried.
    assert settings['certificates.l2."0.1"'] == settings['silenced.accuracy."0.1"'] == ("",)
    assert any("(change −0.390 to −0.210, other settings)" in text for text in sentences(found))
    assert "two (other settings)" not in page(found), "no line of a figure reads the shares"
    assert differ in markdown(found).replace("\\", "")


def test_rows_that_a_cap_keeps_are_no_setting_of_the_experiments(tmp_path: Path) -> None:
    one, other = (save_run(tmp_path / name, figures=figures(0.5)) for name in ("one", "two"))
    manifest = json.loads((other.folder / "manifest.json").read_text())
    manifest["config"]["grid"]["max_examples"] = 200
    manifest["data"]["n_used"] -= 1
    (other.folder / "manifest.json").write_text(json.dumps(manifest))
    found = compare([one, finished(other.folder)])
    assert {row.settings for row in found.rows} == {("",)}
    assert (
        "other settings" not in " ".join(sentences(found)) and "rows kept differ" in found.notes[0]
    )


def test_one_answer_is_one_answer_and_no_change_is_no_chance(tmp_path: Path) -> None:
    answers = LABELS.copy()
    answers[0] = 1
    other = answers.copy()
    other[:2] = [0, 1]
    first = save_run(tmp_path / "one", LABELS.tolist(), answers.tolist())
    second = save_run(tmp_path / "two", LABELS.tolist(), other.tolist())
    said = " ".join(sentences(compare([first, second])))
    assert "1 right answer became wrong, 1 wrong one right (McNemar p = 1.000)" in said
    assert "Accuracy is not shown to change (drop" in said and "chance." not in said


def test_confidence_above_accuracy_is_neither_better_nor_worse() -> None:
    """From .04 too sure to .04 too unsure is as far from 0."""
    signed = [entry for entry in CATALOGUE if entry.path.endswith("overconfidence")]
    assert len(signed) == 3
    assert {entry.better for entry in signed} == {"neither"}


def test_other_splits_are_found_out(tmp_path: Path) -> None:
    one = save_run(tmp_path / "one")
    other = save_run(tmp_path / "two", labels=(1, 0, 2, 3))
    common = comparable(one, other)
    assert not common.paired
    assert "splits differ" in common.why_not_paired()


def test_three_runs_are_compared_with_the_first(pair: tuple[Path, Path], tmp_path: Path) -> None:
    from synapse_audit.store import finished

    same = save_run(tmp_path / "same", LABELS.tolist(), before().tolist(), figures=figures(0.5))
    found = compare([finished(pair[0]), finished(pair[1]), same])
    assert [p.flips[0].flips for p in found.pairs] == [70, 0]
    assert any("No class's recall or precision changes" in text for text in sentences(found))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected at least 2 run folders"),
        (["nowhere"], "expected a folder with manifest.json"),
        (["{run}", "--format", "html"], "format 'html' given"),
    ],
)
def test_bad_input_is_one_line(
    cli: CommandLine, pair: tuple[Path, Path], arguments: list[str], said: str
) -> None:
    called = cli("compare", pair[0], *(a.replace("{run}", str(pair[1])) for a in arguments))
    assert called.code == 2
    assert len(called.errors) == 1 and said in called.errors[0]


def test_a_page_that_cannot_be_written(cli: CommandLine, pair: tuple[Path, Path]) -> None:
    called = cli("compare", *pair, "--out", pair[0])
    assert called.code == 2 and len(called.errors) == 1


def test_nothing_here_needs_torch(pair: tuple[Path, Path]) -> None:
    import subprocess
    import sys

    program = (
        "import sys; from synapse_audit.store import finished; from synapse_audit import compare;"
        "found = compare.compare([finished(f) for f in sys.argv[1:]]); compare.page(found);"
        "import synapse_audit.check; print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, pair)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("first", "change", "verdict"),
    [
        (6.0310, Figure(1e-5, 0.5e-5, 1.5e-5), "not shown"),
        (6.0310, Figure(-4e-4, -5e-4, -3e-4), "not shown"),
        (6.0310, Figure(-1e-3, -1.1e-3, -0.9e-3), "worse"),
        (0.2, Figure(3e-4, 2e-4, 4e-4), "better"),
        (0.2, Figure(9e-5, 8e-5, 1e-4), "not shown"),
    ],
)
def test_a_change_below_what_is_stored_is_not_shown(
    first: float, change: Figure, verdict: str
) -> None:
    """A guard that clamps nothing moves a margin of 6.031 by rounding, which means nothing."""
    entry = Entry("clean.margin", "margin", "logits", "higher")
    values = (Figure(first), Figure(first + change.value))
    assert Row(("clean", "margin"), entry, values, (change,), ("",), ("",)).verdict(0) == verdict
