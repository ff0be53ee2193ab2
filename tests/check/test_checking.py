"""A run against a policy, through the command line; the files it writes."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli.calling import CommandLine
from compare.saved_runs import CLASSES, save_run

from synapse_audit.check import check, read_policy, suggested_policy
from synapse_audit.store import finished
from synapse_audit.summary import Figure, dotted, walk

from .policies import FIGURES, VERDICTS, policy_of, rule


def test_three_answers_and_exit_code_1(cli: CommandLine, run: Path, tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    called = cli("check", run, "--policy", policy_of(tmp_path), "--json", found)
    assert called.code == 1
    answers = json.loads(found.read_text(encoding="utf-8"))
    assert [row["answer"] for row in answers["rules"]] == VERDICTS
    assert [row["fails"] for row in answers["rules"]] == [False, True, False, True, False]
    whys = [row["why"] for row in answers["rules"]]
    # The lower half width is 0.2, the distance 0.1: four times the 40 examples.
    assert "about 160 examples of rare would show it supported (40 now)" in whys[2]
    assert "no site besides" in whys[3]
    assert "--preset standard" in whys[4]
    assert (answers["passed"], answers["badge"]["color"]) == (False, "red")
    assert "failed: 1 supported, 1 contradicted, 3 not shown" in called.stdout


def test_exit_code_0_where_every_rule_is_supported_or_warns(
    cli: CommandLine, run: Path, tmp_path: Path
) -> None:
    text = 'on_not_shown = "warn"\n' + rule("clean.accuracy", at_least=0.88)
    assert cli("check", run, "--policy", policy_of(tmp_path, text)).code == 0
    assert (
        cli("check", run, "--policy", policy_of(tmp_path, text.replace("warn", "fail"))).code == 1
    )


def test_github_gets_annotations_and_a_summary(
    cli: CommandLine, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    policy = policy_of(tmp_path)
    called = cli("check", run, "--policy", policy)
    commands = [line for line in called.stdout.splitlines() if line.startswith("::")]
    assert [re.match(r"::(\w+) file=", c)[1] for c in commands] == [
        *("error", "warning", "error", "warning"),
    ]  # fmt: skip
    assert f"::error file={policy},line=11,title=sites | <b>%2C 100 %25%3A all::" in called.stdout
    text = summary.read_text(encoding="utf-8")
    assert "### synapse-audit: failed" in text
    assert "sites \\| \\<b\\>, 100 %: all" in text


def test_without_github_there_are_no_commands(cli: CommandLine, run: Path, tmp_path: Path) -> None:
    assert "::" not in cli("check", run, "--policy", policy_of(tmp_path)).stdout


def test_markdown_and_badge(cli: CommandLine, run: Path, tmp_path: Path) -> None:
    text, badge = tmp_path / "a" / "found.md", tmp_path / "badge.json"
    policy = policy_of(tmp_path, rule("clean.accuracy", at_least=0.8))
    called = cli("check", run, "--policy", policy, "--markdown", text, "--badge", badge)
    assert called.code == 0
    assert "| ✓ supported |" in text.read_text(encoding="utf-8")
    found = json.loads(badge.read_text(encoding="utf-8"))
    assert found["message"] == "1/1 shown" and found["schemaVersion"] == 1


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        ("redundancy.platoe", "did you mean redundancy.plateau"),
        ('vulnerability."d.e g".redirect."0.1"', 'did you mean vulnerability."d.e f"'),
        ("nonsense", "see summary.json"),
        ("asymmetry.most_fragile", "is a name"),
        ("baseline.flip_rate", "expected --baseline RUN"),
    ],
)
def test_figures_that_there_are_not(
    cli: CommandLine, run: Path, tmp_path: Path, figure: str, said: str
) -> None:
    called = cli("check", run, "--policy", policy_of(tmp_path, rule(figure, at_most=0.5)))
    assert called.code == 2
    assert len(called.errors) == 1 and said in called.errors[0]


def damaged(run: Path, how: str) -> None:
    summary, manifest = run / "summary.json", run / "manifest.json"
    if how == "no run":
        manifest.unlink()
    elif how == "unfinished":
        summary.unlink()
    elif how == "running":
        manifest.write_text(manifest.read_text().replace("complete", "running"), encoding="utf-8")
    elif how == "cut":
        summary.write_text(summary.read_text()[:-40], encoding="utf-8")
    elif how == "list":
        summary.write_text("[]", encoding="utf-8")
    elif how == "older":
        found = json.loads(summary.read_text())
        del found["schema"]
        summary.write_text(json.dumps(found), encoding="utf-8")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("no run", "expected a folder with manifest.json"),
        ("unfinished", "is not finished"),
        ("running", "is not finished"),
        ("cut", "summary.json"),
        ("list", "summary.json"),
        ("older", "schema 1; expected 3"),
    ],
)
def test_folders_that_are_no_finished_run(
    cli: CommandLine, run: Path, tmp_path: Path, how: str, said: str
) -> None:
    damaged(run, how)
    for command in (["policy", run], ["check", run, "--policy", policy_of(tmp_path)]):
        called = cli(*command)
        assert called.code == 2, called
        assert len(called.errors) == 1 and said in called.errors[0]


def test_an_output_that_cannot_be_written(cli: CommandLine, run: Path, tmp_path: Path) -> None:
    called = cli("check", run, "--policy", policy_of(tmp_path), "--junit", tmp_path)
    assert called.code == 2
    assert len(called.errors) == 1 and str(tmp_path) in called.errors[0]


def test_a_run_meets_the_policy_made_from_it(run: Path, tmp_path: Path) -> None:
    result = finished(run)
    text = suggested_policy(result)
    report = check(result, read_policy(policy_of(tmp_path, text)))
    assert len(report.answers) == 4, "a plateau of at least 0 says nothing"
    assert {answer.verdict for answer in report.answers} == {"supported"}
    assert 'figure = \'vulnerability."d.e f".redirect."0.1"\'' in text
    # Half of the interval's width (0.2) beyond its lower end.
    assert "figure = 'redundancy.half_point'\nat_least = 0.3" in text


# ---- against a baseline --------------------------------------------------------------------------

LABELS = np.repeat([0, 1, 2, 3], 100)


def with_wrong(n: int) -> np.ndarray:
    """The first n answers of class 0 are wrong."""
    answers = LABELS.copy()
    answers[:n] = 1
    return answers


def against(tmp_path: Path, text: str, n: int = 40, **baseline: Any) -> list[str]:
    earlier = save_run(
        tmp_path / "earlier", LABELS.tolist(), LABELS.tolist(), figures=FIGURES, **baseline
    )
    later = save_run(tmp_path / "later", LABELS.tolist(), with_wrong(n).tolist(), figures=FIGURES)
    report = check(later, read_policy(policy_of(tmp_path, text)), earlier)
    return [answer.verdict for answer in report.answers]


def test_flips_and_regressions_are_paired(tmp_path: Path) -> None:
    text = (
        rule("baseline.flip_rate", at_most=0.15)
        + rule("baseline.flip_rate_of.a", at_most=0.2)
        + rule("baseline.recall_drop.a", at_most=0.1)
        + rule("baseline.precision_drop.b", at_most=0.1)
        + rule("clean.accuracy", max_regression=0.05)
        + rule("redundancy.half_point", max_regression=0.05)
        + rule("redundancy.half_point", at_least=0.1)
    )
    # 40 of 400 answers differ: 0.1 of all, 0.4 of class a; nobody measured the curve again.
    expected = ["supported", *["contradicted"] * 4, "not shown", "supported"]
    assert against(tmp_path, text) == expected


def test_a_figure_that_is_not_paired_says_so_and_why(tmp_path: Path) -> None:
    labels = LABELS.tolist()
    one = save_run(tmp_path / "one", labels, labels, figures=FIGURES)
    other = save_run(tmp_path / "two", labels, with_wrong(40).tolist(), figures=FIGURES)
    text = rule("redundancy.half_point", max_regression=0.05)
    text += rule("clean.accuracy", max_regression=0.05)
    found = check(other, read_policy(policy_of(tmp_path, text)), one).answers
    assert found[0].why.endswith(
        "; not paired, so with a wider interval: a run folder has no effects.parquet"
    )
    assert "paired" not in found[1].why


def test_a_figure_added_after_the_run_was_written_is_not_shown(run: Path, tmp_path: Path) -> None:
    report = check(finished(run), read_policy(policy_of(tmp_path, rule("typed.any", at_most=0.1))))
    (answer,) = report.answers
    assert answer.verdict == "not shown"
    assert answer.why == "the run was written before 'typed' was added: audit again"


def test_rules_that_another_grid_would_falsify_are_not_decided(tmp_path: Path) -> None:
    text = rule("redundancy.plateau", max_regression=0.9) + rule("baseline.flip_rate", at_most=0.5)
    assert against(tmp_path, text, fractions=(0.2,)) == ["not shown", "supported"]


def test_on_other_data_nothing_is_compared(tmp_path: Path) -> None:
    text = rule("clean.accuracy", max_regression=0.9) + rule("baseline.flip_rate", at_most=0.5)
    assert against(tmp_path, text, data="e" * 64) == ["not shown", "not shown"]


def test_a_regression_of_what_has_no_direction_is_refused(
    cli: CommandLine, run: Path, tmp_path: Path
) -> None:
    figures = {"redundancy": {"chance": Figure(0.3, 0.2, 0.4)}}
    one = save_run(tmp_path / "one", figures=figures).folder
    policy = policy_of(tmp_path, rule("redundancy.chance", max_regression=0.1))
    called = cli("check", one, "--policy", policy, "--baseline", one)
    assert called.code == 2
    assert "higher or lower is better" in called.errors[0]


def test_every_figure_of_a_run_can_be_named(run: Path, tmp_path: Path) -> None:
    result = finished(run)
    known = [keys for keys, figure in walk(result.summary) if figure.known]
    assert len(known) > 5 and CLASSES[3] in known[-2]
    text = "".join(rule(dotted(keys), at_least=0.0) for keys in known)
    assert len(check(result, read_policy(policy_of(tmp_path, text))).answers) == len(known)
