"""The weakest point of every space, and the smallest edit of the head: picked, so held for all."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from synapse_audit.findings.attack_surface.weakest import _first, _largest
from synapse_audit.findings.vulnerability import head_edit
from synapse_audit.tables.vulnerability import BUDGETS


def tried(budgets, rates, half=0.05) -> pd.DataFrame:
    rates = np.array(rates)
    table = pd.DataFrame({"budget": budgets, "measured": rates})
    names = {"operator": "push", "parameter": None, "strength": 1.0, "fraction": 1.0}
    return table.assign(low=rates - half, high=rates + half, aimed="a", unit="relative L2", **names)


def test_the_cheapest_that_is_enough_and_the_cheapest_that_surely_is():
    found = _first(tried([0.1, 0.3, 0.2, 0.5], [0.2, 0.57, 0.45, 0.9]), 0.5)
    # .57 ± .082 may be less than .5, .90 may not: four tried in each of five spaces, by two
    # questions. For the four alone it would be ± .064.
    assert (found.value, found.high) == (0.3, 0.5)
    assert np.isnan(found.low)
    assert (found.beside["measured"], found.beside["tried"]) == (0.57, 4)
    assert _first(tried([0.1], [0.2]), 0.5).reason == "none tried is enough"
    assert _first(tried([np.nan], [0.9]), 0.5).reason.endswith("has a known size")


def test_the_largest_holds_for_all():
    found = _largest(tried([0.1, 0.2], [0.98, 0.2]))
    half = 0.05 * norm.ppf(1 - 0.025 / 2) / 1.959964
    assert found.value == 0.98
    assert (found.low, found.high) == (pytest.approx(0.98 - half), 1.0)
    assert found.beside["operator"] == "push"


def test_the_head_is_bracketed_by_what_was_found_and_what_is_proved():
    rows = [
        ("universal", "a", 0.3, 0.53, 0.45, 0.60),
        ("universal", "b", 0.3, 0.53, 0.45, 0.60),
        ("weight", "a", 0.5, 0.90, 0.85, 0.95),
        ("random", "a", 0.1, 0.99, 0.98, 1.00),
        ("logit", "a", 0.1, 0.99, 0.98, 1.00),
    ]
    columns = ["space", "target", "budget", "redirect_rate", "redirect_low", "redirect_high"]
    table = pd.DataFrame(rows, columns=columns).reindex(columns=BUDGETS.names)
    ceiling = pd.DataFrame({"target": list("aaabbb"), "budget": [0.1, 0.2, 0.3] * 2}).assign(
        bound=0.0, bound_all_rows=[0.0, 0.4, 0.6, 0.0, 0.45, 0.5]
    )
    found = head_edit(table, ceiling)
    assert (found.value, found.low, found.high) == (0.3, 0.2, 0.5)
    assert found.beside["targets"] == ["a", "b"]
    assert found.beside["tried"] == 3, "neither random columns nor constants are edits to beat"
    none = head_edit(table[table["space"] == "logit"], ceiling)
    assert none.reason == "no edit of the head was run"
