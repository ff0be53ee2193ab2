"""The report says what was done to inputs that are longer than the model can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from synapse_audit.report.sections.method import method

from .fakes import make_result

WINDOWS = {"n_rows": 1200, "n_windows": 3400, "n_repeats": 15}


def _said(manifest: Mapping[str, Any]) -> str:
    result = make_result()
    return " ".join(method(replace(result, manifest={**result.manifest, **manifest})).answer)


def test_inputs_that_were_cut() -> None:
    said = _said({"truncated": 7, "data": {"n_used": 1200}})
    assert "7 of 1\u202f200 inputs were longer than the model can read and were cut" in said


@pytest.mark.parametrize("truncated", [0, None])
def test_nothing_is_said_where_nothing_was_cut(truncated: int | None) -> None:
    assert "longer" not in _said({"truncated": truncated})


@pytest.mark.parametrize(
    ("stride", "words"), [(64, "one every 64 tokens"), (None, "without overlap")]
)
def test_rows_that_became_windows(stride: int | None, words: str) -> None:
    said = _said({"data": {"windows": WINDOWS}, "config": {"window": 128, "stride": stride}})
    assert f"1\u202f200 rows became 3\u202f400 windows of at most 128 tokens, {words}" in said
    assert "of which 15 repeated another one" in said and "one per window" in said


def test_inputs_that_the_model_cannot_tell_apart() -> None:
    few = _said({"data": {"n_indistinguishable": 7, "n_rows_used": 1200}})
    assert "7 of 1\u202f200 inputs become the same token ids as another one" in few
    assert "tokenizer" not in few
    many = _said({"data": {"n_indistinguishable": 700, "n_rows_used": 1200}})
    assert "The tokenizer may not be the one that the model was trained with." in many
    assert "same token ids" not in _said({"data": {"n_rows_used": 1200}})
