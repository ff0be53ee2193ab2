"""Heat maps as Plotly specifications, with their numbers written in.

In: a matrix with names on both sides. Out: a :class:`Plot`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from synapse_audit.report.kit.contents import Plot
from synapse_audit.report.kit.figures import MANY, ROW_HEIGHT, Numbers, finite, label
from synapse_audit.report.kit.prose import number, short
from synapse_audit.report.kit.theme import DIVERGING, SEQUENTIAL, axis, layout

WRITTEN = 9
"""Columns up to which a heat map shows its numbers."""
PHONE = 358
"""Pixels a figure has on a narrow phone; only maps of very many columns are wider and scroll."""
LEAST_CELL = 14
"""Pixels that a cell without a number needs."""
FULL = {0: 0, 1: 32, 2: 40, 3: 47}
"""Pixels that a signed number with so many decimals needs, by decimals."""
SHORT = 31
"""Pixels that a signed number without its leading zero and with two decimals needs."""
DOT = 12
"""Pixels more where cells carry a dot."""


@dataclass(frozen=True)
class Heat:
    """A matrix with names on both sides."""

    x_names: Sequence[str]
    y_names: Sequence[str]
    values: Sequence[Numbers]
    x_title: str
    y_title: str
    marked: Sequence[Sequence[bool]] = ()
    """Cells that carry a dot."""
    diverging: bool = False
    limit: float | None = None
    """Value of the strongest colour; None = the largest absolute value."""
    decimals: int | None = None
    """Of the numbers in the cells; None = three, or two where there are many columns."""


def heat(title: str, matrix: Heat, *, alt: str) -> Plot:
    """A heat map with the numbers written in where cells are large enough."""
    decimals = _decimals(matrix)
    x = _category_axis(matrix.x_title, matrix.x_names, side="bottom")
    y = _category_axis(matrix.y_title, matrix.y_names, autorange="reversed")
    spec = {
        "data": [_heat_trace(matrix, decimals), _cell_texts(matrix, decimals)],
        "layout": layout(x, y, meta=_sizes(matrix, decimals)),
    }
    rows = len(matrix.y_names)
    height = 96 + (ROW_HEIGHT + 4 if rows <= MANY else 22) * rows
    wide = _left(matrix) + LEAST_CELL * len(matrix.x_names)
    return Plot(title, alt, spec, height, min_width=wide if wide > PHONE else 0)


def _left(matrix: Heat) -> int:
    """Pixels that the names of the rows take."""
    names = max((len(short(name, 18)) for name in matrix.y_names), default=0)
    return round(40 + 7 * names)


def _sizes(matrix: Heat, decimals: int) -> dict[str, int]:
    """What the page's script must know to choose the texts that fit into the cells."""
    dot = DOT if len(matrix.marked) else 0
    return {
        "left": _left(matrix),
        "columns": len(matrix.x_names),
        "full": FULL[decimals] + dot,
        "short": SHORT + dot,
    }


def _category_axis(title: str, names: Sequence[str], **more: Any) -> dict[str, Any]:
    ticks: dict[str, Any] = {"tickvals": list(range(len(names)))}
    ticks["ticktext"] = [label(n, 18) for n in names]
    crowded = 7 * max((len(short(n, 18)) for n in names), default=0) * len(names) > 300
    if crowded and "side" in more:
        ticks["tickangle"] = -40
    return axis(title, showgrid=False, zeroline=False, **ticks, **more)


def _limit(matrix: Heat) -> float:
    flat = [abs(v) for row in matrix.values for v in row if math.isfinite(v)]
    return matrix.limit or max(flat, default=0.0) or 1.0


def _heat_trace(matrix: Heat, decimals: int) -> dict[str, Any]:
    limit = _limit(matrix)
    return {
        "type": "heatmap",
        "z": [finite(row) for row in matrix.values],
        "x": list(range(len(matrix.x_names))),
        "y": list(range(len(matrix.y_names))),
        "zmin": -limit if matrix.diverging else 0,
        "zmax": limit,
        "colorscale": DIVERGING if matrix.diverging else SEQUENTIAL,
        "showscale": not decimals,
        "colorbar": {"thickness": 9, "len": 0.9, "outlinewidth": 0, "nticks": 4},
        "xgap": 2,
        "ygap": 2,
        "customdata": _cell_names(matrix),
        "hoverongaps": False,
        "hovertemplate": "%{customdata}: %{z:.3f}<extra></extra>",
    }


def _cell_names(matrix: Heat) -> list[list[str]]:
    return [[f"{label(y, 40)} · {label(x, 40)}" for x in matrix.x_names] for y in matrix.y_names]


def _decimals(matrix: Heat) -> int:
    """Decimals that fit into the cells; 0 = no numbers."""
    columns = len(matrix.x_names)
    if columns > WRITTEN:
        return 0
    return matrix.decimals or (3 if columns <= 5 else 2)


def _cell_texts(matrix: Heat, decimals: int) -> dict[str, Any]:
    """Numbers and dots over the cells, in an ink that reads on the cell's colour."""
    limit = _limit(matrix)
    written = [
        (x, y, _cell_text(matrix, (y, x), decimals), abs(value) / limit)
        for y, row in enumerate(matrix.values)
        for x, value in enumerate(row)
    ]
    cells = [cell for cell in written if cell[2]]
    return {
        "type": "scatter",
        "mode": "text",
        "x": [cell[0] for cell in cells],
        "y": [cell[1] for cell in cells],
        "text": [cell[2] for cell in cells],
        "customdata": [[_shorter(cell[2]), _dot_of(cell[2])] for cell in cells],
        "textfont": {
            "size": 11.5,
            "color": ["@on-strong" if cell[3] > 0.82 else "@on-weak" for cell in cells],
        },
        "hoverinfo": "skip",
        "showlegend": False,
        "cliponaxis": False,
    }


def _cell_text(matrix: Heat, cell: tuple[int, int], decimals: int) -> str:
    y, x = cell
    value = matrix.values[y][x]
    if not math.isfinite(value):
        return ""
    dot = MARK if len(matrix.marked) and matrix.marked[y][x] else ""
    return f"{number(value, decimals)}{dot}" if decimals else dot


MARK = "●"


_LEADING = re.compile(r"(?<!\d)0\.")


def _dot_of(text: str) -> str:
    """What is left of a cell's text where no number fits."""
    return MARK if text.endswith(MARK) else ""


def _shorter(text: str) -> str:
    """Two decimals and no leading zero.

    >>> _shorter("−0.927●"), _shorter("1.00"), _shorter("0.004"), _shorter("10.0")
    ('−.93●', '1.0', '.00', '10.0')
    """
    dot = _dot_of(text)
    value = float(text.removesuffix(MARK).replace("−", "-") or "nan")
    if not math.isfinite(value):
        return dot
    return f"{_LEADING.sub('.', number(value, 1 if abs(value) >= 0.995 else 2), count=1)}{dot}"
