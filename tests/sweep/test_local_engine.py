"""One process per core gives what one process gives, and leaves the host as it was."""

import itertools
import multiprocessing
import os
import signal
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from sweep.rigs import Rig, silence
from synapse_audit.artifacts import Cell, HeadEdit, Plan
from synapse_audit.config import PRESETS, AuditConfig
from synapse_audit.errors import UsageError
from synapse_audit.model import Classifier
from synapse_audit.plan import FULL, HEAD, STREAM, SUFFIX, make_plan
from synapse_audit.sweep import Done, Unit, Work, chunks, in_order, sweep
from synapse_audit.sweep.executors import local, processes
from synapse_audit.sweep.executors.forked import can_fork

IDS = list(range(0, 32, 3))

MARGIN = 5e-4
"""Margins of the fitted tiny head reach 100, where float32 resolves 1e-5."""

needs_fork = pytest.mark.skipif(not can_fork(), reason="this system does not copy processes")


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Every route, attacks with gradients and an edit of weights."""
    cells = [
        silence(name, dict.fromkeys(layers, IDS))
        for name in ("mean", "zero", "noise")
        for layers in ((1,), (2,), (3,), (1, 2, 3))
    ]
    cells += [silence("mean", {2: range(k, k + 3)}, position="all") for k in range(5)]
    cells += [Cell("input", name, "embeddings", strength=0.2) for name in ("fgsm", "pgd")]
    edit = HeadEdit(np.full((4, 32), 0.1, np.float32), np.zeros(4, np.float32))
    cells.append(Cell("weight", "push", "head_weight", target="calm", edit=edit))
    return make_plan(cells, 3, frozenset({STREAM, SUFFIX}))


def _work(rig: Rig, engine: Any, plan: Plan) -> Work:
    """Every pair of every batch, and a third of those of the suffix route."""
    whole = [Unit(c, rows) for rows in (rig.rows[:20], rig.rows[20:]) for c in chunks(plan)]
    pooled = [silence("mean", {1: range(k, k + 4)}) for k in range(7)]
    [chunk] = chunks(make_plan(pooled, 3, frozenset({STREAM, SUFFIX})))
    third = np.indices((7, 20)).sum(axis=0) % 3 == 0
    some = [Unit(chunk, rig.rows[:20], third)]
    return Work(engine, rig.encoded, rig.labels, (*whole, *some))


def _by_name(done: Generator[Done]) -> dict[str, Mapping[str, np.ndarray]]:
    return {unit.name: scores for unit, scores in done}


@needs_fork
@pytest.mark.parametrize("workers", [2, 3])
def test_the_scores_are_those_of_one_process(rig: Rig, plan: Plan, workers: int) -> None:
    before = rig.classifier.fingerprint()
    with rig.engine() as engine, local.start(workers, None) as execute:
        work = _work(rig, engine, plan)
        assert {unit.chunk.route for unit in work.units} == {HEAD, STREAM, SUFFIX, FULL}
        expected, found = _by_name(in_order(work)), _by_name(execute(work))
    assert found.keys() == expected.keys()
    for unit, scores in expected.items():
        for name, values in scores.items():
            assert found[unit][name].dtype == values.dtype
            if name == "predicted":
                assert (found[unit][name] == values).all()
            else:
                np.testing.assert_allclose(found[unit][name], values, atol=MARGIN)
    assert rig.classifier.fingerprint() == before


@needs_fork
def test_it_runs_elsewhere(rig: Rig, plan: Plan) -> None:
    ran = []

    def noted(model: torch.nn.Module, pooled: torch.Tensor) -> torch.Tensor:
        ran.append(os.getpid())
        return rig.classifier.head_function(model, pooled)

    seen = replace(rig, classifier=replace(rig.classifier, head_function=noted))
    with seen.engine() as engine, local.start(2, None) as execute:
        _by_name(execute(_work(seen, engine, plan)))
        assert not ran
        with local.start(1, None) as alone:
            _by_name(alone(_work(seen, engine, plan)))
        assert ran


@needs_fork
def test_a_killed_process_loses_no_finished_unit(
    rig: Rig, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, Mapping[str, np.ndarray]] = {}

    class Box:
        def load(self, name: str) -> Mapping[str, np.ndarray] | None:
            return kept.get(name)

        def save(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
            assert name not in kept, "computed twice"
            kept[name] = dict(arrays)

    run, driver, ran = local.run_chunk, os.getpid(), []

    def deadly(*given: Any) -> Any:
        ran.append(given)
        if len(ran) > 6 and os.getpid() != driver:
            os.kill(os.getpid(), signal.SIGKILL)
        return run(*given)

    options: dict[str, Any] = {"rows": rig.rows, "batch_size": 8, "unit_store": Box()}
    with rig.engine() as engine:
        given = (engine, rig.encoded, plan, rig.labels)
        monkeypatch.setattr(local, "run_chunk", deadly)
        with local.start(2, None) as execute, pytest.raises(UsageError, match="was killed"):
            sweep(*given, execute=execute, **options)
        assert not multiprocessing.active_children()
        assert not ran  # here
        assert 0 < len(kept) < 4 * len(chunks(plan))
        found, expected = sweep(*given, **options), sweep(*given, rows=rig.rows, batch_size=8)
    assert (found.predicted == expected.predicted).all()


# ---- how units are cut ---------------------------------------------------------------------------


def test_one_unit_is_cut_for_all_and_many_are_left_whole(rig: Rig, plan: Plan) -> None:
    with rig.engine() as engine:
        work = _work(rig, engine, plan)
        one = replace(work, units=work.units[:1])
        many = replace(work, units=work.units[:1] * 200)
        cells = len(one.units[0].chunk.cells)
        [pieces] = local._pieces(one, 2)
        assert [(p.start, p.stop) for p in pieces] == [(i, i + 1) for i in range(cells)]
        assert [(p.start, p.stop) for p in local._pieces(many, 2)[0][:2]] == [(0, cells)] * 2


def test_the_first_phase_is_cut_between_its_stacks_alone() -> None:
    """4,096 rows at once: 204 cells of 20 examples."""
    pairs = itertools.combinations(range(32), 2)
    cells = tuple(silence("mean", {layer: pair}) for pair in pairs for layer in (1, 2))[:968]
    [chunk] = chunks(Plan(cells, dict.fromkeys([c.action for c in cells], STREAM)))
    edges = [(p.start, p.stop) for p in local._cut(0, Unit(chunk, np.arange(20)), 99)]
    assert edges == [(0, 204), (204, 408), (408, 612), (612, 816), (816, 968)]


# ---- how many processes --------------------------------------------------------------------------


@pytest.fixture
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@needs_fork
@pytest.mark.parametrize(("batches", "expected"), [(0.5, 1), (5, 2), (100, 4)])
def test_as_many_as_torch_has_threads_if_memory_allows(
    rig: Rig,
    four_threads: None,
    monkeypatch: pytest.MonkeyPatch,
    batches: float,
    expected: int,
) -> None:
    free = int(batches * local.batch_memory(sum(rig.classifier.widths), 4096))
    monkeypatch.setattr(local, "available_memory", lambda: free)
    monkeypatch.setattr(local, "core_limit", lambda: None)
    assert local.processes(rig.classifier) == expected
    assert local.processes(rig.classifier, 3) == 3  # who says it knows


@needs_fork
def test_larger_batches_leave_room_for_fewer(
    rig: Rig, four_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 8 * local.batch_memory(sum(rig.classifier.widths), 4096)
    monkeypatch.setattr(local, "available_memory", lambda: free)
    monkeypatch.setattr(local, "core_limit", lambda: None)
    found = [local.processes(rig.classifier, tokens=n) for n in (4096, 8192, 16384, 10**6)]
    assert found == [4, 2, 1, 1]
    unknown = replace(rig.classifier, inner={})
    assert not unknown.widths
    assert local.processes(unknown) == 4


@needs_fork
def test_one_where_a_part_of_the_classifier_is_elsewhere(
    rig: Rig, four_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Classifier, "devices", property(lambda _: ("cpu", "cuda:0")))
    assert local.processes(rig.classifier) == local.processes(rig.classifier, 3) == 1
    config = AuditConfig(model="m", data="d", grid=PRESETS["quick"], workers=3)
    with pytest.raises(UsageError, match=r"workers '3' .* on cpu, cuda:0; expected 1"):
        processes(config, rig.classifier)
    assert processes(config.model_copy(update={"workers": 1}), rig.classifier) == 1


@needs_fork
def test_no_more_than_a_container_may_use(
    rig: Rig, four_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "available_memory", lambda: None)
    monkeypatch.setattr(local, "core_limit", lambda: 3)
    assert local.processes(rig.classifier) == 3


def test_one_where_processes_are_not_copied(
    rig: Rig, four_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "can_fork", lambda: False)
    assert local.processes(rig.classifier) == 1
    with pytest.raises(UsageError, match="expected 1, or engine 'ray'") as error:
        local.check(2, None)
    assert "\n" not in str(error.value)
    local.check(1, None)


def test_threads_are_one_each_while_timing_and_then_as_before(four_threads: None) -> None:
    for number, inside in ((1, 4), (2, 1)):
        with local.threads_of(number):
            assert torch.get_num_threads() == inside
        assert torch.get_num_threads() == 4
