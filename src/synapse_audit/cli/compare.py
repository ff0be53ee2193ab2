"""``synapse-audit compare``: two or more finished runs beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synapse_audit.cli.printing import show
from synapse_audit.errors import UsageError, choices

FORMATS = ("text", "md", "json")


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; the first is the reference.")],
    *,
    out: Annotated[Path | None, typer.Option(help="Write an HTML page.")] = None,
    format: Annotated[
        str, typer.Option("--format", help=f"One of: {', '.join(FORMATS)}.")
    ] = "text",
) -> None:
    """Compare finished runs: same examples paired, other data and architectures side by side.

    No model is needed.
    """
    from synapse_audit import compare as room
    from synapse_audit.store import finished, using, write_text

    if format not in FORMATS:
        raise UsageError(f"format '{format}' given; {choices(format, FORMATS)}")
    if len(runs) < 2:
        raise UsageError(f"{len(runs)} run given; expected at least 2 run folders")
    with using(*runs):
        found = room.compare([finished(run) for run in runs])
    if format == "text":
        lines = list(room.sentences(found))
    else:
        lines = (room.markdown if format == "md" else room.as_json)(found).splitlines()
    for line in lines:
        show(line)
    if out is not None:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            write_text(out, room.page(found))
        except OSError as error:
            raise UsageError(f"output '{out}' cannot be written: {error.strerror}") from error
        show(str(out))
