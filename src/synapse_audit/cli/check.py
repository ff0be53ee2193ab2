"""``synapse-audit check``: a run against a policy; exit code 1 where it fails."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synapse_audit.cli.printing import printable, show
from synapse_audit.errors import UsageError

if TYPE_CHECKING:
    from synapse_audit.check import Report

VIOLATED = 1
"""Exit code of a check that fails."""


def check(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    *,
    policy: Annotated[Path, typer.Option(help="TOML file of rules; see the command policy.")],
    baseline: Annotated[
        Path | None, typer.Option(help="Run folder of an earlier model, for rules that compare.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.")] = None,
    sarif: Annotated[Path | None, typer.Option(help="Write SARIF 2.1.0.")] = None,
    json: Annotated[
        Path | None, typer.Option("--json", help="Write all answers, and a badge, as JSON.")
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write a table in Markdown.")] = None,
    badge: Annotated[Path | None, typer.Option(help="Write the badge alone, as JSON.")] = None,
) -> None:
    """Check a run against a policy: supported, contradicted or not shown; exit code 1 if it fails.

    No model is needed.
    """
    from synapse_audit import check as rooms
    from synapse_audit.store import finished, using

    found = rooms.read_policy(policy)
    earlier = finished(baseline) if baseline is not None else None
    with using(run):
        report = rooms.check(finished(run), found, earlier)
    _print_table(report)
    wanted = {"junit": junit, "sarif": sarif, "json": json, "markdown": markdown, "badge": badge}
    for form, file in wanted.items():
        if file is not None:
            _write(file, rooms.FORMATS[form](report))
    _tell_github(report)
    if not report.passed:
        raise typer.Exit(VIOLATED)


def _print_table(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from synapse_audit.check.texts import MARKS, headline

    colors = {"supported": "green", "contradicted": "red", "not shown": "yellow"}
    table = Table(box=None, pad_edge=False)
    for title in ("answer", "rule", "figure (95 % interval)"):
        table.add_column(title, overflow="fold")
    for answer in report.answers:
        said = f"{MARKS[answer.verdict]} {answer.verdict}"
        said += "" if answer.fails or answer.verdict == "supported" else " (warning)"
        cells = (
            Text(said, style=colors[answer.verdict]),
            Text(printable(answer.rule.title)),
            Text(printable(answer.why)),
        )
        table.add_row(*cells)
    console = Console(highlight=False, soft_wrap=False)
    console.print(table)
    show(headline(report))


def _write(file: Path, text: str) -> None:
    from synapse_audit.store import write_text

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, text)
    except OSError as error:
        raise UsageError(f"output '{file}' cannot be written: {error.strerror}") from error


def _tell_github(report: Report) -> None:
    """Annotations and a step summary, where GitHub Actions runs this."""
    from synapse_audit.check.github import workflow_commands
    from synapse_audit.check.texts import markdown

    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in workflow_commands(report):
            show(line)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        try:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(markdown(report) + "\n")
        except OSError as error:
            raise UsageError(
                f"GITHUB_STEP_SUMMARY '{summary}' cannot be written: {error.strerror}"
            ) from error
