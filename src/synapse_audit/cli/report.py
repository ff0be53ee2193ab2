"""``synapse-audit report``: render a finished run again, without the model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synapse_audit.cli.printing import show


def report(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[Path | None, typer.Option(help="HTML file. Default: RUN/report.html.")] = None,
) -> None:
    """Render report.html again from a run folder; no model is needed."""
    from synapse_audit.report import render
    from synapse_audit.store import AuditResult, locked, write_text

    if out is None:
        AuditResult.load(run)  # nothing is written to what is no run
        with locked(run):
            write_text(run / "report.html", render(AuditResult.load(run)))
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text(out, render(AuditResult.load(run)))
    show(str(out or run / "report.html"))
