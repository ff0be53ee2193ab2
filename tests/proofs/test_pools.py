"""Random sets of which only a mean is reported: is it right, and does nothing else pretend to be?

Simulated models of 1,000 examples and 20 or 5 random sets, each of which costs a little more or
less. The sets are dealt in blocks and subsampled, or run exactly on halves of a sample, as the real
sweep does; one more set, known on all examples or all of the sample, stands beside them as a ranked
set would that is nothing special. 300 audits of each, about fifteen minutes on one core. What it
found stands in docs/proofs.md.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from scipy.stats import norm, t

from synapse_audit.artifacts import Cell, Direct, Outcomes, Plan, Pooled, Predictions
from synapse_audit.effects import measure
from synapse_audit.effects.pooled_controls import spread
from synapse_audit.effects.random_controls import combined, excess
from synapse_audit.effects.two_phase import phases
from synapse_audit.neurons import NeuronSet
from synapse_audit.statistics import resampled_weights, weighted_shares
from synapse_audit.sweep import (
    Sample,
    Sampled,
    Subsampling,
    draw_blocks,
    draw_halves,
    draw_sample,
    subsampling,
)
from synapse_audit.sweep.subsample import Need

pytestmark = pytest.mark.proof

AUDITS, EXAMPLES, RESAMPLES = 300, 1000, 400
SETS = (20, 5)
"""Dealt into four parts, and into two."""
DEAL = (0.4, 0.3, 0.15, 0.1, 0.05)
SHARE = 0.15
"""Share of the examples that a set met which run exactly."""

SAMPLE = 250
"""Examples that exact-only cells run on."""

Run = Callable[["World", int, tuple[Cell, ...], dict[str, Pooled]], Direct]

SPREAD = {"alike": 0.0, "apart": 0.4}
"""Standard deviation of the logarithm of a set's chance to turn a right answer wrong."""


class World(NamedTuple):
    """One data set; what the sets make the model say, along the pooled row and in truth."""

    labels: np.ndarray
    logits: np.ndarray
    stream: np.ndarray
    exact: np.ndarray


def world(generator: np.random.Generator, apart: float, n: int, sets: int) -> World:
    """Half of what decides whether an answer falls belongs to the example, whatever the set."""
    labels = np.repeat(np.arange(5), np.round(np.array(DEAL) * n).astype(int))
    margin = generator.normal(2.0, 1.2, len(labels))
    logits = np.zeros((len(labels), 5), np.float32)
    logits[np.arange(len(labels)), labels] = margin
    other = (labels + 1) % 5
    right = margin > 0
    rate = np.exp(generator.normal(np.log(0.08), apart, sets) - apart**2 / 2)[:, None]
    prone = rate * np.where(margin < 1.5, 2.0, 0.5)
    shared = generator.normal(size=len(labels))
    own = generator.normal(size=(sets, len(labels)))
    falls = (shared + own) / np.sqrt(2) < _quantile(prone)
    exact = np.where(falls & right, other, np.where(right, labels, other))
    differs = generator.random(exact.shape) < np.where(margin < 1.5, 0.04, 0.005)
    stream = np.where(differs & right, labels + other - exact, exact)
    return World(labels, logits, stream, exact)


def _quantile(chance: np.ndarray) -> np.ndarray:
    return np.asarray(norm.ppf(np.clip(chance, 1e-9, 1 - 1e-9)))


def cells(sets: int) -> tuple[Cell, ...]:
    """A ranked set, then the random ones; all of the same size."""
    base = {"space": "neuron", "operator": "zero", "site": "block_output", "position": "pooled"}
    top = Cell(**base, selection="top", fraction=0.5, neurons=NeuronSet.of({1: [0]}))  # type: ignore[arg-type]
    return top, *(
        Cell(**base, selection="random", draw=d, fraction=0.5, neurons=NeuronSet.of({1: [1 + d]}))  # type: ignore[arg-type]
        for d in range(sets)
    )


class Audit(NamedTuple):
    """What one simulated audit says of the sets."""

    drops: np.ndarray
    """The ranked set's, then each random one's."""
    errors: np.ndarray
    """Their standard errors beyond that of the examples."""
    whole: np.ndarray
    """The same drops where everything is known of the examples that the ranked set met."""
    low: float
    high: float
    """Of the pooled mean."""
    whole_low: float
    whole_high: float
    """The same interval where every set is known on all examples."""
    excess_low: float
    excess_high: float
    z: float


def dealt(world: World, number: int, planned: tuple[Cell, ...], pools: dict[str, Pooled]) -> Direct:
    """Comparators: dealt in blocks and subsampled as the real sweep does it."""
    n, sets = len(world.labels), len(pools)
    chosen = subsampling(np.arange(n), world.labels, precision=0.01, seed=number)
    chosen = replace(chosen, pools=pools)
    blocks = draw_blocks(chosen, world.labels, world.logits)
    assert len(blocks) == (4 if sets >= 8 else 2)
    samples = [block.sample for block in blocks]
    place = _places(blocks, planned)
    weight = np.zeros((sets + 1, n), np.float32)
    weight[0] = _second(chosen, np.arange(n), None)
    for row, number in enumerate(place[1:], start=1):
        met = np.flatnonzero(samples[number].design_weight)
        weight[row, met] = _second(chosen.take(met), met, pools[planned[row].action])
        weight[row] *= samples[number].design_weight
    return _direct(world, weight, place, samples, np.zeros(sets + 1))


def sampled(
    world: World, number: int, planned: tuple[Cell, ...], pools: dict[str, Pooled]
) -> Direct:
    """Exact-only cells: the ranked set on a sample, the random ones on its halves."""
    n = len(world.labels)
    numbers = subsampling(np.arange(n), world.labels, precision=0.01, seed=number).numbers
    given = {"numbers": numbers, "size": SAMPLE, "parts": 2}
    sample = draw_sample(np.arange(n), world.labels, world.logits, **given)
    assert sample is not None
    halves = draw_halves(sample, numbers, pools)
    every = (*halves, Sampled(sample, frozenset([planned[0].action])))
    place = _places(every, planned)
    weight = np.stack([every[number].sample.design_weight for number in place])
    none = np.full(len(planned), np.nan)
    return _direct(world, weight, place, [one.sample for one in every], none)


RUNS = {"comparators": dealt, "exact-only": sampled}


def _places(every: Sequence[Sampled], planned: tuple[Cell, ...]) -> np.ndarray:
    return np.array(
        [
            next((i for i, one in enumerate(every) if cell.action in one.actions), -1)
            for cell in planned
        ]
    )


def _direct(
    world: World, weight: np.ndarray, place: np.ndarray, samples: list[Sample], rates: np.ndarray
) -> Direct:
    clean = world.logits.argmax(axis=1)
    met = np.array([np.ones(len(clean)) if s < 0 else samples[s].design_weight for s in place]) > 0
    stream = clean if np.isnan(rates).all() else world.stream
    return Direct(
        weight,
        np.where(met, stream, clean).astype(np.uint16),
        np.zeros(weight.shape, np.float32),
        rates,
        rates,
        sample=place,
        strata=np.stack([sample.strata for sample in samples]),
        inclusion=np.stack([sample.design_weight for sample in samples]),
        whole=np.stack([sample.whole for sample in samples]),
    )


def audit(world: World, number: int, run: Run) -> Audit:
    """Deals, subsamples and measures as the real sweep does."""
    n, sets = len(world.labels), len(world.exact) - 1
    planned = cells(sets)
    pools = {cell.action: Pooled(sets, place) for place, cell in enumerate(planned[1:])}
    clean = world.logits.argmax(axis=1)
    direct = run(world, number, planned, pools)
    zero = np.zeros(world.exact.shape, np.float32)
    known = np.where(direct.design_weight > 0, world.exact, direct.predicted).astype(np.uint16)
    actions = tuple(cell.action for cell in planned)
    found = Outcomes(actions, known, zero, zero, zero, zero, direct=direct)
    resampled = resampled_weights(world.labels, np.ones(n), resamples=RESAMPLES, seed=number)
    effects, _ = measure(
        Plan(planned, dict.fromkeys(actions, "two-phase"), pools=pools),
        found,
        predictions=Predictions(world.labels, world.logits),
        weights=np.ones(n),
        resampled=resampled,
        classes=tuple("abcde"),
        tests=False,
    )
    drops = effects["accuracy_drop"].to_numpy(np.float64)
    errors = effects["phase_se"].to_numpy(np.float64)
    right = phases(found, np.arange(sets + 1)).of(lambda predicted: predicted == world.labels)
    samples = weighted_shares((clean == world.labels) - right, resampled)
    noise = float(np.sqrt((errors[1:] ** 2).mean()))
    between = np.asarray(spread(drops[1:], noise) / np.sqrt(sets))
    half = float(combined(np.asarray(samples[1:].mean(axis=0).std()), between, sets).half)
    known_low, known_high = _all_exact(world, clean)
    beyond = excess(drops[0], drops[1:], samples[0] - samples[1:].mean(axis=0))
    mean = float(drops[1:].mean())
    return Audit(
        drops,
        errors,
        _on_its_examples(world, direct),
        mean - half,
        mean + half,
        known_low,
        known_high,
        beyond.low,
        beyond.high,
        float(effects["z_random"][0]),
    )


def _on_its_examples(world: World, direct: Direct) -> np.ndarray:
    """Every set's drop on what the ranked set met: the second phase and the dealing add no error
    there."""
    assert direct.sample is not None and direct.inclusion is not None
    first = direct.sample[0]
    stands = np.ones(len(world.labels)) if first < 0 else direct.inclusion[first]
    clean = (world.logits.argmax(axis=1) == world.labels).mean()
    return np.asarray(clean - (world.exact == world.labels) @ stands / stands.sum())


def _all_exact(world: World, clean: np.ndarray) -> tuple[float, float]:
    """The interval of the mean over sets that are known on all examples."""
    lost = (clean == world.labels) - (world.exact[1:] == world.labels).astype(float)
    drops, sets = lost.mean(axis=1), len(lost)
    examples = lost.mean(axis=0).std() / np.sqrt(lost.shape[1])
    draws = drops.std(ddof=1) / np.sqrt(sets)
    half = float(combined(np.asarray(examples), np.asarray(draws), sets).half)
    return float(drops.mean()) - half, float(drops.mean()) + half


def _second(chosen: Subsampling, met: np.ndarray, pooled: Pooled | None) -> np.ndarray:
    places = np.zeros((1, len(met)), np.int64)
    shares = np.full((1, len(chosen.costs)), SHARE)
    return np.asarray(chosen.design_weight(shares, places, [Need(pooled)])[0])


def simulated(apart: float, sets: int, run: Run) -> Iterator[Audit]:
    for number in range(AUDITS):
        generator = np.random.default_rng([number, 5])
        yield audit(world(generator, apart, EXAMPLES, sets + 1), number, run)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("sets", SETS)
@pytest.mark.parametrize("name", SPREAD)
def test_a_pooled_mean_is_right_and_nothing_stands_out_by_noise(
    name: str, sets: int, run: str, tell: Callable[[str], None]
) -> None:
    """The mean's interval covers as often as where all is exact (five sets that lie far apart are
    too few for 95 %); set errors are what they are said to be; the null stays null."""
    large = world(np.random.default_rng(77), SPREAD[name], 20_000, 200)
    clean = large.logits.argmax(axis=1) == large.labels
    truth = float(clean.mean() - (large.exact == large.labels).mean())
    found = list(simulated(SPREAD[name], sets, RUNS[run]))
    covered = np.mean([a.low <= truth <= a.high for a in found])
    exact = np.mean([a.whole_low <= truth <= a.whole_high for a in found])
    errors = np.stack([a.drops - a.whole for a in found])
    said = np.sqrt(np.mean([a.errors**2 for a in found], axis=0))
    real = errors.std(axis=0)
    pooled = errors[:, 1:].mean(axis=1)
    bias = pooled.mean() / (pooled.std() / np.sqrt(AUDITS))
    special = np.mean([not a.excess_low <= 0 <= a.excess_high for a in found])
    z = np.array([a.z for a in found])
    critical = t.ppf(0.975, sets - 1) * np.sqrt(1 + 1 / sets)
    beyond = np.mean(np.abs(z[~np.isnan(z)]) > critical) if (~np.isnan(z)).any() else 0.0
    width = np.mean([(a.high - a.low) / 2 for a in found])
    whole = np.std([a.whole[1:].mean() for a in found])
    tell(
        f"{name}, {sets} sets, {run}: "
        f"pooled mean covered {covered:.1%} (all exact {exact:.1%}; half width {width:.4f}); "
        f"its error beyond the "
        f"examples' {pooled.std():.4f}, the examples' own {whole:.4f}; bias z {bias:+.1f}; a set's "
        f"error {real[1:].mean():.4f}, said {said[1:].mean():.4f}; "
        f"ranked set's {real[0]:.4f}, said {said[0]:.4f}; excess beyond 0 in "
        f"{special:.1%}; z unknown in {np.isnan(z).mean():.0%}, "
        f"beyond {critical:.2f} in {beyond:.1%}"
    )
    assert (
        covered >= min(0.93, exact - 0.02) and abs(bias) < 4 and special <= 0.07 and beyond <= 0.07
    )
    assert 0.9 < said[1:].mean() / real[1:].mean() < 1.2
