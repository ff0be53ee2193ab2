"""Probes and rankings find what was planted, on the states that the real model computes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from planted import CLASSES, LAYERS, Planted, block_neurons

from synapse_audit.artifacts import Activations, LabelledData, Ranking, Splits
from synapse_audit.data import load_data, split
from synapse_audit.neurons import NeuronSet
from synapse_audit.probes import fit_probes
from synapse_audit.rankings import RankingContext, rank

CARRIED = CLASSES[1:]
"""The classes that live in neurons."""


@torch.no_grad()
def _activations(planted: Planted, data: LabelledData) -> Activations:
    batch = planted.tokenizer(list(data.inputs), padding=True, return_tensors="pt")
    states = planted.model(**batch, output_hidden_states=True).hidden_states
    pooled = tuple(state[:, 0].numpy().copy() for state in states)
    head_input = planted.model.bert.pooler(states[-1]).numpy()
    return Activations(pooled, head_input)


def _context(planted: Planted, folder: Path) -> RankingContext:
    data = load_data(str(planted.save(folder) / "rows.csv"), classes=CLASSES)
    splits: Splits = split(data, seed=0)
    activations = _activations(planted, data)
    probes = fit_probes(activations, data, splits, seed=0)
    return RankingContext(
        activations, data.labels, data.classes, splits, probes, seed=0, weights=data.weights
    )


def _top(ranking: Ranking, ranked_for: str, k: int) -> NeuronSet:
    scores = ranking.scores[ranked_for]
    best = {m: np.argsort(-scores[m])[:k].tolist() for m in range(1, LAYERS + 1)}
    return NeuronSet.of(best)


def test_probes_read_every_block_perfectly_and_layer_0_not_at_all(
    planted: Planted, tmp_path: Path
) -> None:
    accuracy = {p.scope: p.accuracy for p in _context(planted, tmp_path).probes}
    assert accuracy.pop("0") == pytest.approx(1 / len(CLASSES))
    assert set(accuracy.values()) == {1.0}


@pytest.mark.parametrize("method", ["probe", "probeless"])
def test_rankings_put_exactly_the_planted_neurons_on_top(
    planted: Planted, method: str, tmp_path: Path
) -> None:
    ranking = rank(method, _context(planted, tmp_path))
    pairs = planted.layout.pairs
    for name in CARRIED:
        wanted = block_neurons(planted.layout, pairs[name])
        assert _top(ranking, name, wanted.counts[1]) == wanted
    everything = block_neurons(planted.layout, tuple(j for name in CARRIED for j in pairs[name]))
    assert _top(ranking, None, everything.counts[1]) == everything
