"""Slices that are all alike: how often a worst one is named, and whether intervals hold.

200 audits each of five slices of very different sizes, with and without groups. A share may exceed
its nominal 5 % by three standard errors of such a share.
"""

from dataclasses import replace

import numpy as np
import pytest
from findings.evidence import make_evidence, one_hot_logits

from synapse_audit.findings.slices import LEAST, slices
from synapse_audit.statistics import resampled_weights

pd = pytest.importorskip("pandas")
pytestmark = pytest.mark.proof

AUDITS, RATE = 200, 0.85
SHARES = (0.4, 0.25, 0.15, 0.1, 0.1)


def audited(seed: int, *, worst: float = RATE, grouped: bool = False):
    """An audit of 400 examples; the last slice has its own accuracy."""
    generator = np.random.default_rng([seed, 5])
    labels = generator.integers(0, 3, 400)
    site = generator.choice(5, 400, p=SHARES)
    groups = np.arange(400)
    if grouped:  # four examples of each are right or wrong together, half of the time
        groups = np.repeat(np.arange(100), 4)
        site = np.repeat(generator.choice(5, 100, p=SHARES), 4)
    rate = np.where(site == 4, worst, RATE)
    own, shared = generator.random(400), generator.random(100)[groups % 100]
    together = grouped & (generator.random(100) < 0.5)[groups % 100]
    right = np.where(together, shared, own) < rate
    predicted = np.where(right, labels, (labels + 1) % 3)
    made = make_evidence(labels.tolist(), logits=one_hot_logits(predicted, 3), resamples=500)
    columns = {"site": pd.Categorical(site.astype(str))}
    if not grouped:
        return slices(replace(made, slices=columns))
    drawn = resampled_weights(labels, np.ones(400), groups=groups, resamples=500, seed=seed)
    return slices(replace(made, slices=columns, groups=groups, resampled=drawn))


def at_most(share: float, nominal: float, n: int) -> bool:
    return share <= nominal + 3 * np.sqrt(nominal * (1 - nominal) / n)


@pytest.mark.parametrize("grouped", [False, True])
def test_equal_slices(grouped: bool):
    named, apart, missed, worst, gap, total = 0, 0, 0, 0, 0, 0
    for seed in range(AUDITS):
        found = audited(seed, grouped=grouped)
        table = found.tables["slices"].dropna(subset=["accuracy"])
        figures = found.summary["worst_slice"]["site"]
        named += figures["accuracy"].beside["slice"] is not None
        apart += bool(((table["difference_low"] > 0) | (table["difference_high"] < 0)).any())
        outside = (table["accuracy_low"] > RATE) | (table["accuracy_high"] < RATE)
        missed, total = missed + int(outside.sum()), total + len(table)
        worst += not np.nan_to_num(figures["accuracy"].low) <= RATE <= figures["accuracy"].high
        gap += figures["gap"].low > 0
    assert at_most(named / AUDITS, 0.05, AUDITS)
    assert at_most(apart / AUDITS, 0.05, AUDITS)
    assert at_most(missed / total, 0.05, total)
    assert at_most(worst / AUDITS, 0.05, AUDITS) and at_most(gap / AUDITS, 0.05, AUDITS)


def test_a_worse_slice_is_found_and_its_interval_holds():
    """A slice with half of the others' accuracy; some 40 examples of it."""
    named, held, judged = 0, 0, 0
    for seed in range(AUDITS):
        found = audited(seed, worst=0.45)
        worst = found.summary["worst_slice"]["site"]["accuracy"]
        judged += not np.isnan(worst.low)
        held += bool(worst.low <= 0.45 <= worst.high)
        named += worst.beside["slice"] == "4"
        assert worst.beside["slice"] in (None, "4")
    assert judged > 0.95 * AUDITS, f"slices of {LEAST} examples and more"
    assert at_most(1 - held / judged, 0.05, judged)
    assert named > 0.6 * AUDITS
