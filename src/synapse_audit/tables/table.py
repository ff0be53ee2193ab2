"""A declared table: its file, what one row is, and its columns in order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from synapse_audit.tables.column import PANDAS, Column

FINDINGS = "findings"

ABSENT = "absent"
"""Key under which a frame's ``attrs`` name columns that its run was written without."""


@dataclass(frozen=True)
class Table:
    """One Parquet file of a run folder; a finding makes exactly these columns, in this order."""

    path: str
    """Below the run folder, without the ending: ``effects``, ``findings/redundancy.removal``."""
    row: str
    """What one row is."""
    columns: tuple[Column, ...]
    optional: tuple[Column, ...] = ()
    """Columns that only some runs have; ``<i>`` in a name stands for a number."""

    @property
    def file(self) -> str:
        """Name of the file in the run folder."""
        return f"{self.path}.parquet"

    @property
    def key(self) -> tuple[str, str]:
        """Name of the finding and of its table; the finding is empty where none made it."""
        folder, _, name = self.path.rpartition("/")
        finding, _, table = name.rpartition(".")
        return (finding, table) if folder == FINDINGS else ("", self.path)

    @property
    def names(self) -> list[str]:
        """Names of the columns, in order."""
        return [column.name for column in self.columns]

    @property
    def types(self) -> dict[str, str]:
        """Column → the pandas type that holds its values and missing ones."""
        return {column.name: PANDAS[column.values.kind] for column in self.columns}

    def column(self, name: str) -> Column:
        """One of the columns.

        Raises:
            KeyError: there is none of that name.
        """
        return {column.name: column for column in self.columns}[name]

    def empty(self) -> pd.DataFrame:
        """The table without a row."""
        return pd.DataFrame(columns=self.names)

    def joined(self, parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
        """Parts below each other, with the table's columns; what a part lacks is missing."""
        filled = [part.reindex(columns=self.names) for part in parts if len(part)]
        return pd.concat(filled, ignore_index=True) if filled else self.empty()

    def problem(self, table: pd.DataFrame) -> str:
        """What a table lacks or holds amiss, in words; empty where it is fine.

        Further columns are fine: a later version may have added them. So is the absence of those
        that were added later than the table.
        """
        for column in self.columns:
            if column.name not in table.columns:
                if column.later:
                    continue
                return f"has no column '{column.name}'"
            amiss = column.values.problem(table[column.name])
            if amiss:
                return f"column '{column.name}' {amiss}"
        return ""

    def completed(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table with the columns that were added later, missing throughout where it has none.

        ``attrs["absent"]`` names those: they are unknown because the run was written before.
        """
        absent = [c for c in self.columns if c.later and c.name not in table.columns]
        if not absent:
            return table
        # As Parquet gives what is null throughout.
        unknown: dict[str, Any] = {
            c.name: np.nan if c.values.kind in ("number", "integer") else None for c in absent
        }
        found = table.assign(**unknown)
        found.attrs[ABSENT] = [c.name for c in absent]
        return found


def of_finding(finding: str, name: str, row: str, *columns: Column) -> Table:
    """A table of ``findings/``."""
    return Table(f"{FINDINGS}/{finding}.{name}", row, columns)
