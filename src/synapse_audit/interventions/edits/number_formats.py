"""Number formats and what flipping one of their bits does to a weight.

In: float32 weights. Out: float32 weights. A weight is written in the format (codes), bits of the
code are flipped, and the *difference* that this makes is added to the weight, so that rounding to
the format is no part of the effect; in fp32 the flipped number itself stands in its place.

| format | sign | exponent | mantissa |
|---|---|---|---|
| fp32 | 31 | 23 to 30 | 0 to 22 |
| bf16 | 15 | 7 to 14 | 0 to 6 |
| fp16 | 15 | 10 to 14 | 0 to 9 |
| int8 | 7 (two's complement) | none | 0 to 6 (the value's other bits) |

int8 is symmetric with one scale per tensor, max |w| / 127.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt

from synapse_audit.errors import UsageError, choices

Values = Float32[np.ndarray, " n"]
Codes = UInt[np.ndarray, " n"]


@dataclass(frozen=True)
class NumberFormat:
    """How a number is laid out in bits; bit 0 is the lowest."""

    name: str
    encode: Callable[[Values, float], Codes]
    """(values, scale) → codes, rounded to nearest."""
    decode: Callable[[Codes, float], Values]
    sign: int
    exponent: tuple[int, ...]
    """Ascending; empty where the format has none."""
    mantissa: tuple[int, ...]
    exact: bool = False
    """Whether codes hold float32 without rounding."""

    @property
    def kinds(self) -> dict[str, tuple[int, ...]]:
        """Kind of bit → its places."""
        every = (*self.mantissa, *self.exponent, self.sign)
        kinds = {"sign": (self.sign,), "mantissa": self.mantissa, "any": every}
        if self.exponent:
            kinds |= {"exponent_msb": self.exponent[-1:], "exponent": self.exponent}
        return kinds

    def bits(self, kind: str) -> tuple[int, ...]:
        """Places of one kind of bit.

        Raises:
            UsageError: this format has no such bit.
        """
        if kind not in self.kinds:
            raise UsageError(f"bits '{kind}' of {self.name} given; {choices(kind, self.kinds)}")
        return self.kinds[kind]

    def scale(self, weight: Float32[np.ndarray, "*shape"]) -> float:
        """What one unit of an integer code means: one scale per tensor; 1 where all is zero."""
        return float(np.abs(weight).max(initial=0.0)) / 127.0 or 1.0

    def flipped(self, values: Values, masks: Codes, scale: float) -> Values:
        """The weights after the bits set in ``masks`` are flipped; may be infinite or no number."""
        codes = self.encode(values, scale)
        # Flipped exponents overflow by design.
        with np.errstate(over="ignore", invalid="ignore"):
            new = self.decode(codes ^ masks.astype(codes.dtype), scale)
            if not self.exact:
                change = new.astype(np.float64) - self.decode(codes, scale)
                new = (values + change).astype(np.float32)
        # One quiet NaN for all: a signalling one would warn wherever it is read.
        return np.where(np.isnan(new), np.float32(np.nan), new)


def _fp32_codes(values: Values, scale: float) -> Codes:
    return np.ascontiguousarray(values).view(np.uint32)


def _fp32_values(codes: Codes, scale: float) -> Values:
    return codes.view(np.float32)


def _fp16_codes(values: Values, scale: float) -> Codes:
    most = float(np.finfo(np.float16).max)
    return np.clip(values, -most, most).astype(np.float16).view(np.uint16)


def _fp16_values(codes: Codes, scale: float) -> Values:
    return codes.view(np.float16).astype(np.float32)


def _bf16_codes(values: Values, scale: float) -> Codes:
    """The upper half of float32, ties to even."""
    whole = np.ascontiguousarray(values).view(np.uint32)
    return ((whole + 0x7FFF + ((whole >> 16) & 1)) >> 16).astype(np.uint16)


def _bf16_values(codes: Codes, scale: float) -> Values:
    return (codes.astype(np.uint32) << 16).view(np.float32)


def _int8_codes(values: Values, scale: float) -> Codes:
    return np.clip(np.rint(values / scale), -127, 127).astype(np.int8).view(np.uint8)


def _int8_values(codes: Codes, scale: float) -> Values:
    return codes.view(np.int8).astype(np.float32) * np.float32(scale)


FORMATS: dict[str, NumberFormat] = {
    "fp32": NumberFormat(
        "fp32", _fp32_codes, _fp32_values, 31, tuple(range(23, 31)), tuple(range(23)), exact=True
    ),
    "bf16": NumberFormat(
        "bf16", _bf16_codes, _bf16_values, 15, tuple(range(7, 15)), tuple(range(7))
    ),
    "fp16": NumberFormat(
        "fp16", _fp16_codes, _fp16_values, 15, tuple(range(10, 15)), tuple(range(10))
    ),
    "int8": NumberFormat("int8", _int8_codes, _int8_values, 7, (), tuple(range(7))),
}
"""Name → format."""
