"""``synapse-audit report``: render a finished run again, without the model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synapse_audit.cli.printing import show


def report(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[
        Path | None, typer.Option(help="File to write. Default: RUN/report.html, .md or .json.")
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", help="html, md (for a model card or a wiki) or json.")
    ] = "html",
) -> None:
    """Write the report of a finished run again; no model is needed."""
    from synapse_audit.report import render
    from synapse_audit.store import AuditResult, locked, using, write_text, writing

    target = out or run / f"report.{format_}"
    result = AuditResult.load(run)  # nothing is written to what is no run
    if out is None:
        with locked(run):
            result = AuditResult.load(run)  # what it is now that nobody writes to it
            with using(run):
                text = render(result, format_)
            write_text(target, text)
    else:
        with using(run):
            text = render(result, format_)
        with writing(out):
            out.parent.mkdir(parents=True, exist_ok=True)
        write_text(out, text)
    show(str(target))
