"""Several seeds: tables by hand, and one small audit that is resumed for nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from only_findings import only_findings
from scipy.stats import spearmanr

from synapse_audit.config import AuditConfig, make_config
from synapse_audit.pipeline.seeds import (
    EXPERIMENT,
    MEASURES,
    audit_seeds,
    effects_table,
    rankings_table,
)
from synapse_audit.pipeline.seeds import figures_table as figures
from synapse_audit.pipeline.seeds import names_table as names

pytestmark = pytest.mark.unchecked


def _figure(value: float | None, half: float | None = None) -> dict[str, Any]:
    if value is None or half is None:
        return {"value": value, "low": None, "high": None}
    return {"value": value, "low": value - half, "high": value + half}


def _summary(plateau: float, accuracy: float | None, fragile: str) -> dict[str, Any]:
    return {
        "model": "m",
        "clean": {"accuracy": _figure(accuracy, 0.01)},
        "redundancy": {"plateau": _figure(plateau) | {"reason": "because"}},
        "asymmetry": {"most_fragile": fragile},
        "cost": {"cells": _figure(1.0)},
    }


SUMMARIES = [_summary(0.1, 0.9, "a"), _summary(0.3, 0.8, "b"), _summary(0.2, None, "a")]


def test_figures_are_spread_over_the_seeds_that_have_them() -> None:
    table = figures(SUMMARIES).set_index("figure")
    assert set(table.index) == {"clean.accuracy", "redundancy.plateau"}
    plateau = table.loc["redundancy.plateau"]
    assert plateau["seeds"] == 3
    assert plateau["mean"] == pytest.approx(0.2)
    assert plateau["sd"] == pytest.approx(0.1)
    assert (plateau["low"], plateau["high"]) == (0.1, 0.3)
    assert np.isnan(plateau["half_width"])
    accuracy = table.loc["clean.accuracy"]
    assert accuracy["seeds"] == 2
    assert accuracy["half_width"] == pytest.approx(0.01)


def test_names_are_counted_over_seeds() -> None:
    table = names(SUMMARIES)
    assert table.to_numpy().tolist() == [
        ["asymmetry.most_fragile", "a", 2],
        ["asymmetry.most_fragile", "b", 1],
    ]


def _effects(drops: list[float]) -> pd.DataFrame:
    table = pd.DataFrame(
        dict.fromkeys([*EXPERIMENT, *MEASURES], [None] * len(drops)), dtype="float64"
    )
    table["operator"] = "mean"
    table["selection"] = ["top", *["random"] * (len(drops) - 1)]
    table["accuracy_drop"] = drops
    return table


def test_draws_of_one_seed_count_once() -> None:
    table = effects_table([_effects([0.5, 0.1, 0.3]), _effects([0.7, 0.2, 0.6])])
    by_selection = table.set_index("selection")
    assert by_selection["seeds"].tolist() == [2, 2]
    assert by_selection.loc["random", "accuracy_drop"] == pytest.approx((0.2 + 0.4) / 2)
    assert by_selection.loc["random", "accuracy_drop_sd"] == pytest.approx(
        np.std([0.2, 0.4], ddof=1)
    )
    assert by_selection.loc["top", "accuracy_drop_max"] == 0.7


def _rankings(scores: list[float], method: str = "probe") -> pd.DataFrame:
    columns = {"method": method, "ranked_for": None, "layer": 1, "score": scores}
    return pd.DataFrame(columns | {"neuron": range(len(scores))})


def test_rankings_are_compared_pair_by_pair() -> None:
    rising = [float(i) for i in range(20)]
    falling = rising[::-1]
    swapped = [*rising[:17], 19.0, 17.0, 18.0]  # its two leaders are 17 and 19, not 18 and 19
    table = rankings_table([_rankings(rising), _rankings(falling), _rankings(swapped)])
    assert len(table) == 1
    row = table.iloc[0]
    assert (row["pairs"], row["k"], row["chance"]) == (3, 2, 0.1)
    assert row["overlap"] == pytest.approx((0.0 + 0.5 + 0.0) / 3)
    assert (row["overlap_low"], row["overlap_high"]) == (0.0, 0.5)
    near = spearmanr(rising, swapped).statistic
    assert row["spearman"] == pytest.approx((-1.0 + near - near) / 3)


def test_equal_scores_are_no_agreement() -> None:
    one, other = np.zeros(100), np.zeros(100)
    one[[50, 51]], other[[80, 81]] = 1.0, 1.0
    table = rankings_table([_rankings(one.tolist()), _rankings(other.tolist())])
    # Two are sure to lead; each of the other 98 takes one of the 8 places left by lot.
    lot = 8 / 98
    assert table["overlap"][0] == pytest.approx((4 * lot + 96 * lot**2) / 10)


def test_what_is_ranked_by_nothing_is_not_compared() -> None:
    assert rankings_table([_rankings([0.0] * 20)] * 2).empty
    assert rankings_table([_rankings([*map(float, range(20))], "random")] * 2).empty


def _config(model: Path, data: Path, seeds: int) -> AuditConfig:
    grid = {
        "fractions": (0.5,),
        "operators": ("mean",),
        "layer_fractions": (),
        "draws": 2,
        "budgets": (1.0,),
        "constants": (4.0,),
        "max_examples": 120,
    }
    given = {"model": str(model), "data": str(data)}
    options = given | {"preset": "quick", "grid": grid, "seeds": seeds, "resamples": 100}
    return make_config(options)


def test_two_seeds_leave_two_runs_and_their_spread(
    tiny_folder: Path, tiny_csv: Path, tmp_path: Path
) -> None:
    config = _config(tiny_folder, tiny_csv, 2)
    with only_findings("redundancy", "asymmetry"):
        result = audit_seeds(config, tmp_path)
    assert result.manifest["seeds"] == [0, 1]
    table = result.findings["seeds"]["figures"].set_index("figure")
    assert table.loc["clean.accuracy", "seeds"] == 2
    other = tmp_path / "seeds" / "1"
    splits = [pd.read_parquet(path / "splits.parquet") for path in (tmp_path, other)]
    assert not splits[0].equals(splits[1])
    rankings = result.findings["seeds"]["rankings"]
    assert {"probe", "probeless"} <= set(rankings["method"])
    assert rankings["overlap"].between(0, 1).all()
    effects = result.findings["seeds"]["effects"]
    assert (effects["seeds"] <= 2).all()
    assert effects["seeds"].max() == 2
    written = (other / "outcomes" / "predicted.npy").stat().st_mtime_ns
    audit_seeds(config, tmp_path)
    assert (other / "outcomes" / "predicted.npy").stat().st_mtime_ns == written
