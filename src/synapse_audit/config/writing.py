"""A preset as a TOML file in which every field is explained, to be edited and given back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any

from synapse_audit.config.configuration import FLAT, AuditConfig, make_config
from synapse_audit.config.describing import field_docs
from synapse_audit.config.grid import Grid

HEAD = """\
# synapse-audit run [MODEL --data FILE] --config THIS-FILE
# Options of the command win over this file; a line that begins with "# name =" is not set.
"""
WIDTH = 96


def commented_toml(preset: str) -> str:
    """All that a run with this preset would use, one field after the other with its meaning.

    Read back by :func:`make_config` the text gives the preset's own configuration, whatever model
    and data are named beside it.

    Raises:
        UsageError: no such preset.
    """
    config = make_config({"model": "MODEL", "data": "FILE", "preset": preset})
    values = config.flat()
    parts = [HEAD, f"preset = {json.dumps(preset)}\n"]
    for name in AuditConfig.model_fields:
        if name in FLAT:
            parts += _explained(FLAT[name], values)
        elif name in ("model", "data"):
            parts.append(_comment(field_docs(AuditConfig)[name]) + f'# {name} = "…"\n')
        elif name not in ("preset", "grid"):
            parts += _explained(AuditConfig, {name: values[name]})
    parts.append("[grid]\n")
    return "\n".join([*parts, *_explained(Grid, values["grid"])])


def _explained(value: type[Any], values: Mapping[str, Any]) -> Iterator[str]:
    """Each field of ``value`` that is among the values: its meaning, then what it is set to."""
    for name, meaning in field_docs(value).items():
        if name in values:
            set_to = values[name]
            line = f"# {name} =" if set_to is None else f"{name} = {json.dumps(set_to)}"
            yield f"{_comment(meaning)}{line}\n"


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in wrap(text.replace("``", ""), WIDTH))
