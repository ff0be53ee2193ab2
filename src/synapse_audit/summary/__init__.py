"""What ``summary.json`` holds: figures, their paths, and what each of them means.

| file | content |
|---|---|
| figure | a value with its interval |
| paths | figures by dotted path |
| entry, catalogue, entries | every figure: meaning, unit, direction |
| schema | the JSON schema, made from the catalogue |
"""

from synapse_audit.summary.catalogue import CATALOGUE, CHOICES, SCHEMA
from synapse_audit.summary.entries import entry_of, is_choice, is_group
from synapse_audit.summary.entry import UNITS, Entry, fits
from synapse_audit.summary.figure import Choice, Figure, to_json
from synapse_audit.summary.paths import Keys, dotted, keys_of, walk
from synapse_audit.summary.schema import json_schema

__all__ = [
    "CATALOGUE",
    "CHOICES",
    "SCHEMA",
    "UNITS",
    "Choice",
    "Entry",
    "Figure",
    "Keys",
    "dotted",
    "entry_of",
    "fits",
    "is_choice",
    "is_group",
    "json_schema",
    "keys_of",
    "to_json",
    "walk",
]
