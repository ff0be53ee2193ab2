"""How values show themselves: what they hold and how much of it, never the contents.

A notebook prints the last value of a cell. An array of a run has millions of numbers, and inputs
may be patients' records: neither belongs into an output that is saved and shared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import fields

import numpy as np
import pandas as pd

LONGEST = 40
"""Letters of a text that are shown; more become an ellipsis."""


class Brief:
    """A base of dataclasses (``repr=False``) whose representation is one short line."""

    def __repr__(self) -> str:
        shown = (
            f"{one.name}={brief(getattr(self, one.name))}"
            for one in fields(self)  # type: ignore[arg-type]
            if one.repr
        )
        return f"{type(self).__name__}({', '.join(shown)})"


def brief(value: object) -> str:
    """A value in a few letters: numbers and short names as they are, all else by its size.

    >>> brief(np.zeros((3, 2), np.float32)), brief(("a text", "another"))
    ('float32 (3, 2)', '2 items')
    >>> brief({"probe": 1}), brief(0.25), brief(None), brief("x" * 50)
    ('probe: …', '0.25', 'None', "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…'")
    """
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, pd.DataFrame):
        return f"table {value.shape}"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return repr(value if len(value) < LONGEST else f"{value[: LONGEST - 1]}…")
    if isinstance(value, Mapping):
        return f"{', '.join(map(str, [*value][:8]))}: …" if value else "{}"
    if value is None or isinstance(value, bool | int | float | Brief):
        return repr(value)
    if isinstance(value, Sized):
        return f"{len(value)} item{'s' * (len(value) != 1)}"
    return f"<{type(value).__name__}>"
