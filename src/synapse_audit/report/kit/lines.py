"""From rows of a frame to lines of a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from synapse_audit.report.kit.figures import Line
from synapse_audit.report.kit.theme import FAINT, SERIES, Style

MOST = len(SERIES)
"""Series of equal standing that one figure can keep apart."""


class Columns(NamedTuple):
    """Which columns of a frame make a line."""

    x: str
    y: str
    low: str = ""
    high: str = ""


def line(name: str, style: Style, data: pd.DataFrame, columns: Columns) -> Line:
    """A line with its interval as bars, in ascending x; rows without a y are left out."""
    data = data.dropna(subset=[columns.y]).sort_values(columns.x)
    low, high = _bounds(data, columns)
    return Line(name, style, data[columns.x].tolist(), data[columns.y].tolist(), low, high)


def banded(name: str, style: Style, data: pd.DataFrame, columns: Columns) -> Line:
    """The same with its interval as a shaded band, where it has one."""
    drawn = line(name, style, data, columns)
    return Line(name, style, drawn.x, drawn.y, drawn.low, drawn.high, band=bool(len(drawn.low)))


def styles(names: Sequence[str], leading: Sequence[str]) -> dict[str, Style]:
    """A style per name: all distinct where they fit, else faint except three at either end.

    ``leading`` orders the names from the most to the least remarkable.
    """
    if len(names) <= MOST:
        return dict(zip(names, SERIES, strict=False))
    chosen = [*leading[:3], *leading[-3:]]
    return dict.fromkeys(names, FAINT) | dict(zip(chosen, SERIES, strict=False))


def _bounds(data: pd.DataFrame, columns: Columns) -> tuple[list[float], list[float]]:
    if not columns.low or bool(data[columns.low].isna().any()):
        return [], []
    return data[columns.low].tolist(), data[columns.high].tolist()
