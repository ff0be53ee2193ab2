"""A data frame as a table: what is already in memory needs no file.

In: a :class:`pandas.DataFrame`. Out: a :class:`Table`, whose rows count from 1 in messages as
those of a file do.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.data.tables import Table, listing
from synapse_audit.errors import DataError


def frame_table(frame: pd.DataFrame, name: str = "the data frame") -> Table:
    """The frame's rows under new numbers; the frame itself is never changed.

    Raises:
        DataError: no rows, or two columns of one name.
    """
    columns = [str(column) for column in frame.columns]
    twice = [column for column in columns if columns.count(column) > 1]
    if twice:
        raise DataError(f"{name} has two columns '{twice[0]}'; expected unique names")
    if frame.empty:
        found = listing(columns) or "none"
        raise DataError(f"{name} holds no rows; expected one row per example; columns: {found}")
    return Table(name, frame.set_axis(columns, axis="columns").reset_index(drop=True))
