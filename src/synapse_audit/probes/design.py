"""Standardised features, read block by block: whatever the amount of data, no copy of all is made.

In: arrays that may be memory-mapped, and rows of them. Out: blocks of rows in double precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from synapse_audit.memory import row_chunks

_CONSTANT = 1e-6
"""A feature whose spread is below this share of its mean is constant up to float32 rounding."""


class Scaler(NamedTuple):
    """Mean and standard deviation over ``fit``, float64; the scale of a constant is 1."""

    mean: Float[np.ndarray, " features"]
    scale: Float[np.ndarray, " features"]

    @classmethod
    def of(
        cls,
        features: Float[np.ndarray, "examples features"],
        rows: Int[np.ndarray, " chosen"] | None = None,
    ) -> Scaler:
        """Measures the examples given, or some of them."""
        chosen = np.arange(len(features)) if rows is None else rows
        n, shape = max(1, len(chosen)), features.shape[1]
        total, squares = np.zeros(shape), np.zeros(shape)
        for some in row_chunks(len(chosen), shape):
            total += features[chosen[some]].sum(axis=0, dtype=np.float64)
        mean = total / n
        for some in row_chunks(len(chosen), shape):
            squares += ((features[chosen[some]] - mean) ** 2).sum(axis=0)
        spread = np.sqrt(squares / n)
        return cls(mean, np.where(spread > _CONSTANT * np.abs(mean), spread, 1.0))

    def __call__(
        self, features: Float[np.ndarray, "examples features"]
    ) -> Float[np.ndarray, "examples features"]:
        """Standardised features, float64."""
        return (features - self.mean) / self.scale

    def take(self, columns: Int[np.ndarray, " chosen"]) -> Scaler:
        """That of some features."""
        return Scaler(self.mean[columns], self.scale[columns])


class Part(NamedTuple):
    """Some features of one array."""

    values: Float[np.ndarray, "examples _"]
    scaler: Scaler
    """Of the features that are read."""
    columns: Int[np.ndarray, " features"] | None = None
    """All where None."""

    def read(self, rows: Int[np.ndarray, " chosen"]) -> Float[np.ndarray, "chosen features"]:
        """Some examples."""
        values = self.values[rows]
        return self.scaler(values if self.columns is None else values[:, self.columns])

    def take(self, columns: Int[np.ndarray, " chosen"]) -> Part:
        """Some of its features."""
        inside = columns if self.columns is None else self.columns[columns]
        return Part(self.values, self.scaler.take(columns), inside)


@dataclass(frozen=True)
class Design:
    """The features of several arrays side by side, on some examples."""

    parts: tuple[Part, ...]
    rows: Int[np.ndarray, " examples"]

    @classmethod
    def fitted(
        cls, arrays: Sequence[Float[np.ndarray, "examples _"]], rows: Int[np.ndarray, " fit"]
    ) -> Design:
        """All features, standardised over these examples."""
        return cls(tuple(Part(array, Scaler.of(array, rows)) for array in arrays), rows)

    @property
    def shape(self) -> tuple[int, int]:
        """Examples and features."""
        return len(self.rows), sum(len(part.scaler.mean) for part in self.parts)

    @property
    def scaler(self) -> Scaler:
        """Of all features."""
        means, scales = zip(*(part.scaler for part in self.parts), strict=True)
        return Scaler(np.concatenate(means), np.concatenate(scales))

    def on(self, rows: Int[np.ndarray, " chosen"]) -> Design:
        """Other examples, on the same scale."""
        return replace(self, rows=rows)

    @property
    def blocks(self) -> Iterator[Float[np.ndarray, "block features"]]:
        """The examples in order, a few at a time."""
        for some in row_chunks(*self.shape):
            read = [part.read(self.rows[some]) for part in self.parts]
            yield read[0] if len(read) == 1 else np.concatenate(read, axis=1)

    @property
    def gram(self) -> Float[np.ndarray, "n n"]:
        """XᵀX, or the smaller XXᵀ where there are more features than examples."""
        n, width = self.shape
        if width > n:
            whole = np.concatenate([*self.blocks])
            return np.asarray(whole @ whole.T)
        gram = np.zeros((width, width))
        for block in self.blocks:
            gram += block.T @ block
        return gram

    def map(
        self, function: Callable[[Float[np.ndarray, "block features"]], Shaped[np.ndarray, "*_"]]
    ) -> Shaped[np.ndarray, "*_"]:
        """A function of each example's features, for all examples."""
        return np.concatenate([function(block) for block in self.blocks])
