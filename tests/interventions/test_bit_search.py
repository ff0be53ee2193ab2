"""The search on a head small enough to try every bit, and what it leaves behind."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from synapse_audit.interventions.edits import (
    FORMATS,
    Astray,
    Flip,
    Toward,
    Victim,
    applied,
    flip_edit,
    search_flips,
    steepest,
)


def _victim(seed: int = 0, shift: float = 0.0) -> tuple[Victim, Tensor, dict[str, np.ndarray]]:
    torch.manual_seed(seed)
    layer = nn.Linear(4, 3, bias=False)
    inputs = torch.randn(60, 4) + shift
    labels = layer(inputs).argmax(-1)
    weights = {"weight": layer.weight.detach().numpy().copy()}
    layer.requires_grad_(False)
    return Victim(layer, layer, lambda: layer(inputs)), labels, weights


def _score(victim: Victim, objective: Astray | Toward, weights: dict, flips: list[Flip], name: str):
    edit = flip_edit(weights, flips, FORMATS[name], None)
    with torch.no_grad(), applied(victim.model, victim.output_layer, edit):
        logits = victim.logits()
        return objective.share(logits), float(objective.loss(logits))


def test_the_gradient_is_that_of_finite_differences() -> None:
    victim, labels, weights = _victim()
    found = steepest(victim, Astray(labels), ["weight"])["weight"]
    layer, objective = victim.output_layer, Astray(labels)
    for entry, gradient in zip(found.entries, found.gradient, strict=True):
        ends = []
        for step in (1e-3, -1e-3):
            with torch.no_grad():
                layer.weight.view(-1)[entry] += step
                ends.append(float(objective.loss(victim.logits())))
                layer.weight.view(-1)[entry] -= step
        assert gradient == pytest.approx((ends[0] - ends[1]) / 2e-3, abs=1e-3)
    assert sorted(found.entries.tolist()) == list(range(weights["weight"].size))


@pytest.mark.parametrize("name", ["fp16", "int8"])
def test_one_step_with_every_proposal_tried_is_as_good_as_brute_force(name: str) -> None:
    """Proposals are one bit per weight; for the best bit of each, first order must be right, so
    brute force runs over the proposals' own kind: the largest change uphill."""
    victim, labels, weights = _victim()
    objective = Astray(labels)
    (flip,) = search_flips(victim, objective, weights, FORMATS[name], steps=1, tried=12)
    best = max(
        _score(victim, objective, weights, [Flip("weight", e, b)], name)
        for e, b in itertools.product(range(12), FORMATS[name].bits("any"))
        if flip_edit(weights, [Flip("weight", e, b)], FORMATS[name], None).n_changed
    )
    assert _score(victim, objective, weights, [flip], name)[0] >= 0.9 * best[0]


@pytest.mark.parametrize("name", FORMATS)
def test_every_step_does_more_harm_than_the_one_before(name: str) -> None:
    victim, labels, weights = _victim(1)
    objective = Astray(labels)
    flips = search_flips(victim, objective, weights, FORMATS[name], steps=6, tried=6)
    scores = [
        _score(victim, objective, weights, list(flips[:n]), name) for n in range(1, len(flips) + 1)
    ]
    assert flips and len(set(flips)) == len(flips)
    assert scores == sorted(scores) and scores[0] > (0.0, 0.0)


def test_a_search_for_a_class_finds_it_and_stops() -> None:
    """Inputs are mostly positive, so that one row can win nearly everywhere."""
    victim, labels, weights = _victim(2, shift=2.0)
    target = int(torch.bincount(labels, minlength=3).argmin())
    objective = Toward(target)
    flips = search_flips(victim, objective, weights, FORMATS["int8"], steps=20, tried=12)
    share, _ = _score(victim, objective, weights, list(flips), "int8")
    assert share > 0.9 and len(flips) < 20


def test_nothing_is_searched_where_the_batch_is_at_chance_already() -> None:
    victim, _, weights = _victim()
    labels = torch.tensor([0, 1, 2] * 20)
    wrong = (victim.logits().argmax(-1) + 1) % 3  # all wrong: worse than chance
    assert search_flips(victim, Astray(wrong), weights, FORMATS["fp32"], steps=5, tried=5) == ()
    assert Astray(labels).enough() == pytest.approx(2 / 3)


def test_the_model_is_left_as_it_was() -> None:
    victim, labels, weights = _victim()
    before = victim.output_layer.weight.clone()
    search_flips(victim, Astray(labels), weights, FORMATS["fp32"], steps=3, tried=4)
    assert torch.equal(victim.output_layer.weight, before)
    assert not victim.output_layer.weight.requires_grad
    assert victim.output_layer.weight.grad is None


def test_an_overflow_counts_as_a_bounded_loss() -> None:
    logits = torch.tensor([[float("nan"), 0.0], [1e38, -1e38], [float("inf"), 0.0]])
    loss = Astray(torch.tensor([1, 1, 1])).loss(logits)
    assert loss == pytest.approx(50.0)
