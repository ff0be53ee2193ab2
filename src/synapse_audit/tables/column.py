"""A declared column: its name, what its values are, their unit and meaning.

In: names and meanings. Out: :class:`Column` records, and why a saved column is none of the kind.
A reader of tables counts on the kinds and bounds: a class number is an index, a layer number the
length of a list. So a file with others is refused before it is used.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from synapse_audit.artifacts import MOST_CLASSES

MOST_LAYERS, MOST_NEURONS = 10_000, 10**9

INTERVAL = "95 % interval"
BAND = "95 % band of one more draw"
EITHER = "95 % interval; where draws are averaged, the band of one more draw"


class Values(NamedTuple):
    """What the values of a column are, and between which bounds numbers lie."""

    kind: Literal["text", "number", "integer", "flag"]
    least: float = float("-inf")
    most: float = float("inf")

    def problem(self, values: pd.Series) -> str:
        """Why these values cannot be meant; empty where they can. Missing ones always can."""
        known = values.dropna()
        if not len(known):
            return ""
        if self.kind == "text":
            texts = known.astype("category").cat.categories
            return "" if all(isinstance(text, str) for text in texts) else "holds other than text"
        if self.kind == "flag":
            flags = all(isinstance(value, bool | np.bool_) for value in known.unique())
            return "" if flags else "holds other than true and false"
        return self._number_problem(known)

    def _number_problem(self, known: pd.Series) -> str:
        types = pd.api.types
        if not types.is_numeric_dtype(known) or types.is_complex_dtype(known):
            return "holds other than numbers"
        if self.kind == "integer" and not types.is_integer_dtype(known) and (known % 1 != 0).any():
            return "holds other than whole numbers"
        low, high = known.min(), known.max()
        if low < self.least or high > self.most:
            return f"holds {low:g} to {high:g}; expected {self.least:g} to {self.most:g}"
        return ""


TEXT, NUMBER, FLAG = Values("text"), Values("number"), Values("flag")
COUNT = Values("integer", 0, 10**12)
SHARE = Values("number", 0, 1)
CLASS = Values("integer", 0, MOST_CLASSES - 1)
LAYER, NEURON = Values("integer", 0, MOST_LAYERS), Values("integer", 0, MOST_NEURONS)

PANDAS = {"text": "str", "number": "float64", "integer": "Int64", "flag": "boolean"}
"""Kind of values → the pandas type that also holds missing ones."""


class Column(NamedTuple):
    """One column of a saved table."""

    name: str
    values: Values
    unit: str
    """Empty for text, and for numbers without one."""
    meaning: str
    later: bool = False
    """Whether runs of this schema were written before it was added; in those it is missing."""

    def named(self, name: str) -> Column:
        """The same under another name."""
        return self._replace(name=name)


def later(column: Column) -> Column:
    """The same, added after the first runs of this schema."""
    return column._replace(later=True)


def text(name: str, meaning: str) -> Column:
    """A column of names."""
    return Column(name, TEXT, "", meaning)


def number(name: str, unit: str, meaning: str) -> Column:
    """A column of measured numbers."""
    return Column(name, NUMBER, unit, meaning)


def count(name: str, unit: str, meaning: str) -> Column:
    """A column of whole numbers from 0."""
    return Column(name, COUNT, unit, meaning)


def share(name: str, meaning: str) -> Column:
    """A column of shares from 0 to 1, as they were chosen or counted."""
    return Column(name, SHARE, "share", meaning)


def flag(name: str, meaning: str) -> Column:
    """A column of true and false."""
    return Column(name, FLAG, "", meaning)


def ends(name: str, unit: str, interval: str = INTERVAL) -> tuple[Column, Column]:
    """``name_low`` and ``name_high``: the ends of an interval."""
    low = number(f"{name}_low", unit, f"lower end of its {interval}")
    return low, number(f"{name}_high", unit, f"upper end of its {interval}")


def estimate(
    name: str, unit: str, meaning: str, interval: str = INTERVAL, *, short: str = ""
) -> tuple[Column, Column, Column]:
    """A number and the ends of its interval, whose names start with ``short`` where given."""
    return number(name, unit, meaning), *ends(short or name, unit, interval)
