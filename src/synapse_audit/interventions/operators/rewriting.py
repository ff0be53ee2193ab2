"""Rewrites of many cells stacked at one layer: what every route applies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from synapse_audit.artifacts import Cell, LayerStatistics
from synapse_audit.interventions.operators.formulas import operator
from synapse_audit.interventions.operators.keyed import keyed_integer, keyed_normal


@dataclass(frozen=True)
class LayerRewrite:
    """The rewrites of several cells at one layer, ready to apply."""

    gain: Float[Tensor, "cells neurons"]
    offset: Float[Tensor, "cells neurons"]
    keys: Int[Tensor, " cells"]
    """One random key per cell, already mixed with the layer."""
    noise: Float[Tensor, "cells neurons"] | None = None
    swap: Swap | None = None
    bounds: tuple[Float[Tensor, "cells neurons"], Float[Tensor, "cells neurons"]] | None = None
    removal: Removal | None = None

    def __call__(
        self,
        states: Float[Tensor, "cells examples neurons"],
        examples: Int[Tensor, "*keyed examples"],
        token: Int[Tensor, "*keyed examples"],
    ) -> Float[Tensor, "cells examples neurons"]:
        """The rewritten states, on their own device; ``examples`` and ``token`` key the random."""
        device = states.device
        examples, token = examples.to(device), token.to(device)
        if device != self.gain.device:
            return self.to(device)(states, examples, token)
        gain, offset = self.gain[:, None].to(states.dtype), self.offset[:, None].to(states.dtype)
        changed = torch.addcmul(offset, states, gain)
        if self.noise is not None:
            epsilon = keyed_normal(self.keys, examples, token, states.shape[-1])
            changed = changed + (self.noise[:, None] * epsilon).to(states.dtype)
        if self.swap is not None:
            changed = changed + self.swap(examples).to(states.dtype)
        if self.bounds is not None:
            low, high = (bound[:, None].to(states.dtype) for bound in self.bounds)
            changed = torch.minimum(torch.maximum(changed, low), high)
        return changed if self.removal is None else changed - self.removal(states)

    def to(self, device: torch.device) -> LayerRewrite:
        """The same on another device: a layer's states need not be where the batch was."""
        bounds = self.bounds and (self.bounds[0].to(device), self.bounds[1].to(device))
        return LayerRewrite(
            gain=self.gain.to(device),
            offset=self.offset.to(device),
            keys=self.keys.to(device),
            noise=None if self.noise is None else self.noise.to(device),
            swap=None if self.swap is None else self.swap.to(device),
            bounds=bounds,
            removal=None if self.removal is None else self.removal.to(device),
        )

    def of(self, cells: Int[Tensor, " pairs"]) -> PairRewrite:
        """The rewrite of one of the cells for each of several examples."""
        bounds = None if self.bounds is None else (self.bounds[0][cells], self.bounds[1][cells])
        return PairRewrite(
            LayerRewrite(
                gain=self.gain[cells],
                offset=self.offset[cells],
                keys=self.keys[cells],
                noise=None if self.noise is None else self.noise[cells],
                swap=None if self.swap is None else self.swap.of(cells),
                bounds=bounds,
                removal=None if self.removal is None else self.removal.of(cells),
            )
        )


@dataclass(frozen=True)
class PairRewrite:
    """Another cell's rewrite for every example, applied as if to one cell's examples."""

    pairs: LayerRewrite
    """With one cell per pair."""

    def __call__(
        self,
        states: Float[Tensor, "1 pairs neurons"],
        examples: Int[Tensor, " pairs"],
        token: Int[Tensor, " pairs"],
    ) -> Float[Tensor, "1 pairs neurons"]:
        """The rewritten states; what is random is what each cell alone would draw."""
        changed = self.pairs(states.transpose(0, 1), examples[:, None], token[:, None])
        return changed.transpose(0, 1)


@dataclass(frozen=True)
class Swap:
    """Values of other examples that are put in."""

    bank: Float[Tensor, "fit neurons"]
    mask: Float[Tensor, "cells neurons"]
    keys: Int[Tensor, " cells"]
    """One random key per cell, the same at every layer."""

    def __call__(
        self, examples: Int[Tensor, "*keyed examples"]
    ) -> Float[Tensor, "cells examples neurons"]:
        """The drawn values where the mask is 1, else 0."""
        donor = keyed_integer(self.keys, examples, len(self.bank))
        return self.bank[donor] * self.mask[:, None]

    def to(self, device: torch.device) -> Swap:
        """The same on another device."""
        return Swap(self.bank.to(device), self.mask.to(device), self.keys.to(device))

    def of(self, cells: Int[Tensor, " pairs"]) -> Swap:
        """One of the cells for each pair."""
        return Swap(self.bank, self.mask[cells], self.keys[cells])


@dataclass(frozen=True)
class Removal:
    """Directions that are taken out of the states; 0 for cells that take out none.

    Cells that take out fewer than others in the stack are filled up with zeros.
    """

    read: Float[Tensor, "cells rank neurons"]
    write: Float[Tensor, "cells rank neurons"]
    centre: Float[Tensor, "cells neurons"]

    def __call__(
        self, states: Float[Tensor, "cells examples neurons"]
    ) -> Float[Tensor, "cells examples neurons"]:
        """What is to be subtracted; summed in float32, whatever the states are."""
        away = states.float() - self.centre[:, None]
        return (away @ self.read.transpose(1, 2) @ self.write).to(states.dtype)

    def to(self, device: torch.device) -> Removal:
        """The same on another device."""
        return Removal(self.read.to(device), self.write.to(device), self.centre.to(device))

    def of(self, cells: Int[Tensor, " pairs"]) -> Removal:
        """One of the cells for each pair."""
        return Removal(self.read[cells], self.write[cells], self.centre[cells])


AnyRewrite = LayerRewrite | PairRewrite
"""(states, examples, tokens) → states."""


def compile_rewrites(
    cells: Sequence[Cell], statistics: Sequence[LayerStatistics], *, seed: int, device: str
) -> dict[int, LayerRewrite]:
    """Layer → the rewrites of all ``cells`` there (identity for cells that leave it alone).

    Raises:
        UsageError: an unknown operator, or one that lacks what it needs (a strength, a class).
    """
    layers = sorted(
        {layer for cell in cells for layer in (cell.neurons.layers if cell.neurons else ())}
    )
    return {m: _compile_layer(cells, statistics[m], m, seed=seed, device=device) for m in layers}


_IDENTITY = {"gain": 1.0, "offset": 0.0, "noise": 0.0, "swap": 0.0, "low": -np.inf, "high": np.inf}


def _compile_layer(
    cells: Sequence[Cell], statistics: LayerStatistics, layer: int, *, seed: int, device: str
) -> LayerRewrite:
    shape = (len(cells), len(statistics.mean))
    numbers = {name: np.full(shape, value, np.float32) for name, value in _IDENTITY.items()}
    used = {"gain", "offset"}
    for row, cell in enumerate(cells):
        chosen = cell.neurons.by_layer.get(layer) if cell.neurons is not None else None
        if chosen is None or cell.erasure is not None:
            continue
        rewrite = operator(cell.operator)(statistics, cell)
        for name, matrix in numbers.items():
            values = getattr(rewrite, name)
            if values is not None:
                matrix[row, chosen] = values[chosen]
                used.add(name)
    tensors = {name: torch.from_numpy(numbers[name]).to(device) for name in used}
    keys = [_key(seed, cell.action, layer) for cell in cells]
    return LayerRewrite(
        gain=tensors["gain"],
        offset=tensors["offset"],
        keys=torch.tensor(keys, dtype=torch.int64, device=device),
        noise=tensors.get("noise"),
        swap=_swap(cells, statistics, tensors["swap"], seed) if "swap" in tensors else None,
        bounds=(tensors["low"], tensors["high"]) if "low" in tensors else None,
        removal=_removal(cells, layer, shape[1], device),
    )


def _removal(cells: Sequence[Cell], layer: int, width: int, device: str) -> Removal | None:
    """The directions that cells take out of one layer; None where none does."""
    erased = {
        row: cell.erasure
        for row, cell in enumerate(cells)
        if cell.erasure is not None and cell.neurons is not None and layer in cell.neurons.layers
    }
    if not erased:
        return None
    rank = max(erasure.rank for erasure in erased.values())
    read, write = np.zeros((2, len(cells), rank, width), np.float32)
    centre = np.zeros((len(cells), width), np.float32)
    for row, erasure in erased.items():
        read[row, : erasure.rank] = erasure.read
        write[row, : erasure.rank] = erasure.write.T
        centre[row] = erasure.centre
    return Removal(*(torch.from_numpy(part).to(device) for part in (read, write, centre)))


def _swap(cells: Sequence[Cell], statistics: LayerStatistics, mask: Tensor, seed: int) -> Swap:
    # One key for all layers: layers count from 0, so none of theirs is this one.
    keys = [_key(seed, cell.action, 2**31) for cell in cells]
    bank = torch.from_numpy(np.ascontiguousarray(statistics.bank, dtype=np.float32))
    return Swap(bank.to(mask.device), mask, torch.tensor(keys, device=mask.device))


def _key(seed: int, action: str, layer: int) -> int:
    words = np.random.SeedSequence([seed, int(action, 16), layer]).generate_state(1, np.uint64)
    return int(words.view(np.int64)[0])
