"""What the saved tables hold: every column's name, kind, unit and meaning, declared once.

A finding takes its columns from here, the report asks for them from here, the store holds files
against them, and ``docs/columns.md`` is made from them (:mod:`synapse_audit.tables.page`). A new
table is a declaration in the module of its finding, in that module's ``TABLES``.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.tables import (
    advice,
    agreement,
    asymmetry,
    attack_surface,
    attention,
    calibration,
    certificates,
    detection,
    directions,
    fault_rate,
    faults,
    guard,
    inputs,
    label_sets,
    membership,
    named_neurons,
    operating,
    paper,
    pathways,
    redundancy,
    run,
    seeds,
    sites,
    slices,
    token_means,
    typed,
    vulnerability,
)
from synapse_audit.tables.column import Column
from synapse_audit.tables.table import Table

__all__ = ["TABLES", "Column", "Table", "completed", "problem_of"]

_MODULES = (
    *(
        run,
        redundancy,
        pathways,
        sites,
        attention,
        directions,
        token_means,
        named_neurons,
        asymmetry,
        vulnerability,
        agreement,
    ),
    *(faults, fault_rate, inputs, paper, attack_surface, certificates, calibration, operating),
    *(detection, seeds, slices, typed, membership, advice, guard, label_sets),
)

TABLES: dict[str, Table] = {table.path: table for part in _MODULES for table in part.TABLES}
"""Path below the run folder, without the ending → what the table holds."""


def problem_of(path: str, table: pd.DataFrame) -> str:
    """What a table lacks or holds amiss, in words; empty where it is fine, or not declared."""
    return TABLES[path].problem(table) if path in TABLES else ""


def completed(path: str, table: pd.DataFrame) -> pd.DataFrame:
    """A table of an older run of this schema with the columns added since, missing throughout."""
    return TABLES[path].completed(table) if path in TABLES else table
