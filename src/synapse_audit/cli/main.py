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
from typing import Annotated, NoReturn

import typer

from synapse_audit.cli.bad_options import Mistake, explained, shows_help
from synapse_audit.cli.check import check
from synapse_audit.cli.compare import compare
from synapse_audit.cli.config import config
from synapse_audit.cli.evidence import evidence
from synapse_audit.cli.guard import guard
from synapse_audit.cli.inspect import inspect
from synapse_audit.cli.interrupts import INTERRUPTED, noticed
from synapse_audit.cli.policy import policy
from synapse_audit.cli.printing import show
from synapse_audit.cli.report import report
from synapse_audit.cli.run import run
from synapse_audit.errors import AuditError

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
app.command()(config)
app.command()(compare)
app.command()(check)
app.command()(evidence)
app.command()(guard)
app.command()(policy)


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
    with noticed() as interrupts:
        try:
            sys.exit(app(standalone_mode=False) or 0)  # what it returns is an exit code
        except BaseException as end:
            if interrupts.explain(end):
                _say("interrupted; the same command goes on from here")
                sys.exit(INTERRUPTED)
            if isinstance(end, AuditError):
                _say(" ".join(str(end).split()))
                sys.exit(2)
            if isinstance(end, Mistake):
                _refuse(end)
            raise


def _refuse(mistake: Exception) -> NoReturn:
    """Ends with what was wrong about the options, or with the help where there were none."""
    if shows_help(mistake):
        mistake.show()  # type: ignore[attr-defined]
    else:
        _say(" ".join(explained(mistake).split()))
    sys.exit(2)


def _say(line: str) -> None:
    show(f"synapse-audit: {line}", error=True)
