"""Assembles the commands and turns errors into exit codes.

| code | meaning |
|---|---|
| 0 | done |
| 1 | the policy of ``check`` is violated |
| 2 | bad usage or bad input: one line on stderr |
| 130 | interrupted; the same command resumes |
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from synapse_audit.cli.inspect import inspect
from synapse_audit.cli.report import report
from synapse_audit.cli.run import run
from synapse_audit.errors import AuditError

INTERRUPTED = 130

app = typer.Typer(
    name="synapse-audit",
    help="Find out where a Transformer classifier keeps what it knows, how much can be taken away "
    "before it breaks, which class breaks first, and how small an edit redirects it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command()(report)
app.command()(inspect)


def _version(wanted: bool) -> bool:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"synapse-audit {version('synapse-audit')}")
        raise typer.Exit
    return wanted


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options before the command."""


def main() -> None:
    """Entry point of the ``synapse-audit`` command."""
    # Progress is ours to show; a library's own bars and advice would break up the lines.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app()
    except AuditError as error:
        typer.echo(f"synapse-audit: {' '.join(str(error).split())}", err=True)
        sys.exit(2)
    except SystemExit as stop:  # typer turns KeyboardInterrupt into this
        if stop.code == INTERRUPTED:
            typer.echo("synapse-audit: interrupted; the same command goes on from here", err=True)
        raise
