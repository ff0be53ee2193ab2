"""``synapse-audit evidence``: files for a model card, an auditor, a bill of materials."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synapse_audit.cli.printing import show
from synapse_audit.errors import UsageError


def evidence(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[Path | None, typer.Option(help="Folder. Default: RUN/evidence.")] = None,
) -> None:
    """Write model-card.md and a CycloneDX model card from a finished run.

    They state measurements with their intervals and what is not covered; they never claim
    conformity. No model is needed.
    """
    from synapse_audit.evidence import FILES
    from synapse_audit.store import finished, write_text

    found = finished(run)
    folder = out or run / "evidence"
    for name, make in FILES.items():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_text(folder / name, make(found))
        except OSError as error:
            raise UsageError(
                f"output '{folder / name}' cannot be written: {error.strerror}"
            ) from error
        show(str(folder / name))
