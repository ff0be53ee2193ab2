"""The first phase in a coarser format: a copy says it, and the second phase corrects it."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from synapse_audit.artifacts import Plan
from synapse_audit.model import HEAD_INPUT
from synapse_audit.plan import STREAM, SUFFIX, make_plan
from synapse_audit.progress import Silent
from synapse_audit.sweep import (
    CoarseFormat,
    can_answer,
    coarse,
    may_be_coarse,
    multiplies,
    number_format,
    subsample,
    sweep,
    sweep_two_phase,
)

from .rigs import Rig, silence


@pytest.mark.parametrize(
    ("text", "native"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16 sse\n", True),
        ("flags\t\t: fpu amx_bf16\n", True),
        ("Features\t: fp asimd bf16\n", True),
        ("flags\t\t: fpu avx512f\nmodel name\t: bf16 avx512_bf16\n", False),
    ],
)
def test_the_processor_says_whether_it_multiplies_it(
    tmp_path: Path, text: str, native: bool
) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(text, encoding="utf-8")
    assert multiplies("bfloat16", file) == native
    assert not multiplies("bfloat16", tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "native"),
    [
        ("flags\t\t: fpu avx512f avx512_vnni\n", True),
        ("flags\t\t: fpu amx_int8 avx512_bf16\n", True),
        ("flags\t\t: fpu avx512_bf16\n", False),
    ],
)
def test_eight_bits_need_instructions_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, native: bool
) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(text, encoding="utf-8")
    monkeypatch.setattr(number_format, "_rounds_to_int8", lambda: True)
    assert multiplies("int8", file) == native
    monkeypatch.setattr(number_format, "_rounds_to_int8", lambda: False)
    assert not multiplies("int8", file)


def test_a_model_that_needs_its_weights_cannot_answer_without_them(rig: Rig) -> None:
    batch = rig.classifier.collate(rig.encoded, rig.rows[:1])
    with rig.engine() as engine:
        assert can_answer(engine, batch)

        def refuse(*_: Any) -> None:
            raise AttributeError("'function' object has no attribute 'dtype'")

        with rig.classifier.output_layer.register_forward_pre_hook(refuse):
            assert not can_answer(engine, batch)
        wrong = rig.classifier.output_layer.register_forward_hook(lambda *a: a[2] * float("nan"))
        with wrong:
            assert not can_answer(engine, batch)


@pytest.mark.parametrize("coarser", get_args(CoarseFormat))
def test_states_are_rewritten_at_every_site_of_the_copy(rig: Rig, coarser: CoarseFormat) -> None:
    """Rounded layers that took the place of others would pass by what is hooked."""
    if coarser == "int8" and not number_format._rounds_to_int8():
        pytest.skip("this torch has no modules of eight bits")
    sites = [site for site in rig.classifier.sites if site != HEAD_INPUT]
    assert len(sites) > 3
    for site in sites:
        cell = silence("zero", {2: range(32)}, site=site)
        plan = Plan((cell,), {cell.action: STREAM})
        with rig.engine() as engine, coarse(engine, coarser) as rounded:
            given = rig.encoded, plan, rig.labels
            fine, found = (sweep(e, *given, rows=rig.rows) for e in (engine, rounded))
        # Divergence from the untouched copy: 0 where nothing is rewritten.
        assert np.corrcoef(found.kl.ravel(), fine.kl.ravel())[0, 1] > 0.9, site


def test_inputs_are_rounded_to_eight_bits() -> None:
    """Seven bits would give 128 levels."""
    if not number_format._rounds_to_int8():
        pytest.skip("this torch has no modules of eight bits")
    one = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(one.weight)
    number_format._round_to_int8(torch.nn.Sequential(one))
    with torch.inference_mode():
        assert len(one(torch.linspace(-1, 1, 10_000)[:, None]).unique()) > 250


@pytest.mark.parametrize("coarser", get_args(CoarseFormat))
def test_exact_outcomes_are_those_of_the_model_itself(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, coarser: CoarseFormat
) -> None:
    if coarser == "int8" and not number_format._rounds_to_int8():
        pytest.skip("this torch has no modules of eight bits")
    monkeypatch.setattr(subsample, "LEAST_SAMPLE", 3)
    n, before = len(rig.rows), rig.classifier.fingerprint()
    cells = [silence("zero", {1: range(k)}) for k in (16, 20, 24, 28, 32)]
    plan = make_plan(cells, 3, frozenset({STREAM, SUFFIX}))
    chosen = subsample.subsampling(rig.rows, rig.labels, precision=0.3, seed=0)
    chosen = replace(chosen, pilot=6)
    given: dict[str, Any] = {"chosen": chosen, "progress": Silent()}
    with rig.engine() as engine:
        assert may_be_coarse(engine)
        whole = sweep(engine, rig.encoded, plan, rig.labels, rows=rig.rows)
        work = engine, rig.encoded, plan, rig.labels
        _, plain = sweep_two_phase(*work, **given)
        with coarse(engine, coarser) as rounded:
            assert can_answer(rounded, rig.classifier.collate(rig.encoded, rig.rows[:1]))
            if coarser == "bfloat16":
                assert rounded.classifier.model.dtype == torch.bfloat16
                assert not may_be_coarse(rounded)
            _, found = sweep_two_phase(*work, first_phase=rounded, **given)
    assert rig.classifier.fingerprint() == before and rig.classifier.model.dtype == torch.float32
    assert found.direct is not None and plain.direct is not None
    exact = found.direct.design_weight > 0
    rows = whole.rows(found.actions)
    assert 0 < exact.sum() < 5 * n
    np.testing.assert_allclose(found.margin[exact], whole.margin[rows][exact], atol=1e-4, rtol=1e-5)
    # The first phase says nearly what it says in float32, and shows that it was not that.
    same = [plain.row[action] for action in found.actions]
    assert (found.direct.predicted == plain.direct.predicted[same]).mean() > 0.9
    assert (found.direct.kl != plain.direct.kl[same]).any()
