"""Attacks that a guard is measured against, each as a ``with`` around the model's forward passes.

In: the host classifier and what is known of its states over ``fit``. Out: :class:`Attack` records.
Neuron attacks rewrite pooled states at the outputs of blocks 1 to L; weight attacks put edits of
``interventions.edits`` into the live weights and take them back; input noise falls on every token's
embedding. What the attacker knows of the guard is used in
:mod:`synapse_audit.guard.adaptive`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from synapse_audit.artifacts import ParameterEdit
from synapse_audit.interventions.edits import (
    ATTENTION,
    FORMATS,
    MLP,
    Part,
    applied,
    find_parts,
    flip_edit,
    random_flips,
    weight_noise,
)
from synapse_audit.model import BLOCK_OUTPUT, Batch, Classifier
from synapse_audit.model.hooks import OutputHook, hook_at_points

Attacked = Callable[[Batch], AbstractContextManager[None]]
"""Batch → the attack on its forward pass."""
Free = Callable[[Batch, Tensor], Tensor]
"""Batch and its embeddings → 1 where an attack may move them, else 0; shaped to multiply them."""


class Attack(NamedTuple):
    """One setting of one kind of attack; several draws are measured together."""

    kind: str
    """neuron silencing, neuron noise, block weights, bit flip, input noise …"""
    setting: str
    draws: tuple[Attacked, ...]
    on_weights: bool
    """Whether it leaves the weights changed, so that canaries may see it."""
    targets: tuple[int, ...] = ()
    """The class that each draw aims at; empty where it only harms."""
    if_alarms_stop: str = ""
    """Kind of a second row, in which what raises an alarm has not succeeded; none where empty."""
    alarms_stop: bool = False
    """Whether this is that row."""
    starts: int | None = None
    """Points that a search started from, the best of which counts; None: nothing was searched."""
    steps: int | None = None
    """Steps from each of them."""


SHARES = (0.1, 0.5)
NOISES = (0.5, 2.0)
"""Of a neuron's spread over ``fit``."""
WEIGHT_NOISES = (0.3, 1.0)
"""Of a weight's root mean square."""
INPUT_NOISES = (0.6, 1.5)
"""Of the embeddings' root mean square."""


def all_attacks(
    classifier: Classifier, states: Sequence[Float[np.ndarray, "fit _"]], *, draws: int, seed: int
) -> Iterator[Attack]:
    """Every kind at every size.

    Args:
        states: pooled states of ``fit`` at layers 0 to L.
    """
    yield from neuron_attacks(classifier, states, draws=draws, seed=seed)
    yield from weight_attacks(classifier, draws=draws, seed=seed)
    for size in INPUT_NOISES:
        noises = tuple(input_noise(classifier, size, [seed, 43, d]) for d in range(draws))
        yield Attack("input noise", f"{size:g} of the RMS", noises, on_weights=False)


def neuron_attacks(
    classifier: Classifier, states: Sequence[Float[np.ndarray, "fit _"]], *, draws: int, seed: int
) -> Iterator[Attack]:
    """Random shares of all neurons silenced (zero, mean) or disturbed."""
    means = [one.mean(axis=0) for one in states]
    spreads = [one.std(axis=0) for one in states]
    for share in SHARES:
        for name in ("zero", "mean"):
            made = []
            for d in range(draws):
                chosen = _chosen(states, share, [seed, 41, d])
                values = means if name == "mean" else [np.zeros_like(m) for m in means]
                made.append(_set_to(classifier, chosen, values))
            yield Attack(f"neurons to {name}", f"{share:.0%}", tuple(made), on_weights=False)
    for size in NOISES:
        noisy = tuple(_disturbed(classifier, spreads, size, [seed, 42, d]) for d in range(draws))
        yield Attack("neuron noise", f"{size:g} spreads", noisy, on_weights=False)


def weight_attacks(classifier: Classifier, *, draws: int, seed: int) -> Iterator[Attack]:
    """Gaussian noise on blocks' weights, and single random bit flips of float32."""
    layers = range(1, classifier.n_layers + 1)
    parts = find_parts(classifier.model, classifier.output_layer, classifier.blocks, layers)
    blocks = [part for part in parts if part.name in (ATTENTION, MLP)]
    if not blocks:
        return
    for size in WEIGHT_NOISES:
        edits = []
        for d in range(draws):
            generator = np.random.default_rng([seed, 44, d])
            part = blocks[int(generator.integers(len(blocks)))]
            edits.append(_edited(classifier, weight_noise(part, size, generator)))
        yield Attack("block weights", f"{size:g} of the RMS", tuple(edits), on_weights=True)
    kinds = {"exponent": range(23, 31), "any bit": range(32)}
    for name, bits in kinds.items():
        flips = tuple(_flipped(classifier, blocks, bits, [seed, 45, d]) for d in range(4 * draws))
        yield Attack("one bit flip", name, flips, on_weights=True)


def silenced(
    classifier: Classifier,
    rewrite: Mapping[int, Callable[[Tensor], Tensor]],
) -> Attacked:
    """Rewrites the pooled state at block outputs: layer → new pooled states."""

    @contextmanager
    def attack(batch: Batch) -> Iterator[None]:
        pooling = classifier.pooling(batch)

        def at(change: Callable[[Tensor], Tensor]) -> OutputHook:
            def hook(states: Tensor) -> Tensor:
                tokens = pooling.tokens(states).clone()
                pooled = pooling.gather(states)
                new = change(pooled)
                if pooling.single:
                    tokens[torch.arange(len(tokens)), pooling.place] = new
                else:
                    read = pooling.read(tokens.shape[1])[..., None]
                    tokens = tokens + read * (new - pooled)[:, None]
                return tokens.reshape(states.shape)

            return hook

        points = [(classifier.point(BLOCK_OUTPUT, m), at(f)) for m, f in rewrite.items()]
        with hook_at_points(points, root=classifier.model):
            yield

    return attack


def everything(batch: Batch, states: Tensor) -> Tensor:
    """All of the embeddings may be moved."""
    return states.new_ones(())


def input_noise(
    classifier: Classifier, size: float, seed: Sequence[int], free: Free = everything
) -> Attacked:
    """Gaussian noise on all tokens' embeddings (layer 0), relative to their root mean square."""

    @contextmanager
    def attack(batch: Batch) -> Iterator[None]:
        generator = torch.Generator().manual_seed(int(np.random.default_rng(seed).integers(2**31)))

        def hook(states: Tensor) -> Tensor:
            scale = states.square().mean().sqrt() * size
            noise = torch.randn(states.shape, generator=generator)
            return states + scale * noise.to(states) * free(batch, states)

        with hook_at_points([(classifier.point(BLOCK_OUTPUT, 0), hook)], root=classifier.model):
            yield

    return attack


def _chosen(
    states: Sequence[Float[np.ndarray, "fit _"]], share: float, seed: Sequence[int]
) -> list[Int[np.ndarray, " chosen"]]:
    generator = np.random.default_rng(seed)
    return [
        np.sort(generator.permutation(one.shape[1])[: round(share * one.shape[1])])
        for one in states
    ]


def _set_to(
    classifier: Classifier,
    chosen: Sequence[Int[np.ndarray, " chosen"]],
    values: Sequence[Float[np.ndarray, " neurons"]],
) -> Attacked:
    def change(layer: int) -> Callable[[Tensor], Tensor]:
        index = torch.from_numpy(chosen[layer])
        new = torch.from_numpy(np.asarray(values[layer], np.float32)[chosen[layer]])

        def of(pooled: Tensor) -> Tensor:
            found = pooled.clone()
            found[:, index.to(found.device)] = new.to(found)
            return found

        return of

    return silenced(classifier, {m: change(m) for m in range(1, classifier.n_layers + 1)})


def _disturbed(
    classifier: Classifier,
    spreads: Sequence[Float[np.ndarray, " neurons"]],
    size: float,
    seed: Sequence[int],
) -> Attacked:
    start = int(np.random.default_rng(seed).integers(2**31))

    def change(layer: int) -> Callable[[Tensor], Tensor]:
        spread = torch.from_numpy(np.asarray(spreads[layer], np.float32))

        def of(pooled: Tensor) -> Tensor:
            generator = torch.Generator().manual_seed(start + layer)
            noise = torch.randn(pooled.shape, generator=generator)
            return pooled + (size * spread * noise).to(pooled)

        return of

    return silenced(classifier, {m: change(m) for m in range(1, classifier.n_layers + 1)})


def _edited(classifier: Classifier, edit: ParameterEdit) -> Attacked:
    @contextmanager
    def attack(batch: Batch) -> Iterator[None]:
        if not edit.n_changed:  # noise on zeros, the sign of a zero
            yield
            return
        with applied(classifier.model, classifier.output_layer, edit):
            yield

    return attack


def _flipped(
    classifier: Classifier, parts: Sequence[Part], bits: Sequence[int], seed: Sequence[int]
) -> Attacked:
    weights = {name: array for part in parts for name, array in part.weights.items()}
    flips = random_flips(weights, list(bits), 1, np.random.default_rng(seed))
    return _edited(classifier, flip_edit(weights, flips, FORMATS["fp32"], None))
