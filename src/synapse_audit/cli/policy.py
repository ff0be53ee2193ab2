"""``synapse-audit policy``: a policy to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synapse_audit.cli.printing import show


def policy(run: Annotated[Path, typer.Argument(help="Run folder.")]) -> None:
    """Print a commented policy that this run meets, with margins; send it to a file."""
    from synapse_audit.check import suggested_policy
    from synapse_audit.store import finished, using

    with using(run):
        text = suggested_policy(finished(run))
    for line in text.splitlines():
        show(line)
