"""The benchmarks' own plan can still be built, and what is timed there says the same."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from synapse_audit.plan import HEAD, STREAM, SUFFIX
from synapse_audit.sweep import Engine, tapped
from synapse_audit.sweep.clean import clean_pass
from synapse_audit.sweep.runners import RUNNERS

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    import bench_sweep

    return bench_sweep


@pytest.mark.skipif(not FOLDER.is_dir(), reason="needs the folder benchmarks of the repository")
def test_plain_hooks_of_the_benchmark_give_the_logits_of_the_routes(bench: ModuleType) -> None:
    subject = bench.load_subject("bundled", evaluate=40)
    kinds = {name for name, _, _ in bench.strata(subject.plan)}
    assert kinds == {"single layer", "all layers", "all positions", "head"}
    assert set(subject.plan.routes.values()) == {HEAD, STREAM, SUFFIX}
    cells = [
        cell
        for cell in subject.plan.actions
        if cell.operator in ("mean", "zero") and cell.position == "pooled" and cell.k
    ]
    cells = bench.spread(cells, 6)
    assert len(cells) == 6
    rows = subject.evaluate[:8]
    batch = subject.classifier.collate(subject.encoded, rows)
    plain = bench.RIVALS["plain hooks"](subject)
    with torch.inference_mode(), tapped(subject.classifier) as tap:
        engine = Engine(subject.classifier, subject.site, 0, tap)
        clean = clean_pass(subject.classifier, batch, rows, tap)
        for cell in cells:
            ours = RUNNERS[subject.plan.routes[cell.action]](engine, clean, [cell])[0]
            assert np.allclose(ours.numpy(), plain(batch, cell).numpy(), atol=1e-4), cell.key
