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
    from synapse_audit.store import AuditResult, locked, using, write_text, writing

    result = AuditResult.load(run)
    if out is None:
        with locked(run):
            result = AuditResult.load(run)  # what it is now that nobody writes to it
            with using(run):
                page = render(result)
            write_text(run / "report.html", page)
    else:
        with using(run):
            page = render(result)
        with writing(out):
            out.parent.mkdir(parents=True, exist_ok=True)
        write_text(out, page)
    show(str(out or run / "report.html"))
