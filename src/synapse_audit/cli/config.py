"""``synapse-audit config``: a preset as a file to edit."""

from __future__ import annotations

from typing import Annotated

import typer

from synapse_audit.config import PRESETS, commented_toml


def config(
    preset: Annotated[
        str, typer.Option(help=f"Where the file starts from: {', '.join(PRESETS)}.")
    ] = "standard",
) -> None:
    """Print a preset as TOML with every field explained, to be edited for run --config."""
    typer.echo(commented_toml(preset), nl=False)
