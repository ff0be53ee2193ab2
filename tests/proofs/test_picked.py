"""Figures that are the largest or smallest of several: how often their interval misses the truth.

Every candidate is alike, so that whichever is picked was picked by luck alone: the worst case. No
model runs; at least 200 audits each are simulated and go through the findings' own functions. Takes
about four minutes on one core; -s prints rows of docs/proofs.md's table.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from findings.evidence import make_evidence, silence
from findings.test_faults import flip
from findings.test_inputs import FGSM
from findings.test_vulnerability import push

from synapse_audit.artifacts import HeadEdit
from synapse_audit.effects.crossings import Losses, smallest_enough
from synapse_audit.findings.detection.detection import detection
from synapse_audit.findings.faults import faults
from synapse_audit.findings.inputs import inputs
from synapse_audit.findings.paper import class_sets
from synapse_audit.findings.pathways import pathways
from synapse_audit.findings.sites import sites
from synapse_audit.findings.vulnerability import vulnerability
from synapse_audit.statistics import wilson

from .judging import Tell, generators, judge

pytestmark = pytest.mark.proof

LABELS = np.arange(240) % 2


def losing(generator: np.random.Generator, rate: float) -> np.ndarray:
    """Predictions in which each example is lost with this probability."""
    return np.where(generator.random(len(LABELS)) < rate, 1 - LABELS, LABELS)


# ---- sublayers and steering ----------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.2])
def test_sublayers_that_are_alike(rate: float, tell: Tell) -> None:
    missed, named = [], []
    for generator in generators():
        trials = [
            (
                silence("top", 1.0, site="mlp_output", layers=str(m)),
                losing(generator, rate).tolist(),
            )
            for m in range(1, 9)
        ]
        evidence = make_evidence(LABELS.tolist(), trials)
        figures = sites(evidence).summary["sites"]["mlp_output"]
        largest = figures["largest_drop"]
        missed.append(not largest.low <= rate <= largest.high)
        named.append(figures["layer"] is not None)
    judge(f"costliest sublayer of 8: misses the truth of {rate:g}", missed, 0.05, tell)
    judge(f"a sublayer is named the costliest (8 alike, each loses {rate:g})", named, 0.05, tell)


def test_targets_of_steering_that_are_alike(tell: Tell) -> None:
    missed, named = [], []
    labels = np.arange(240) % 4
    for generator in generators():
        trials = []
        for target, name in enumerate("abcd"):
            for fraction in (0.1, 0.3, 0.5):
                moved = (generator.random(240) < 0.3) & (labels != target)
                aimed = {"operator": "translate", "strength": 1.0, "target": name}
                cell = silence("top", fraction, ranked_for=name, **aimed)
                trials.append((cell, np.where(moved, target, labels).tolist()))
        figures = sites(make_evidence(labels.tolist(), trials)).summary["steering"]["translate"]
        missed.append(not figures["redirect"].low <= 0.3 <= figures["redirect"].high)
        named.append(figures["target"] is not None)
    judge("easiest target of steering (4 alike): misses the truth of .30", missed, 0.05, tell)
    judge("a target is named the easiest to steer to (4 alike)", named, 0.05, tell)


# ---- pathways ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("apart", "share"), [(0.02, 0.5), (0.2, 0.5), (0.2, 0.25)])
def test_nothing_travels_through_other_tokens(apart: float, share: float, tell: Tell) -> None:
    """Both routes lose as much, on different examples; some of the examples are run exactly."""
    excluded, missed = [], []
    for generator in generators():
        trials, stream = [], []
        for fraction in (0.05, 0.1, 0.25, 0.5, 0.8):
            lost = generator.random(240) < 0.2
            swapped = (generator.random(240) < apart / 0.32) & (generator.random(240) < 0.16 * 2)
            other = np.where(swapped, generator.random(240) < 0.5, lost)
            direct = np.where(swapped, ~other, lost)
            known = np.isin(np.arange(240), generator.permutation(240)[: int(240 * share)])
            trials.append((silence("top", fraction), np.where(other, 1 - LABELS, LABELS).tolist()))
            stream.append((np.where(direct, 1 - LABELS, LABELS).tolist(), known.tolist()))
        figures = pathways(make_evidence(LABELS.tolist(), trials, stream=stream))
        found = figures.summary["pathways"]["mean"]
        excluded.append(found["largest_indirect"].low > 0 or found["largest_indirect"].high < 0)
        apart_there = found["largest_disagreement"]
        missed.append(not apart_there.low <= apart <= apart_there.high)
    what = f"5 shares, routes differ on {apart:g}, {share:g} exact"
    judge(f"the largest indirect effect excludes 0: there is none ({what})", excluded, 0.05, tell)
    judge(f"the largest disagreement of routes: misses the truth ({what})", missed, 0.05, tell)


# ---- alarms --------------------------------------------------------------------------------------


def test_where_most_alarms_are_missed(tell: Tell) -> None:
    missed = []
    logits = np.eye(2, dtype=np.float32)[LABELS]
    for generator in generators():
        trials = []
        for fraction in (0.05, 0.1, 0.25, 0.5, 0.8):
            passed = (LABELS == 1) & (generator.random(240) < 0.2)
            trials.append((silence("top", fraction), np.where(passed, 0, LABELS).tolist()))
        made = make_evidence(LABELS.tolist(), trials, logits=logits)
        scores = (1.0 - made.outcomes.predicted).astype(np.float32)
        evidence = replace(made, benign="a", outcomes=replace(made.outcomes, benign=scores))
        found = detection(evidence).summary["detection"]["removal"]["mean"]["missed_alarm"]
        missed.append(not found.low <= 0.2 <= found.high)
    judge("most missed alarms of a curve (5 alike): misses the truth of .20", missed, 0.05, tell)


# ---- attacks and edits aimed at classes ----------------------------------------------------------


@pytest.mark.parametrize("rate", [0.05, 0.55])
def test_targets_that_are_alike(rate: float, tell: Tell) -> None:
    """Four targets at three sizes, by an attack on the input and by an edit of the head."""
    attacked, edited = [], []
    labels = np.arange(240) % 4
    for generator in generators():
        trials = []
        for target, name in enumerate("abcd"):
            for size in (0.1, 0.2, 0.3):
                moved = (generator.random(240) < rate) & (labels != target)
                after = np.where(moved, target, labels).tolist()
                attack = replace(FGSM, operator="pgd", strength=size, target=name, steps=10)
                edit = HeadEdit(np.full((4, 2), size + target), np.zeros(4))
                pushed = replace(push("ranked", size, 1.0), target=name, edit=edit)
                trials += [(attack, after), (pushed, after)]
        evidence = make_evidence(labels.tolist(), trials)
        found = inputs(evidence).summary["inputs"]["aimed"]
        attacked.append(not found.low <= rate <= found.high)
        found = vulnerability(evidence).summary["head_edit"].beside.get("rate")
        if found is not None:
            edited.append(not found.low <= rate <= found.high)
    what = f"misses the truth of {rate:g}"
    judge(f"easiest target of an attack (12 alike): {what}", attacked, 0.05, tell)
    # At a rate of .05 no edit redirects half, so there is none to quote.
    assert len(edited) == (len(attacked) if rate > 0.5 else 0)
    if edited:
        judge(f"rate of the smallest edit that is enough (12 alike): {what}", edited, 0.05, tell)


def test_class_sets_that_are_alike(tell: Tell) -> None:
    """The least and the most F1 of six classes, each measured on 150 examples of its own."""
    missed, apart = [], []
    for generator in generators(1000):
        hits = generator.binomial(150, 0.7, size=6)
        low, high = wilson(hits, np.full(6, 150))
        table = pd.DataFrame({
            "operator": "zero", "fraction": 0.5, "ranked_for": list("abcdef"), "f1": hits / 150,
            "f1_low": low, "f1_high": high,
        })  # fmt: skip
        least, most = class_sets(table).values()
        missed.append(not (least.low <= 0.7 <= least.high and most.low <= 0.7 <= most.high))
        apart.append(least.high < most.low)
    judge("least and most F1 of 6 classes alike: either misses the truth", missed, 0.05, tell)
    judge("their intervals do not overlap", apart, 0.05, tell)


# ---- the smallest size that is enough ------------------------------------------------------------


def test_the_smallest_size_that_is_enough(tell: Tell) -> None:
    """Edits, strengths of an attack, numbers of bits: what is surely enough, and what may be."""
    sure, may = [], []
    sizes = np.repeat(np.arange(1.0, 11.0), 6)
    for generator in generators(1000):
        # From size 6 on half is reached; below, every experiment just fails to.
        rate = np.where(sizes < 6, 0.5 - 1e-9, 0.5)
        hits = generator.binomial(150, rate)
        found = smallest_enough(sizes, Losses(hits / 150, *wilson(hits, 150)), 0.5)
        sure.append(bool(found.high < 6))
        may.append(bool(found.low > 6))
    judge("size that surely is enough: a smaller one is not (60 tried)", sure, 0.025, tell)
    judge("size below which none is enough: one is (60 tried)", may, 0.025, tell)


@pytest.mark.parametrize("n", [60, 240])
def test_bits_that_halve_the_accuracy(n: int, tell: Tell) -> None:
    """Ten numbers of bits, each of which takes just too little: none of them surely halves."""
    wrong = []
    labels = np.arange(n) % 2
    for generator in generators():
        trials = []
        for bits in range(1, 11):
            lost = generator.random(n) < 0.25 - 1e-9
            trials.append((flip(bits), np.where(lost, 1 - labels, labels).tolist()))
        table = faults(make_evidence(labels.tolist(), trials)).tables["halving"]
        wrong.append(bool(table["high"].notna().any()))
    judge(f"bits that surely halve the accuracy: none do (10 numbers, n = {n})", wrong, 0.05, tell)
