"""A comparison as Markdown and as JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd

from synapse_audit.compare.comparison import Comparison
from synapse_audit.compare.sentences import sentences
from synapse_audit.compare.tables import changes_table, figures_table, flips_table
from synapse_audit.report.kit import prose
from synapse_audit.report.kit.markdown import escaped


def markdown(found: Comparison) -> str:
    """Sentences, then the tables."""
    lines = [f"# {escaped(' and '.join(found.names))}", ""]
    lines += [f"- {escaped(text)}" for text in sentences(found)]
    for title, table in _tables(found).items():
        if len(table):
            lines += ["", f"## {title}", "", *_rows(table)]
    return "\n".join(lines) + "\n"


def as_json(found: Comparison) -> str:
    """Sentences, notes and tables; unknown is null."""
    value = {
        "runs": [{"name": n, "folder": str(r.folder)} for n, r in _named(found)],
        "sentences": list(sentences(found)),
        "not_compared": list(found.notes),
        **{
            title.lower().replace(" ", "_"): [
                {str(k): _json(v) for k, v in row.items()} for row in table.to_dict("records")
            ]
            for title, table in _tables(found).items()
        },
    }
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _named(found: Comparison) -> list[tuple[str, Any]]:
    return list(zip(found.names, found.runs, strict=True))


def _tables(found: Comparison) -> dict[str, pd.DataFrame]:
    return {
        "Changed answers": flips_table(found),
        "Paired changes": changes_table(found),
        "Figures": figures_table(found).drop(columns="meaning"),
    }


def _rows(table: pd.DataFrame) -> list[str]:
    head = [f"| {' | '.join(table.columns)} |", "|" + "---|" * len(table.columns)]
    body = [
        "| " + " | ".join(_cell(value) for value in row) + " |"
        for row in table.itertuples(index=False)
    ]
    return [*head, *body]


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return prose.number(value)
    return prose.UNKNOWN if value is None else escaped(value)


def _json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.item() if hasattr(value, "item") else value
