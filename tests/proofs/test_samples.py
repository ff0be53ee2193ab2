"""Cells on a sample of the examples: do their intervals cover, are they unbiased?

Simulated models whose truth is known: an example's chance to be wrong, clean and edited, depends on
its class and on how sure the untouched model is. 400 audits of 1,000 examples each draw a sample as
the real sweep does and are measured by the real metrics. Takes about two minutes on one core. What
it found stands in docs/proofs.md.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from synapse_audit.artifacts import Cell, Direct, Outcomes, Plan, Predictions
from synapse_audit.effects import measure
from synapse_audit.effects.two_phase import phases
from synapse_audit.statistics import paired_interval, resampled_weights, weighted_shares
from synapse_audit.sweep import Sample, draw_sample, subsampling

pytestmark = pytest.mark.proof

AUDITS, EXAMPLES, RESAMPLES = 400, 1000, 400

DEALS = {
    "five classes": (0.4, 0.3, 0.15, 0.1, 0.05),
    "two classes": (0.9, 0.1),
    "40 classes": (0.025,) * 40,
}
"""Shares of the classes."""

EFFECTS = {"none": 0.0, "rare": 0.01, "some": 0.1, "half": 0.5, "nearly all": 0.95}
"""Chance that an edit makes a right answer wrong; three times that where the model is in doubt."""


class World(NamedTuple):
    """One data set, what the untouched model says, and what it says under every edit."""

    labels: np.ndarray
    logits: np.ndarray
    edited: np.ndarray


def world(generator: np.random.Generator, deal: tuple[float, ...], n: int) -> World:
    """``n`` examples; edits flip right answers, and mend one wrong answer in ten."""
    classes = len(deal)
    counts = np.round(np.array(deal) * n).astype(int)
    labels = np.repeat(np.arange(classes), counts)
    margin = generator.normal(2.0, 1.2, len(labels)) - 0.5 * (labels == classes - 1)
    other = (labels + 1 + generator.integers(0, classes - 1, len(labels))) % classes
    logits = np.zeros((len(labels), classes), np.float32)
    logits[np.arange(len(labels)), labels] = margin
    logits[np.arange(len(labels)), other] += 1e-3
    clean = logits.argmax(axis=1)
    edited = []
    for chance in EFFECTS.values():
        prone = np.clip(chance * np.where(margin < 1.5, 3.0, 1.0) * (1 + labels % 2), 0, 1)
        prone = np.where(clean == labels, prone, 0.1 * (chance > 0))
        moved = np.where(clean == labels, other, labels)
        edited.append(np.where(generator.random(len(labels)) < prone, moved, clean))
    return World(labels, logits, np.array(edited))


def outcomes(world: World, sample: Sample | None) -> Outcomes:
    """All of them, or those of the sample with the clean answers elsewhere."""
    shape, actions = world.edited.shape, tuple(EFFECTS)
    zero = np.zeros(shape, np.float32)
    if sample is None:
        return Outcomes(actions, world.edited.astype(np.uint16), zero, zero, zero, zero)
    drawn = sample.design_weight > 0
    known = np.where(drawn, world.edited, sample.predicted).astype(np.uint16)
    direct = Direct(
        np.repeat(sample.design_weight[None], shape[0], axis=0),
        np.repeat(sample.predicted[None], shape[0], axis=0).astype(np.uint16),
        zero,
        np.full(shape[0], np.nan),
        np.full(shape[0], np.nan),
        sample=np.zeros(shape[0], np.int64),
        strata=sample.strata[None],
        inclusion=sample.design_weight[None],
    )
    return Outcomes(actions, known, zero, zero, zero, zero, direct=direct)


class Audit(NamedTuple):
    """What one simulated audit reports, by metric: value, low, high per edit."""

    metrics: dict[str, np.ndarray]
    n_exact: float


def audit(world: World, number: int, size: int | None) -> Audit:
    """Draws the sample, measures, and reads accuracy once more as findings do."""
    rows, n = np.arange(len(world.labels)), len(world.labels)
    chosen = subsampling(rows, world.labels, precision=0.01, seed=number)
    sample = None
    if size is not None:
        sample = draw_sample(rows, world.labels, world.logits, numbers=chosen.numbers, size=size)
        assert sample is not None
    found = outcomes(world, sample)
    cells = [_Named(name) for name in EFFECTS]
    weights, predictions = np.ones(n), Predictions(world.labels, world.logits)
    resampled = resampled_weights(world.labels, weights, resamples=RESAMPLES, seed=number)
    classes = tuple(str(c) for c in range(world.logits.shape[1]))
    effects, by_class = measure(
        Plan(tuple(cells), dict.fromkeys(EFFECTS, "full")),
        found,
        predictions=predictions,
        weights=weights,
        resampled=resampled,
        classes=classes,
        tests=False,
    )
    metrics = {
        name: effects[[name, f"{name}_low", f"{name}_high"]].to_numpy(np.float64)
        for name in ("accuracy", "accuracy_drop", "macro_f1", "flip_rate")
    }
    first = by_class[by_class["class"] == classes[1]]
    metrics["recall"] = first[["recall", "recall_low", "recall_high"]].to_numpy(np.float64)
    both, clean = phases(found, np.arange(len(cells))), predictions.predicted == world.labels
    change = clean - both.of(lambda predicted: predicted == world.labels)
    value, samples = (weighted_shares(change, w) for w in (weights, resampled))
    ends = paired_interval(value, samples, n * both.size_share(weights))
    metrics["drop in findings"] = np.stack([value, *ends], axis=1)
    return Audit(metrics, float(effects["n_exact"].mean()))


class _Named(Cell):
    """A cell whose action is its name."""

    def __init__(self, name: str) -> None:
        super().__init__("input", name, "embeddings")

    @property
    def action(self) -> str:  # type: ignore[override]
        return self.operator


def truth(deal: tuple[float, ...]) -> dict[str, np.ndarray]:
    """The same metrics on 200,000 examples."""
    large = world(np.random.default_rng(99), deal, 200_000)
    labels, clean = large.labels, large.logits.argmax(axis=1)
    right = (large.edited == labels).mean(axis=1)
    f1 = []
    for said in large.edited:
        table = np.zeros((len(deal), len(deal)))
        np.add.at(table, (labels, said), 1)
        hits = np.diag(table)
        f1.append(np.mean(2 * hits / (table.sum(0) + table.sum(1))))
    return {
        "accuracy": right,
        "accuracy_drop": (clean == labels).mean() - right,
        "drop in findings": (clean == labels).mean() - right,
        "macro_f1": np.array(f1),
        "flip_rate": (large.edited != clean).mean(axis=1),
        "recall": (large.edited[:, labels == 1] == 1).mean(axis=1),
    }


@pytest.mark.parametrize("size", [250, 100])
@pytest.mark.parametrize("name", DEALS)
def test_intervals_of_samples_cover(name: str, size: int, tell: Callable[[str], None]) -> None:
    """95 % − 2 or more on average over the edits, whatever the metric; estimates unbiased."""
    known, found = truth(DEALS[name]), []
    for number in range(AUDITS):
        data = world(np.random.default_rng([number, 3]), DEALS[name], EXAMPLES)
        found.append(audit(data, number, size))
    tell(f"{name}, {size}: {np.mean([a.n_exact for a in found]):.0f} examples run")
    shares = {}
    for metric, true in known.items():
        values = np.stack([a.metrics[metric] for a in found])
        if np.isnan(values).all():
            tell(f"  {metric}: not reported")
            continue
        held = (values[..., 1] - 1e-9 <= true) & (true <= values[..., 2] + 1e-9)
        error = values[..., 0] - true
        z = np.nanmean(error, axis=0) / (np.nanstd(error, axis=0) / np.sqrt(AUDITS) + 1e-12)
        width = np.nanmean(values[..., 2] - values[..., 1], axis=0) / 2
        reported = ~np.isnan(values[..., 0])
        shares[metric] = held.sum(axis=0) / reported.sum(axis=0)
        tell(
            f"  {metric}: covered {shares[metric].mean():.1%} ({shares[metric].min():.1%} to "
            f"{shares[metric].max():.1%}), half widths {np.round(width, 3)}, "
            f"bias z {np.round(z, 1)}"
        )
        if metric in ("accuracy", "accuracy_drop", "flip_rate"):
            assert np.abs(z).max() < 4
    assert min(share.mean() for share in shares.values()) >= 0.93
