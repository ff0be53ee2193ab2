"""``synapse-audit report``: render a finished run again, without the model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[Path | None, typer.Option(help="HTML file. Default: RUN/report.html.")] = None,
) -> None:
    """Render report.html again from a run folder; no model is needed."""
    from synapse_audit.report import render
    from synapse_audit.store import AuditResult, RunFolder

    result = AuditResult.load(run)
    target = out or run / "report.html"
    RunFolder(target.parent).write_text(target.name, render(result))
    typer.echo(str(target))
