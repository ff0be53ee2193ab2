"""``synapse-audit evidence``: files for a model card, an auditor, a bill of materials."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synapse_audit.cli.printing import show
from synapse_audit.errors import UsageError, choices


def evidence(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[Path | None, typer.Option(help="Folder. Default: RUN/evidence.")] = None,
    log: Annotated[
        str | None,
        typer.Option(help="Log the run too: mlflow, where MLFLOW_TRACKING_URI says."),
    ] = None,
) -> None:
    """Write model-card.md and a CycloneDX model card from a finished run.

    They state measurements with their intervals and what is not covered; they never claim
    conformity. No model is needed.
    """
    from synapse_audit.evidence import FILES, LOGS
    from synapse_audit.store import finished, using, write_text

    if log is not None and log not in LOGS:
        raise UsageError(f"log '{log}' given; {choices(log, LOGS)}")
    found = finished(run)
    folder = out or run / "evidence"
    for name, make in FILES.items():
        with using(run):
            text = make(found)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_text(folder / name, text)
        except OSError as error:
            raise UsageError(
                f"output '{folder / name}' cannot be written: {error.strerror}"
            ) from error
        show(str(folder / name))
    if log is not None:
        show(f"{log}: run {LOGS[log](found)}")
