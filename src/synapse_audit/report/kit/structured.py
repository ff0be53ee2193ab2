"""The report as JSON: the same sentences, rows and tables for another program.

Tables are as shown; unrounded numbers are in each table's ``csv`` and in the run folder.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from synapse_audit.report.kit.contents import Chapter, Contents, Section

SCHEMA = 1
"""Number of this layout."""


def as_json(contents: Contents) -> str:
    """Indented JSON: ``schema``, ``title``, ``cover``, ``chapters``."""
    tree = {
        "schema": SCHEMA,
        "title": contents.title,
        "cover": asdict(contents.cover),
        "chapters": {key: _chapter(chapter) for key, chapter in contents.chapters.items()},
    }
    return json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _chapter(chapter: Chapter) -> dict[str, Any]:
    return {
        "title": chapter.title,
        "sections": {key: _section(section) for key, section in chapter.sections.items()},
        "missing": [asdict(one) for one in chapter.missing],
    }


def _section(section: Section) -> dict[str, Any]:
    """Without figures' specifications, which only Plotly understands."""
    figures = [figure for group in section.groups for figure in group.figures]
    return {
        "label": section.label,
        "heading": section.heading,
        "answer": section.answer,
        "figures": [{"title": figure.title, "alt": figure.alt} for figure in figures],
        "tables": [
            {
                "title": table.title,
                "columns": table.columns,
                "rows": table.rows,
                "csv": table.csv,
                "source": table.source,
            }
            for table in section.tables
        ],
        "reading": section.reading,
        "limits": section.limits,
    }
