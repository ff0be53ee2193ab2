"""Each effect beside its random control: curve tests, and the position among random draws."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.integrate import trapezoid

from synapse_audit.artifacts import Cell
from synapse_audit.statistics import (
    CurveTest,
    DrawPosition,
    benjamini_yekutieli,
    curve_test,
    draw_position,
)

HEADLINE_OPERATOR = "mean"
"""The operator whose curves are tested: it removes information, keeps the operating point."""

SETTING = ["operator", "strength", "site", "position", "layers"]
"""What a curve shares with its random control."""

CURVE = [*SETTING, "ranking", "ranked_for"]
"""What names a curve."""

_CONTROL = {
    "top": "random",
    "bottom": "random",
    "exclusive": "random",
    "constant": "random",
    "keep_top": "keep_random",
}


def curve_tests(effects: pd.DataFrame) -> pd.DataFrame:
    """Tests every ``top`` curve of the headline operator against its random curves.

    A curve = accuracy_drop over the fractions, at least two of them; area by the trapezoid rule,
    in units of accuracy × fraction, positive = top hurts more than random. Only fractions for
    which every draw was run enter. See :func:`synapse_audit.statistics.curve_test`.

    Returns:
        One row per curve: the columns CURVE, then area, t, df, p_value, and p_adjusted
        (Benjamini-Yekutieli over all rows). A curve without random twins has nulls.
    """
    mine = effects[(effects["space"] == "neuron") & (effects["operator"] == HEADLINE_OPERATOR)]
    twins = dict(_curves(mine[mine["selection"] == "random"], SETTING))
    rows = []
    for key, curve in _curves(mine[mine["selection"] == "top"], CURVE):
        tops = curve.drop_duplicates("fraction").set_index("fraction")["accuracy_drop"]
        if len(tops) >= 2:
            rows.append((*key, *_test(tops, twins.get(key[: len(SETTING)]))))
    tests = pd.DataFrame(rows, columns=[*CURVE, *CurveTest._fields[:-1], "p_value"])
    kinds = dict.fromkeys(CURVE, "str") | dict.fromkeys(["strength", "area", "t"], "float64")
    tests = tests.astype(kinds | {"df": "Int64", "p_value": "float64"})
    return tests.assign(p_adjusted=benjamini_yekutieli(tests["p_value"].to_numpy()))


def adjusted(effects: pd.DataFrame) -> Float[np.ndarray, " cells"]:
    """``p_adjusted`` of the curve that each row lies on; NaN for rows on no tested curve."""
    tests = curve_tests(effects)
    found = effects[CURVE].merge(tests[[*CURVE, "p_adjusted"]], on=CURVE, how="left")
    on_curve = (effects["space"] == "neuron") & (effects["selection"] == "top")
    return np.where(on_curve, found["p_adjusted"].to_numpy(), np.nan)


def positions(cells: Sequence[Cell], drop: Float[np.ndarray, " cells"]) -> list[DrawPosition]:
    """Each cell's accuracy_drop among random sets with as many neurons in each layer.

    ``keep_top`` is set beside ``keep_random``, other selections beside ``random``. NaN for the
    controls themselves and where no random set of that size was run.
    """
    draws: dict[Hashable, dict[str, float]] = defaultdict(dict)
    for cell, value in zip(cells, drop, strict=True):
        if cell.selection in _CONTROL.values():
            draws[_twin_key(cell, cell.selection)][cell.action] = value
    found = []
    for cell, value in zip(cells, drop, strict=True):
        twins = draws.get(_twin_key(cell, _CONTROL.get(cell.selection or "")), {})
        sample = np.array(list(twins.values()), dtype=np.float64)
        position = draw_position(float(value), sample) if twins else DrawPosition(np.nan, np.nan)
        found.append(position)
    return found


def _twin_key(cell: Cell, control: str | None) -> Hashable:
    counts = None if cell.neurons is None else tuple(cell.neurons.counts.items())
    return (control, cell.operator, cell.strength, cell.site, cell.position, counts)


def _curves(
    effects: pd.DataFrame, columns: list[str]
) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Rows grouped by columns in order of appearance; a missing value is None in the key."""
    for key, rows in effects.groupby(columns, dropna=False, sort=False):
        parts: Sequence[Any] = key
        yield tuple(None if pd.isna(part) else part for part in parts), rows


def _test(tops: pd.Series, twins: pd.DataFrame | None) -> CurveTest:
    if twins is None:
        return CurveTest(np.nan, np.nan, 0, np.nan)
    table = twins.pivot_table(index="fraction", columns="draw", values="accuracy_drop")
    shared = table.dropna().index.intersection(tops.index).sort_values()
    if len(shared) < 2:
        return CurveTest(np.nan, np.nan, 0, np.nan)
    gap = tops.loc[shared].to_numpy()[:, None] - table.loc[shared].to_numpy()
    return curve_test(trapezoid(gap, shared.to_numpy(dtype=np.float64), axis=0))
