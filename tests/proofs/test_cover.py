"""What the first screen and the terminal say besides picked figures: how often that is wrong.

Clean accuracy, missed and false alarms and the guaranteed accuracy are shares of examples with one
interval; interventions that "let attacks through" are judged one by one. Takes about a minute.
"""

from dataclasses import replace

import numpy as np
import pytest
from findings.evidence import make_evidence, one_hot_logits, silence

from synapse_audit.effects.estimates import proportion
from synapse_audit.effects.exact_subsample import population
from synapse_audit.findings.detection.detection import detection
from synapse_audit.statistics import resampled_weights

from .judging import Tell, generators, judge, judge_clusters

pytestmark = pytest.mark.proof


@pytest.mark.parametrize(("n", "rate"), [(60, 0.95), (240, 0.8), (240, 0.98)])
def test_a_share_of_examples_lies_in_its_interval(n: int, rate: float, tell: Tell) -> None:
    wrong = []
    labels = np.arange(n) % 3
    for generator in generators(1000):
        right = (generator.random(n) < rate).astype(np.float32)[None]
        weights = np.ones(n, dtype=np.float32)
        again = resampled_weights(
            labels, weights, resamples=400, seed=int(generator.integers(1 << 30))
        )
        found = proportion(population(weights[:, None], again), right, np.ones((1, n), dtype=bool))
        wrong.append(not found.low[0] <= rate <= found.high[0])
    judge(f"accuracy, alarms, guarantee (n = {n}): misses the truth of {rate:g}", wrong, 0.05, tell)


def test_interventions_that_let_no_more_attacks_through(tell: Tell) -> None:
    """Every example is missed or flagged anew with the same chance: misses do not rise.

    As many resamples as an audit draws, and anew for every audit: of 200 that all audits shared,
    the ends of the intervals were all off by the same. Interventions of one audit share its clean
    predictions, so the audits are what is counted.
    """
    wrong, cells = [], []
    labels = np.arange(240) % 2
    for number, generator in enumerate(generators(400)):

        def said(generator: np.random.Generator = generator) -> np.ndarray:
            return np.where(generator.random(240) < 0.2, 1 - labels, labels)

        trials = [(silence("top", f), said().tolist()) for f in (0.1, 0.25, 0.5, 0.8)]
        clean = one_hot_logits(said().tolist(), 2)
        made = make_evidence(
            labels.tolist(), trials, logits=clean, resamples=1000, resampling_seed=number
        )
        scores = (1.0 - made.outcomes.predicted).astype(np.float32)
        evidence = replace(made, benign="a", outcomes=replace(made.outcomes, benign=scores))
        found = detection(evidence).summary["detection"]["failures"]
        wrong.append(found["silent"])
        cells.append(found["cells"])
    sentence = "an intervention lets attacks through silently: none does"
    judge_clusters(sentence, wrong, cells, 0.025, tell)
