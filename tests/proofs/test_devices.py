"""Whole audits on stand-ins for accelerators end in the tables that they end in on the CPU.

On one of them, named by ``--device``, and with the model on two of them, the first block on one and
the rest on the other. Takes two minutes on one core; every family's engine, part by part:
``tests/sweep/test_devices.py``.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from typing import Any

import pandas as pd
import pytest
from devices import FIRST, SECOND, pretended, spread
from model.saved import save

from synapse_audit import AuditResult, audit, make_config
from synapse_audit.pipeline import stages

pytestmark = pytest.mark.proof

PARTS: dict[str, tuple[list[str], list[str]]] = {
    "bert": (
        ["bert.embeddings", "bert.encoder.layer.0"],
        ["bert.encoder.layer.1", "bert.encoder.layer.2", "bert.pooler", "classifier"],
    ),
    "llama": (
        ["model.embed_tokens", "model.rotary_emb", "model.layers.0"],
        ["model.layers.1", "model.layers.2", "model.norm", "score"],
    ),
}
"""Model → what is on the first device, and what on the second."""

GRID: Mapping[str, Any] = {
    "max_examples": 60,
    "fractions": (0.2, 0.5),
    "layer_fractions": (0.5,),
    "position_fractions": (0.5,),
    "class_layer_fractions": (0.5,),
    "draws": 2,
    "compared": ("activation_gradient", "conductance"),
    "budgets": (0.5, 1.0),
    "columns": (0.5,),
    "constants": (2.0,),
    "temperatures": (2.0,),
    "logit_noise": (1.0,),
    "site_fractions": (0.5,),
    "other_fractions": (0.5,),
    "bit_formats": ("fp32",),
    "bit_counts": (1, 2),
    "epsilons": (0.3,),
    "embedding_noise": (0.3,),
    "deletions": (1,),
}
TABLES = ("predictions", "probes", "rankings", "effects", "class_effects")
HASHES = ["cell", "action"]
"""Columns that hash edits, whose last digits are those of gradients."""


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], AuditResult]:
    """Audits a tiny model of a family on so many devices; on the CPU for 0."""

    @cache
    def run(name: str, devices: int) -> AuditResult:
        folder = tmp_path_factory.mktemp(f"{name}-{devices}")
        saved = save(name, folder)
        options = {"model": str(saved.model), "data": str(saved.data), "tokens": saved.tokens}
        options |= {"grid": GRID, "preset": "standard", "attn_implementation": "eager"}
        config = make_config(options | {"device": FIRST if devices == 1 else "cpu"})
        with pretended() if devices else nullcontext():
            subject = stages.read_subject(config)
            if devices == 2:
                places = zip(PARTS[name], (FIRST, SECOND), strict=True)
                for parts, device in places:
                    spread(subject.classifier.model, dict.fromkeys(parts, device))
                subject = replace(subject, classifier=replace(subject.classifier, device=FIRST))
            return audit(config, folder / "out", subject=subject)

    return run


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("name", sorted(PARTS))
def test_the_tables_are_the_same(
    name: str,
    devices: int,
    audited: Callable[[str, int], AuditResult],
    tell: Callable[[str], None],
) -> None:
    expected, found = audited(name, 0), audited(name, devices)
    assert found.manifest["device"] == ", ".join((FIRST, SECOND)[:devices])
    for table in TABLES:
        _check_equal(getattr(found, table), getattr(expected, table))
    for finding, tables in expected.findings.items():
        for table, numbers in tables.items():
            _check_equal(found.findings[finding][table], numbers)
    routes = found.effects["route"].value_counts()
    assert set(routes.index) == {"head", "stream", "suffix", "full"}
    tell(f"{name} on {devices}: {len(found.effects)} cells equal ({routes.to_dict()})")


def _check_equal(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        one.drop(columns=HASHES, errors="ignore"),
        other.drop(columns=HASHES, errors="ignore"),
        atol=1e-5,
        rtol=1e-5,
    )
