"""Bits against hand-computed numbers, numpy's views and torch's own number formats."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synapse_audit.errors import UsageError
from synapse_audit.interventions.edits import FORMATS

TORCH = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
INTEGER = {"fp32": torch.int32, "bf16": torch.int16, "fp16": torch.int16}
MSB = {"fp32": 30, "bf16": 14, "fp16": 14}


def _flip(name: str, value: float, bit: int, scale: float = 1.0) -> float:
    values = np.array([value], dtype=np.float32)
    masks = np.array([1 << bit], dtype=np.uint32)
    return float(FORMATS[name].flipped(values, masks, scale)[0])


@pytest.mark.parametrize(
    ("name", "value", "bit", "expected"),
    [
        ("fp32", 0.5, 30, 2.0**127),  # exponent 126 → 254: 1.7e38
        ("fp32", 1.0, 23, 0.5),  # exponent 127 → 126
        ("fp32", 0.5, 31, -0.5),
        ("fp32", 1.0, 22, 1.5),
        ("fp32", 1.0, 30, np.inf),  # exponent 127 → 255, mantissa 0
        ("bf16", 0.5, 14, 2.0**127),
        ("bf16", 1.0, 6, 1.5),
        ("fp16", 0.5, 14, 2.0**15),  # exponent 14 → 30
        ("fp16", 1.0, 14, np.inf),  # exponent 15 → 31
        ("fp16", -2.0, 15, 2.0),
        ("fp16", 1.0, 9, 1.5),
        ("int8", 64.0, 7, -64.0),  # 64 → 64 − 128
        ("int8", -1.0, 7, 127.0),  # 0b11111111 → 0b01111111
        ("int8", 3.0, 6, 67.0),
    ],
)
def test_by_hand(name: str, value: float, bit: int, expected: float) -> None:
    assert _flip(name, value, bit) == np.float32(expected)


def test_an_exponent_full_of_ones_is_no_number() -> None:
    assert np.isnan(_flip("fp32", 1.5, 30))
    assert np.isnan(_flip("fp16", 1.5, 14))


def test_int8_counts_in_units_of_its_scale() -> None:
    weight = np.array([1.27, -0.5], dtype=np.float32)
    scale = FORMATS["int8"].scale(weight)
    assert scale == pytest.approx(0.01)
    assert _flip("int8", 0.5, 5, scale) == pytest.approx(0.5 - 0.32, rel=1e-5)  # 50 has bit 5
    assert FORMATS["int8"].scale(np.zeros(3, dtype=np.float32)) == 1.0


def test_rounding_to_the_format_is_no_part_of_the_change() -> None:
    """0.1 is no fp16 number: its flipped sign changes it by −2 · fp16(0.1), from the true 0.1."""
    rounded = float(np.float16(0.1))
    assert _flip("fp16", 0.1, 15) == pytest.approx(0.1 - 2 * rounded, abs=1e-8)


@pytest.mark.parametrize("name", TORCH)
@given(value=st.floats(-4, 4, width=32), bit=st.integers(0, 31))
def test_the_change_is_what_torch_computes(name: str, value: float, bit: int) -> None:
    bit %= 32 if name == "fp32" else 16
    width = 32 if name == "fp32" else 16
    mask = 1 << bit if bit < width - 1 else -(1 << bit)
    stored = torch.tensor([value], dtype=TORCH[name])
    new = (stored.view(INTEGER[name]) ^ mask).view(TORCH[name]).double()
    expected = (value + (new - stored.double())).float() if name != "fp32" else new.float()
    found = torch.tensor([_flip(name, value, bit)])
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", FORMATS)
def test_the_kinds_part_the_bits(name: str) -> None:
    format = FORMATS[name]
    parts = [*format.mantissa, *format.exponent, format.sign]
    assert sorted(parts) == list(range(len(parts)))
    assert sorted(format.bits("any")) == sorted(parts)
    if format.exponent:
        assert format.bits("exponent_msb") == (MSB[name],)


def test_int8_has_no_exponent() -> None:
    with pytest.raises(UsageError, match="bits 'exponent' of int8 given"):
        FORMATS["int8"].bits("exponent")
