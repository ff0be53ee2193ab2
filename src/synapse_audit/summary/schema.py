"""The JSON schema of ``summary.json``, made from the catalogue.

``summary.schema.json`` beside this file is the same, for programs that are not Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from synapse_audit.summary.catalogue import CATALOGUE, CHOICES, SCHEMA
from synapse_audit.summary.entry import UNITS, Entry, is_any

DRAFT = "https://json-schema.org/draft/2020-12/schema"
FIGURE = {"$ref": "#/$defs/figure"}
UNKNOWN = {"$ref": "#/$defs/unknown"}
NUMBER = {"type": ["number", "null"]}

DEFINITIONS: dict[str, Any] = {
    "figure": {
        "description": "A number with its 95 % interval; null where unknown. Further keys say "
        "where it was found.",
        "type": "object",
        "required": ["value", "low", "high"],
        "properties": {
            **dict.fromkeys(("value", "low", "high"), NUMBER),
            "reason": {"description": "Why it is unknown.", "type": "string"},
            "n": {"description": "Examples it rests on.", "type": "integer"},
        },
        "if": {"properties": {"value": {"type": "null"}}},
        "then": {"required": ["reason"]},
    },
    "unknown": {
        "description": "Figures that could not be had, as a whole.",
        "type": "object",
        "required": ["value", "low", "high", "reason"],
        "properties": {end: {"type": "null"} for end in ("value", "low", "high")},
    },
    "choice": {
        "description": "An answer that is a name, and in which share of resamples it came out.",
        "type": "object",
        "required": ["value", "share"],
        "properties": {"value": {"type": "string"}, "share": {"type": "number"}},
    },
}

FACTS: dict[str, Any] = {
    "schema": {"const": SCHEMA},
    "model": {"type": "string"},
    "classes": {"type": "array", "items": {"type": "string"}},
    "n_evaluate": {"type": "integer"},
    "load_bearing": {"type": "array", "items": {"type": "object"}},
    "advice": {"type": "array", "items": {"type": "object"}},
    "cost": {"type": "object"},
}
"""Top-level keys that hold no figures of the catalogue."""


def json_schema() -> dict[str, Any]:
    """JSON schema, draft 2020-12, of ``summary.json``.

    Each figure has ``description``, ``x-unit``, ``x-better`` (higher, lower, neither) and
    ``x-interval`` (see :data:`~synapse_audit.summary.entry.Interval`).
    """
    return {
        "$schema": DRAFT,
        "title": "summary.json of a synapse-audit run",
        "type": "object",
        "required": ["schema", "model", "classes", "n_evaluate", "clean"],
        "properties": FACTS | _properties((), CATALOGUE),
        "$defs": DEFINITIONS,
    }


def _properties(above: Sequence[str], entries: Sequence[Entry]) -> dict[str, Any]:
    """Key → schema of what stands there, for the keys right below ``above``."""
    depth = len(above)
    keys = dict.fromkeys(entry.keys[depth] for entry in entries)
    found = {key: _node((*above, key), entries) for key in keys}
    for path, meaning in CHOICES.items():
        *parents, key = path.split(".")
        if parents == list(above):
            choice = {"$ref": "#/$defs/choice"}
            found[key] = {"anyOf": [UNKNOWN, choice], "description": meaning}
    return found


def _node(keys: tuple[str, ...], entries: Sequence[Entry]) -> dict[str, Any]:
    here = [entry for entry in entries if entry.keys[: len(keys)] == keys]
    below = [entry for entry in here if len(entry.keys) > len(keys)]
    own = [entry for entry in here if len(entry.keys) == len(keys)]
    group = _group(_properties(keys, below)) if below else {}
    if own:
        return _figure(own[0]) | group
    return {"anyOf": [UNKNOWN, {"type": "object"} | group]}


def _group(properties: dict[str, Any]) -> dict[str, Any]:
    named = {key: node for key, node in properties.items() if not is_any(key)}
    others = [node for key, node in properties.items() if is_any(key)]
    return {"properties": named} | ({"additionalProperties": others[0]} if others else {})


def _figure(entry: Entry) -> dict[str, Any]:
    low, high = UNITS[entry.unit]
    return FIGURE | {
        "description": entry.meaning,
        "x-unit": entry.unit,
        "x-range": [end if abs(end) < float("inf") else None for end in (low, high)],
        "x-better": entry.better,
        "x-interval": entry.interval,
    }
