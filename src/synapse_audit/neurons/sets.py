"""Sets of neurons, and the selections that turn scores into sets.

In: scores per layer. Out: a :class:`NeuronSet`. A neuron's address is (layer, index); layers are
counted as transformers' ``hidden_states`` does (0 = embeddings, l = output of block l).

``fraction`` is always a share of a number of neurons, never of weight mass (the published SYNAPSE
code mixed the two): of each layer's own, or, in the ``across`` selections, of all layers' together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import SupportsIndex

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.errors import UsageError

Scores = Sequence[Float[np.ndarray, "_"]]
"""One array of scores per layer, layer 0 (embeddings) first; widths may differ."""

Indices = Iterable[SupportsIndex] | Int[np.ndarray, "_"]
"""Neuron numbers within one layer."""


@dataclass(frozen=True)
class NeuronSet:
    """Which (layer, neuron) pairs; immutable, sorted, without repeats.

    >>> NeuronSet.of({1: [3, 1], 2: []})
    NeuronSet({1: [1, 3]})
    """

    members: tuple[tuple[int, tuple[int, ...]], ...]
    """(layer, indices) with layers and indices ascending; layers without a neuron are absent."""

    @classmethod
    def of(cls, by_layer: Mapping[int, Indices]) -> NeuronSet:
        """Builds the set from any mapping of layer to neuron indices."""
        rows = {layer: tuple(sorted({int(i) for i in ids})) for layer, ids in by_layer.items()}
        return cls(tuple((layer, rows[layer]) for layer in sorted(rows) if rows[layer]))

    @property
    def by_layer(self) -> dict[int, Int[np.ndarray, " chosen"]]:
        """Layer → ascending neuron indices."""
        return {layer: np.asarray(ids, dtype=np.int64) for layer, ids in self.members}

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers with at least one neuron, ascending."""
        return tuple(layer for layer, _ in self.members)

    @property
    def counts(self) -> dict[int, int]:
        """Layer → number of neurons."""
        return {layer: len(ids) for layer, ids in self.members}

    def __len__(self) -> int:
        return sum(len(ids) for _, ids in self.members)

    def __repr__(self) -> str:
        return f"NeuronSet({ {layer: list(ids) for layer, ids in self.members} })"

    def __or__(self, other: NeuronSet) -> NeuronSet:
        mine, theirs = dict(self.members), dict(other.members)
        return NeuronSet.of({m: mine.get(m, ()) + theirs.get(m, ()) for m in {*mine, *theirs}})

    def __sub__(self, other: NeuronSet) -> NeuronSet:
        theirs = dict(other.members)
        return NeuronSet.of({m: set(ids) - set(theirs.get(m, ())) for m, ids in self.members})

    def __and__(self, other: NeuronSet) -> NeuronSet:
        theirs = dict(other.members)
        return NeuronSet.of({m: set(ids) & set(theirs.get(m, ())) for m, ids in self.members})

    def complement(self, widths: Sequence[int], layers: Iterable[int]) -> NeuronSet:
        """Every other neuron of ``layers``; ``widths[l]`` is the number of neurons of layer l."""
        mine = dict(self.members)
        return NeuronSet.of({m: set(range(widths[m])) - set(mine.get(m, ())) for m in layers})

    def digest(self) -> str:
        """A short content hash: equal sets have equal digests."""
        return hashlib.sha256(repr(self.members).encode()).hexdigest()[:16]


def count(fraction: float, width: int) -> int:
    """Number of neurons that a fraction of a layer of ``width`` neurons means.

    Raises:
        UsageError: the fraction lies outside [0, 1].
    """
    if not 0.0 <= fraction <= 1.0:
        raise UsageError(f"fraction {fraction} given; expected a number from 0 to 1")
    return round(fraction * width)


def top(scores: Scores, fraction: float, layers: Iterable[int]) -> NeuronSet:
    """The highest-scored fraction within each layer; ties go to the lower index."""
    return NeuronSet.of({m: _order(scores[m])[: count(fraction, len(scores[m]))] for m in layers})


def bottom(scores: Scores, fraction: float, layers: Iterable[int]) -> NeuronSet:
    """The lowest-scored fraction within each layer."""
    return NeuronSet.of(
        {m: _order(scores[m])[::-1][: count(fraction, len(scores[m]))] for m in layers}
    )


def top_across(scores: Scores, fraction: float, layers: Iterable[int]) -> NeuronSet:
    """The highest-scored fraction of all neurons of ``layers`` together, whichever layer they fill.

    Only for scores that compare across layers. Ties go to the lower layer, then the lower index.

    >>> scores = [np.array([9.0]), np.array([1.0, 5.0]), np.array([4.0, 0.0])]
    >>> top_across(scores, 0.5, [1, 2])
    NeuronSet({1: [1], 2: [0]})
    """
    layers = tuple(layers)
    total = sum(len(scores[m]) for m in layers)
    return _addressed(scores, layers, _pooled_order(scores, layers)[: count(fraction, total)])


def bottom_across(scores: Scores, fraction: float, layers: Iterable[int]) -> NeuronSet:
    """The lowest-scored fraction of all neurons of ``layers`` together."""
    layers = tuple(layers)
    total = sum(len(scores[m]) for m in layers)
    return _addressed(scores, layers, _pooled_order(scores, layers)[::-1][: count(fraction, total)])


def mass_across(scores: Scores, share: float, layers: Iterable[int]) -> NeuronSet:
    """The fewest neurons of ``layers`` together whose scores sum to at least ``share`` of the sum.

    Scores are not negative. Source: Dalvi et al. 2019 (arXiv 1812.09355), cumulative mass.

    Raises:
        UsageError: the share lies outside [0, 1].

    >>> scores = [np.array([0.0]), np.array([1.0, 5.0]), np.array([4.0, 0.0])]
    >>> mass_across(scores, 0.5, [1, 2])
    NeuronSet({1: [1]})
    """
    if not 0.0 <= share <= 1.0:
        raise UsageError(f"share of mass {share} given; expected a number from 0 to 1")
    layers = tuple(layers)
    order = _pooled_order(scores, layers)
    covered = np.cumsum(np.concatenate([np.asarray(scores[m]) for m in layers])[order])
    wanted = share * covered[-1] * (1 - 1e-12)  # sums in another order round differently
    enough = int(np.searchsorted(covered, wanted)) + 1 if share > 0 else 0
    return _addressed(scores, layers, order[:enough])


Selector = Callable[[Scores, float, Iterable[int]], NeuronSet]
"""(scores, share, layers) → the set: :func:`top`, :func:`top_across`, :func:`mass_across` …"""


def exclusive(
    scores: Mapping[str, Scores],
    owner: str,
    fraction: float,
    layers: Iterable[int],
    *,
    choose: Selector = top,
) -> NeuronSet:
    """The owner's set without the sets of all other classes, each chosen by ``choose``."""
    layers = tuple(layers)
    chosen = choose(scores[owner], fraction, layers)
    for name, others in scores.items():
        if name != owner:
            chosen = chosen - choose(others, fraction, layers)
    return chosen


def random_draw(
    widths: Sequence[int], counts: Mapping[int, int], draw: int, seed: int
) -> NeuronSet:
    """The first ``counts[l]`` neurons of one fixed permutation per (seed, draw, layer).

    Nested over counts, and shared by every cell that takes the same number in each layer.
    """
    return NeuronSet.of(
        {m: _generator(seed, draw, m).permutation(widths[m])[:k] for m, k in counts.items()}
    )


def random_across(
    widths: Sequence[int], layers: Iterable[int], k: int, draw: int, seed: int
) -> NeuronSet:
    """The first ``k`` of one fixed permutation of all neurons of some layers per (seed, draw).

    How many fall in each layer is left to chance, about its share of the neurons.
    """
    pairs = [(m, j) for m in layers for j in range(widths[m])]
    chosen = _generator(seed, draw, len(widths), 2).permutation(len(pairs))[:k]
    found: dict[int, list[int]] = {}
    for place in chosen:
        layer, neuron = pairs[place]
        found.setdefault(layer, []).append(neuron)
    return NeuronSet.of(found)


def matched_draw(
    norms: Scores, chosen: NeuronSet, draw: int, seed: int, strata: int = 10
) -> NeuronSet:
    """A random control with the same number of neurons in every stratum of activation norm.

    ``norms[l]`` (root mean square per neuron) is cut into ``strata`` quantile bins; from each bin
    as many neurons are drawn as ``chosen`` holds there.
    """
    random_control: dict[int, list[int]] = {}
    for layer, ids in chosen.by_layer.items():
        bins = np.argsort(np.argsort(norms[layer], kind="stable")) * strata // len(norms[layer])
        shuffled = _generator(seed, draw, layer, 1).permutation(len(bins))
        wanted = np.bincount(bins[ids], minlength=strata)
        random_control[layer] = [
            int(i) for b in range(strata) for i in shuffled[bins[shuffled] == b][: wanted[b]]
        ]
    return NeuronSet.of(random_control)


def _order(scores: Float[np.ndarray, " neurons"]) -> Int[np.ndarray, " neurons"]:
    return np.argsort(-np.asarray(scores), kind="stable")


def _pooled_order(scores: Scores, layers: Sequence[int]) -> Int[np.ndarray, " neurons"]:
    return _order(np.concatenate([np.asarray(scores[m]) for m in layers]))


def _addressed(
    scores: Scores, layers: Sequence[int], places: Int[np.ndarray, " chosen"]
) -> NeuronSet:
    """Places in the layers laid end to end → (layer, index)."""
    starts = np.cumsum([0, *(len(scores[m]) for m in layers)])
    return NeuronSet.of(
        {
            m: places[(places >= start) & (places < end)] - start
            for m, start, end in zip(layers, starts[:-1], starts[1:], strict=True)
        }
    )


def _generator(*key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(list(key)))
