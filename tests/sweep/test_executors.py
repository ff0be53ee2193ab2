"""Every engine gives the tables of the local one, whatever happens to its workers."""

import os
import random
import signal
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import torch

from sweep.rigs import Rig, silence
from synapse_audit.artifacts import Cell, HeadEdit, Outcomes, Plan, Pooled, Predictions
from synapse_audit.config import PRESETS, AuditConfig, EngineName
from synapse_audit.effects import measure
from synapse_audit.effects.tables import Tables
from synapse_audit.errors import AuditError, ModelError, UsageError
from synapse_audit.pipeline.stages.run import VOLATILE
from synapse_audit.plan import STREAM, SUFFIX, make_plan
from synapse_audit.progress import Silent
from synapse_audit.sweep import (
    Done,
    Execute,
    Unit,
    Work,
    chunks,
    in_order,
    subsample,
    sweep,
    sweep_two_phase,
)
from synapse_audit.sweep.executors import ENGINES, check, ray, worker
from synapse_audit.sweep.score import FIELDS

IDS = list(range(0, 32, 3))

MARGIN = 5e-4
"""Margins of the fitted tiny head reach 100, where float32 resolves 1e-5."""

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")


class Box:
    """A unit store in memory."""

    def __init__(self) -> None:
        self.units: dict[str, Mapping[str, np.ndarray]] = {}

    def load(self, name: str) -> Mapping[str, np.ndarray] | None:
        return self.units.get(name)

    def save(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        assert name not in self.units, "computed twice"
        self.units[name] = dict(arrays)


@pytest.fixture(scope="module")
def plan() -> Plan:
    cells = [
        silence(name, dict.fromkeys(layers, IDS))
        for name in ("mean", "zero", "noise")
        for layers in ((1,), (3,), (1, 2, 3))
    ]
    edit = HeadEdit(np.full((4, 32), 0.1, np.float32), np.zeros(4, np.float32))
    cells.append(Cell("weight", "push", "head_weight", target="calm", edit=edit))
    return make_plan(cells, 3, frozenset({STREAM, SUFFIX}))


@pytest.fixture(scope="module")
def executor() -> Iterator[Execute]:
    """Two workers, started once for all tests."""
    with ENGINES["ray"].start(2, None) as execute:
        yield execute


def _config(**options: Any) -> AuditConfig:
    return AuditConfig(model="m", data="d", grid=PRESETS["quick"], **options)


def _sweep(
    rig: Rig, plan: Plan, execute: Execute | None = None, box: Box | None = None
) -> Outcomes:
    with rig.engine() as engine:
        return sweep(
            engine,
            rig.encoded,
            plan,
            rig.labels,
            rows=rig.rows,
            batch_size=8,
            unit_store=box or Box(),
            execute=execute,
        )


def _assert_close(one: Outcomes, two: Outcomes) -> None:
    assert one.actions == two.actions
    assert (one.predicted == two.predicted).all()
    np.testing.assert_allclose(one.probability, two.probability, atol=1e-5)
    np.testing.assert_allclose(one.kl, two.kl, atol=MARGIN)
    np.testing.assert_allclose(one.margin, two.margin, atol=MARGIN)


def _tables(rig: Rig, plan: Plan, execute: Execute | None) -> Tables:
    """Pooled sets, a part of the pairs exact: what an audit measures of it."""
    pools = {c.action: Pooled(4, i) for i, c in enumerate(plan.actions)}
    chosen = subsample.subsampling(rig.rows, rig.labels, precision=0.3, seed=0)
    chosen = replace(chosen, pilot=4, pools=pools)
    given: dict[str, Any] = {"chosen": chosen, "batch_size": 8, "progress": Silent()}
    with rig.engine() as engine:
        routed, found = sweep_two_phase(
            engine, rig.encoded, plan, rig.labels, execute=execute, **given
        )
    assert "two-phase" in routed.routes.values()
    clean = Predictions(rig.labels, np.eye(4, dtype=np.float32)[rig.labels])
    classes = rig.classifier.classes
    return measure(routed, found, predictions=clean, classes=classes, tests=False)


def _one_line(error: pytest.ExceptionInfo[AuditError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


# The table


def test_the_table_holds_the_engines_that_a_configuration_may_name() -> None:
    assert tuple(ENGINES) == get_args(EngineName)
    assert AuditConfig.model_fields["engine"].default == "local"


def test_a_run_may_be_resumed_with_another_engine() -> None:
    assert {"engine", "workers", "address"} <= VOLATILE


def test_the_local_engine_takes_no_address() -> None:
    with pytest.raises(UsageError, match="local") as error:
        check(_config(address="auto"))
    assert "ray" in _one_line(error)


def test_without_ray_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"synapse-audit\[ray\]") as error:
        check(_config(engine="ray"))
    assert "local" in _one_line(error)


@needs_ray
def test_the_tables_of_two_phases_are_those_of_one_process(
    rig: Rig, executor: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subsample, "LEAST_SAMPLE", 4)
    monkeypatch.setattr(subsample, "LEAST_FEW", 3)
    cells = [silence("mean", {1: range(k, k + 4)}) for k in range(4)]
    plan = make_plan(cells, 3, frozenset({STREAM, SUFFIX}))
    local, spread = (_tables(rig, plan, execute) for execute in (None, executor))
    for one, other in zip(local, spread, strict=True):
        pd.testing.assert_frame_equal(one, other, rtol=0, atol=MARGIN)


@needs_ray
@pytest.mark.parametrize("address", ["nowhere", "host:", ":1", "127.0.0.1:1", "127.0.0.1:99999"])
def test_an_address_where_no_cluster_is_fails_at_once(address: str) -> None:
    with pytest.raises(UsageError, match="HOST:PORT") as error:
        check(_config(engine="ray", address=address))
    assert address in _one_line(error)


# Who gets how many CPUs: (machines, workers) → (workers, threads, window), worked out by hand


@pytest.mark.parametrize(
    ("machines", "workers", "expected"),
    [
        ([2], 1, (1, 2, 2)),
        ([2], None, (2, 1, 4)),
        ([8], 3, (3, 2, 3)),  # four would fit: no unit may be queued
        ([2], 4, (4, 1, 4)),  # two run, two wait
        ([16, 4], 2, (2, 4, 2)),  # a task of ten CPUs would fit the first machine only
        ([64, 64], None, (128, 1, 256)),
    ],
)
def test_cpus_are_shared_out(
    machines: list[int], workers: int | None, expected: tuple[int, int, int]
) -> None:
    share = ray.share_out(machines, workers)
    assert (share.workers, share.threads, share.window) == expected


# The driver's loop and the worker's side, without Ray


def test_the_order_of_completion_does_not_matter(rig: Rig, plan: Plan) -> None:
    def shuffled(work: Work) -> Generator[Done]:
        done = list(in_order(work))
        random.Random(0).shuffle(done)
        yield from done

    whole, other = _sweep(rig, plan), _sweep(rig, plan, shuffled)
    for name in FIELDS:
        assert getattr(whole, name).tobytes() == getattr(other, name).tobytes()


@pytest.fixture
def threads() -> Iterator[int]:
    """Taking a worker sets torch's threads: put them back."""
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


def _every_third(cells: int, examples: int) -> np.ndarray:
    return np.indices((cells, examples)).sum(axis=0) % 3 == 0


def test_a_worker_gives_the_scores_of_the_host_and_leaves_it_alone(
    rig: Rig, plan: Plan, threads: int
) -> None:
    before = rig.classifier.fingerprint()
    with rig.engine() as engine:
        units = tuple(Unit(c, rows) for rows in (rig.rows[:8], rig.rows[8:]) for c in chunks(plan))
        some = [u for u in units if u.chunk.route == SUFFIX]
        units += tuple(replace(u, wanted=_every_third(len(u.chunk.cells), 8)) for u in some[:1])
        work = Work(engine, rig.encoded, rig.labels, units)
        expected = [scores for _, scores in in_order(work)]
        setup = worker.make_setup(engine, threads=threads)
        shards = [worker.make_payload(work, unit) for unit in units]
    taken = worker.take_state(setup)
    for unit, payload, scores in zip(units, shards, expected, strict=True):
        found = worker.run_unit(taken, payload, unit.chunk, unit.wanted)
        assert {name: a.tobytes() for name, a in found.items()} == {
            name: a.tobytes() for name, a in scores.items()
        }
    assert rig.classifier.fingerprint() == before
    assert rig.classifier.encoder is not setup.classifier.encoder


def test_a_worker_refuses_other_weights(rig: Rig, threads: int) -> None:
    with rig.engine() as engine:
        setup = worker.make_setup(engine, threads=threads)
    with pytest.raises(ModelError, match="other weights") as error:
        worker.take_state(replace(setup, weights="0" * 64))
    _one_line(error)


def test_a_worker_refuses_other_package_versions(rig: Rig, threads: int) -> None:
    with rig.engine() as engine:
        setup = worker.make_setup(engine, threads=threads)
    with pytest.raises(UsageError, match=r"expected 0\.0\.1") as error:
        worker.take_state(replace(setup, versions={"torch": "0.0.1"}))
    _one_line(error)


# Ray itself. Its sockets and its own warnings are its own business.

pytestmark_ray = [
    needs_ray,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray.*"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*"),
]


def with_ray(test: Any) -> Any:
    for mark in pytestmark_ray:
        test = mark(test)
    return test


@with_ray
def test_ray_gives_the_tables_of_the_local_engine(rig: Rig, plan: Plan, executor: Execute) -> None:
    _assert_close(_sweep(rig, plan), _sweep(rig, plan, executor))


@with_ray
def test_a_sweep_begun_on_ray_goes_on_locally(rig: Rig, plan: Plan, executor: Execute) -> None:
    def interrupted(work: Work) -> Generator[Done]:
        for i, done in enumerate(executor(work)):
            if i == 3:
                raise KeyboardInterrupt
            yield done

    box, ran = Box(), []
    with pytest.raises(KeyboardInterrupt):
        _sweep(rig, plan, interrupted, box)
    assert len(box.units) == 3

    def counting(work: Work) -> Generator[Done]:
        ran.extend(work.units)
        return in_order(work)

    _assert_close(_sweep(rig, plan), _sweep(rig, plan, counting, box))
    assert len(ran) == len(box.units) - 3


def _with_head(rig: Rig, head: Any) -> Rig:
    return replace(rig, classifier=replace(rig.classifier, head_function=head))


@with_ray
def test_a_unit_whose_worker_is_killed_runs_again(
    rig: Rig, plan: Plan, executor: Execute, tmp_path: Path
) -> None:
    flag, driver, original = tmp_path / "killed", os.getpid(), rig.classifier.head_function

    def deadly(model: torch.nn.Module, pooled: torch.Tensor) -> torch.Tensor:
        if os.getpid() != driver and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return original(model, pooled)

    found = _sweep(_with_head(rig, deadly), plan, executor)
    assert flag.exists()
    _assert_close(_sweep(rig, plan), found)


@with_ray
def test_an_audit_error_of_a_worker_comes_back_as_one_line(rig: Rig, executor: Execute) -> None:
    cells: Sequence[Cell] = [silence("zer0", {1: IDS})]
    with pytest.raises(UsageError, match="did you mean 'zero'") as error:
        _sweep(rig, make_plan(cells, 3, frozenset({SUFFIX})), executor)
    _one_line(error)


@with_ray
def test_a_bug_in_a_worker_keeps_its_traceback(rig: Rig, plan: Plan, executor: Execute) -> None:
    def broken(model: torch.nn.Module, pooled: torch.Tensor) -> torch.Tensor:
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="in broken"):
        _sweep(_with_head(rig, broken), plan, executor)
