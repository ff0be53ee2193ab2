"""Token means: accuracies and overlaps by hand, and chance against counting."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from synapse_audit.findings.token_means import token_means
from synapse_audit.tables.token_means import READ, SHARED

from .evidence import make_evidence

LABELS = [0] * 10 + [1] * 10


def read(pooled: np.ndarray, mean: np.ndarray) -> pd.DataFrame:
    """(layers, examples) of what is right."""
    rows = [
        (layer, example, bool(pooled[layer, example]), bool(mean[layer, example]))
        for layer in range(len(pooled))
        for example in range(pooled.shape[1])
    ]
    return pd.DataFrame(rows, columns=READ.names).astype(READ.types)


def shared(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=SHARED.names).astype(SHARED.types)


def test_probes_are_compared_on_the_same_examples() -> None:
    pooled, mean = np.ones((2, 3, 20), dtype=bool)
    pooled[1, :8] = False
    mean[1, :4] = False
    mean[2, 10:12] = False
    held = {"read": read(pooled, mean), "shared": shared()}
    finding = token_means(replace(make_evidence(LABELS), token_means=held))
    table = finding.tables["probes"].set_index("layer")
    assert table.loc[1, ["pooled_accuracy", "mean_accuracy", "gain"]].tolist() == pytest.approx(
        [0.6, 0.8, 0.2]
    )
    assert table.loc[2, "gain"] == pytest.approx(-0.1)
    assert table.loc[0, "gain_low"] < 0 < table.loc[0, "gain_high"], "20 examples show no 0"
    gain = finding.summary["token_means"]["gain"]
    assert gain.value == pytest.approx(0.05), "mean over blocks, the embeddings left out"
    assert gain.low < 0 < gain.high


def test_chance_is_that_of_random_sets_of_the_same_size() -> None:
    held = {
        "read": read(*np.ones((2, 2, 20), dtype=bool)),
        "shared": shared(
            (0, "probeless", 0.1, 2, 6, np.nan, np.nan),
            (1, "probeless", 0.1, 2, 6, 1.0, 0.9),
            (2, "probeless", 0.1, 2, 6, 0.5, 0.7),
        ),
    }
    finding = token_means(replace(make_evidence(LABELS), token_means=held))
    table = finding.tables["overlap"]
    pairs = [len({0, 1} & set(pair)) / 2 for pair in combinations(range(6), 2)]
    one = table[table["layer"] == 1].iloc[0]
    assert one["chance"] == pytest.approx(np.mean(pairs))
    assert one["chance_low"] == 0.0 and one["chance_high"] == 1.0, "1 of 15 pairs is the same"
    mean = table[table["layer"].isna()].iloc[0]
    assert mean["overlap"] == pytest.approx(0.75)
    assert mean["mean_again"] == pytest.approx(0.8)
    spread = 1.959964 * np.sqrt(2 * np.var(pairs)) / 2
    assert mean["chance_high"] == pytest.approx(1 / 3 + spread, abs=1e-6)
    figure = finding.summary["token_means"]["overlap"]["probeless"]
    assert figure.value == pytest.approx(0.75) and figure.beside["chance"] == pytest.approx(1 / 3)


def test_without_them_the_reason_is_given() -> None:
    figures = token_means(make_evidence(LABELS)).summary["token_means"]
    assert "means over tokens" in figures["gain"].reason
    assert "means over tokens" in figures["overlap"].reason
