"""Writes ``docs/columns.md``, the page of all tables.

Run ``python -m tables.publish`` in ``tests`` after changing a declaration.
"""

from pathlib import Path

from synapse_audit.tables import TABLES
from synapse_audit.tables.page import columns_page

FILE = Path(__file__).resolve().parents[2] / "docs" / "columns.md"


def text() -> str:
    return columns_page(TABLES.values())


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
