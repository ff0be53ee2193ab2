"""``python -m synapse_audit``."""

from synapse_audit.cli import main

main()
