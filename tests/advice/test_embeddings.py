"""Advice about gradient attacks on embeddings: which classes, its gain, and its null."""

import numpy as np
import pandas as pd
import pytest

from synapse_audit.advice import RULES, Saved, advise
from synapse_audit.statistics import wilson

COLUMNS = ["attack", "unit", "target", "strength", "selection",
           "flip_rate", "flip_rate_low", "flip_rate_high",
           "redirect", "redirect_low", "redirect_high"]  # fmt: skip
NONE = (np.nan,) * 3
ATTACKS = pd.DataFrame(
    [
        ("pgd", "relative", None, 0.3, None, 0.9, 0.85, 0.95, *NONE),
        ("pgd", "relative", None, 0.6, None, 1.0, 0.98, 1.0, *NONE),  # not small
        ("pgd", "relative", "a", 0.3, None, *NONE, 0.8, 0.7, 0.9),
        ("pgd", "relative", "b", 0.3, None, *NONE, 0.6, 0.51, 0.69),  # not for all at once
        ("fgsm", "absolute", None, 0.1, None, 0.9, 0.85, 0.95, *NONE),  # another unit
        ("noise", "relative", None, 0.3, None, 0.9, 0.85, 0.95, *NONE),  # no gradient
        ("pgd", "relative", "c", 0.3, "random", *NONE, 0.9, 0.8, 1.0),  # a control
    ],
    columns=COLUMNS,
)
KIND = "adaptive gradient, embeddings, below the threshold"
GUARD = pd.DataFrame(
    {
        "kind": [KIND, KIND],
        "setting": ["0.1 of the RMS", "0.3 of the RMS"],
        "host": [0.9, 0.5],
        "host_low": [0.8, 0.4],
        "host_high": [1.0, 0.6],
        "hardened": [1.0, 0.9],
        "hardened_low": [0.9, 0.8],
        "hardened_high": [1.0, 1.0],
    }
)


def _saved(table: pd.DataFrame = ATTACKS, **beside: object) -> Saved:
    return Saved({}, {"inputs": {"attacks": table}}, **beside)  # type: ignore[arg-type]


def test_classes_that_small_changes_reach_are_named() -> None:
    (found,) = advise(_saved())
    assert (found.rule, found.about) == ("embeddings", ("a",))
    # Four attacks by gradient in that unit: z of 1 − .025 / 4 is 2.498, and 0.05 grows to 0.064.
    assert "pgd of 0.3 of their RMS (0.900 answers changed, 0.836 to 0.964)" in found.finding
    assert "(0.800 redirected to “a”, 0.673 to 0.927)" in found.finding
    assert "not measured" in found.gain.reason


def test_the_gain_is_that_against_an_attacker_who_knows_the_guard() -> None:
    (found,) = advise(_saved(guard=GUARD))
    assert (found.gain.before.value, found.gain.after.value) == (0.5, 0.9)
    (found,) = advise(_saved(guard=GUARD, guarded=True))
    assert not found.gain.after.known and "guard RUN" not in found.advice


@pytest.mark.parametrize("rows", [[1], [3], [4], [5], [6], []])
def test_what_is_not_shown_recommends_nothing(rows: list[int]) -> None:
    table = ATTACKS.iloc[[3, *rows]] if rows == [3] else ATTACKS.iloc[rows]
    assert advise(_saved(table.assign(redirect_low=table["redirect_low"] - 0.02))) == []


def test_nothing_is_shown_where_attacks_reach_half() -> None:
    """14 attacks that each reach exactly half: 5 % of 100 audits are 5; 11 have p < 2 %."""
    base = pd.DataFrame(
        {"attack": "pgd", "unit": "relative", "strength": 0.3, "selection": None,
         "target": [None, None, *(f"t{i}" for i in range(12))]}
    )  # fmt: skip
    fired = 0
    for seed in range(100):
        hits = np.random.default_rng(seed).binomial(240, 0.5, len(base)).astype(float)
        ends = wilson(hits, np.full(len(base), 240.0))
        rates = {"": hits / 240, "_low": ends.low, "_high": ends.high}
        names = {
            f"{name}{end}": v for name in ("flip_rate", "redirect") for end, v in rates.items()
        }
        fired += RULES["embeddings"](_saved(base.assign(**names))) is not None
    assert fired <= 10
