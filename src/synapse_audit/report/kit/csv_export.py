"""The one writer of CSV: text that a spreadsheet would run as a formula is kept as text.

Class names, models and file names come from strangers, and ``=HYPERLINK(…)`` in a cell is run when
the file is opened (CWE-1236). Everything that leaves this package as CSV goes through
:func:`csv_text`, or cell by cell through :func:`neutral`.
"""

from __future__ import annotations

import re

import pandas as pd

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""How a cell starts that spreadsheets may take for a formula, once leading space is dropped."""

NUMBER = re.compile(r"[+-]?\d+(,\d{3})*(\.\d+)?([eE][+-]?\d+)? ?%?")
"""What may start with a sign: 0.5, -12, +3.1 %, 1,234, 1e-05."""


def neutral(value: object) -> object:
    """A cell as it may be written: text that could be a formula gets a leading apostrophe.

    >>> neutral("=1+1"), neutral("-0.5"), neutral(-0.5)
    ("'=1+1", '-0.5', -0.5)
    """
    if not isinstance(value, str) or NUMBER.fullmatch(value):
        return value
    starts = value.startswith(FORMULA) or value.lstrip().startswith(FORMULA)
    return f"'{value}" if starts else value


def csv_text(table: pd.DataFrame) -> str:
    """A table as CSV with a header; missing values are empty, numbers have all their digits."""
    safe = table.rename(columns=neutral)
    for name, kind in safe.dtypes.items():
        if not pd.api.types.is_numeric_dtype(kind):
            safe[name] = safe[name].astype(object).map(neutral)
    return safe.to_csv(index=False, lineterminator="\n")
