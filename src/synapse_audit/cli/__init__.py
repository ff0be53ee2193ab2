"""The command line: one file per command."""

from synapse_audit.cli.main import main

__all__ = ["main"]
