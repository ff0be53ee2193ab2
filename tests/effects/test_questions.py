"""Curves tested in a fixed order: adjusted p worked out by hand, and what was possible before."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from synapse_audit.effects.questions import in_order

Curve = tuple[str, str | None, str, str, float]
NAN = float("nan")


def made(*curves: Curve) -> pd.DataFrame:
    """Layers, ranked for, ranking, position, p."""
    columns = ["layers", "ranked_for", "ranking", "position", "p_value"]
    return pd.DataFrame(curves, columns=columns).astype({"ranked_for": "str"})


def test_rankings_are_tested_in_the_order_of_the_grid() -> None:
    names = ("probe", "probeless", "iou", "random")
    p = (0.01, 0.04, 0.2, 0.01)
    found = in_order(made(*(("all", None, n, "pooled", q) for n, q in zip(names, p, strict=True))))
    # Behind the third, which is not significant, none can be.
    assert found.tolist() == [0.01, 0.04, 0.2, 0.2]


def test_layers_are_tested_from_the_last_to_the_first_and_each_ranking_is_a_question() -> None:
    found = in_order(
        made(
            ("1", None, "probe", "pooled", 0.02),
            ("2", None, "probe", "pooled", 0.3),
            ("10", None, "probe", "pooled", 0.01),
            ("10", None, "paper", "pooled", 0.04),
            ("2", None, "paper", "pooled", NAN),
            ("1", None, "paper", "pooled", 0.03),
        )
    )
    np.testing.assert_array_equal(found, [0.3, 0.3, 0.01, 0.04, NAN, 0.04])


def test_questions_do_not_touch_each_other() -> None:
    found = in_order(
        made(
            ("all", None, "probe", "pooled", 0.9),
            ("all", None, "probe", "all", 0.02),
            ("all", "sqli", "probe", "pooled", 0.03),
            ("all", "xss", "probe", "pooled", 0.01),
            ("2", "sqli", "probe", "pooled", 0.04),
            ("2", None, "probe", "pooled", 0.05),
        )
    )
    assert found.tolist() == [0.9, 0.02, 0.03, 0.03, 0.04, 0.05]


def test_no_curve() -> None:
    assert in_order(made()).tolist() == []


@pytest.mark.parametrize("curves", [2, 8, 50])
def test_why_no_correction_by_a_factor_serves(curves: int) -> None:
    """Even where every curve lies beyond all of 20 draws, nothing was below .05 before."""
    least = np.full(curves, 1 / 21)
    harmonic = (1 / np.arange(1, curves + 1)).sum()
    before = stats.false_discovery_control(least, method="by")
    assert before == pytest.approx(min(1.0, harmonic / 21)) and before.min() > 0.05
    now = in_order(made(*(("all", None, str(i), "pooled", 1 / 21) for i in range(curves))))
    assert now.max() < 0.05
