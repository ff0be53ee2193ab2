"""Heads, directions and token means where there is nothing to find: how often one is claimed.

No model runs; the tables are made of drawn outcomes and go through the findings' own functions.
Takes about a minute on one core; -s prints rows of docs/proofs.md's table.
"""

from dataclasses import replace

import numpy as np
import pytest
from findings.evidence import make_evidence, silence
from findings.test_attention import head
from findings.test_directions import remove
from findings.test_token_means import read, shared

from synapse_audit.findings.attention import attention
from synapse_audit.findings.directions import directions
from synapse_audit.findings.token_means import token_means
from synapse_audit.rankings.stability import shared as overlap

from .judging import Tell, generators, judge

pytestmark = pytest.mark.proof

LABELS = np.arange(240) % 2


def losing(generator: np.random.Generator, rate: float) -> list[int]:
    """Predictions in which each example is lost with this probability."""
    return np.where(generator.random(len(LABELS)) < rate, 1 - LABELS, LABELS).tolist()


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.2])
def test_heads_that_are_alike(rate: float, tell: Tell) -> None:
    missed, named = [], []
    for generator in generators():
        trials = [(head(m, h), losing(generator, rate)) for m in range(1, 7) for h in range(12)]
        figures = attention(make_evidence(LABELS.tolist(), trials)).summary["attention"]
        largest = figures["costliest"]["drop"]
        missed.append(not largest.low <= rate <= largest.high)
        named.append(figures["costliest"]["head"] is not None)
    judge(f"costliest head of 72: misses the truth of {rate:g}", missed, 0.05, tell)
    judge(f"a head is named the costliest (72 alike, each loses {rate:g})", named, 0.05, tell)


def test_ranked_heads_that_are_one_more_random_set(tell: Tell) -> None:
    claimed = []
    at = {"site": "attention_head", "layers": "all"}
    for generator in generators():
        rates = generator.uniform(0.1, 0.3, 6)
        trials = [(silence("top", 0.3, **at), losing(generator, rates[0])), (head(1, 0), LABELS)]
        trials += [
            (silence("random", 0.3, draw=d, **at), losing(generator, rates[d + 1]))
            for d in range(5)
        ]
        figures = attention(make_evidence(LABELS.tolist(), trials)).summary["attention"]
        found = figures["sets"]["mean"]["excess"]
        claimed.append(not found.low <= 0 <= found.high)
    judge("top heads differ from random ones: they are one more draw", claimed, 0.05, tell)


def test_directions_that_are_one_more_random_draw(tell: Tell) -> None:
    claimed = []
    for generator in generators():
        rates = generator.uniform(0.1, 0.3, 6)
        trials = [(remove("direction", 2, 1, ranking="leace"), losing(generator, rates[0]))]
        trials += [
            (
                remove("equal_variance", 2, 1, ranking="leace", draw=d),
                losing(generator, rates[d + 1]),
            )
            for d in range(5)
        ]
        found = directions(make_evidence(LABELS.tolist(), trials)).summary["directions"]
        excess = found["leace"]["excess"]
        claimed.append(not excess.low <= 0 <= excess.high)
    judge("directions cost more than random ones of their variance", claimed, 0.05, tell)


def test_rankings_of_two_readings_that_have_nothing_in_common(tell: Tell) -> None:
    claimed, missed = [], []
    width, k, layers = 96, 10, 6
    for generator in generators(1000):
        rows = [
            (m, "probeless", 0.1, k, width,
             overlap(*generator.normal(size=(2, width)), k), np.nan)
            for m in range(1, layers + 1)
        ]  # fmt: skip
        right = generator.random((2, layers + 1, 60)) < 0.7
        held = {"read": read(*right), "shared": shared(*rows)}
        evidence = make_evidence([0, 1] * 30)
        figures = token_means(replace(evidence, token_means=held)).summary["token_means"]
        found = figures["overlap"]["probeless"]
        low, high = (found.beside[f"chance_{end}"] for end in ("low", "high"))
        claimed.append(not low <= found.value <= high)
        missed.append(not figures["gain"].low <= 0 <= figures["gain"].high)
    judge("top sets overlap otherwise than by chance: they are unrelated", claimed, 0.05, tell)
    judge("probes on means differ: they are as good", missed, 0.05, tell)
