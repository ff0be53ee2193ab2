"""Ships the units as Ray tasks: to processes of this machine, or to a cluster.

The driver keeps data, tokenizer, plan and run folder. What travels: once per worker the model with
the site's statistics (:class:`~synapse_audit.sweep.executors.worker.WorkerSetup`), once per sweep
each chunk of cells, once per batch its padded tokens, all through Ray's object store. What comes
back are scores, (cells, examples), which the driver keeps in its unit store in whatever order
they arrive.

A unit whose worker or machine is lost is run again elsewhere, up to ``RETRIES`` times. Everything
random is keyed by (seed, cell, example), so it does not matter where or how often a unit runs.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from synapse_audit.errors import AuditError, UsageError, first_line
from synapse_audit.model import own_modules
from synapse_audit.sweep import Done, Engine, Execute, Scores, Unit, Work
from synapse_audit.sweep.executors.worker import WorkerSetup, make_payload, make_setup, score_unit

RETRIES = 3
"""How often a unit is run again because its worker was lost."""

AHEAD = 2
"""Units per worker under way or queued, so that no worker waits for the driver."""

KNOCK_SECONDS = 5.0
"""How long a cluster may take to answer."""

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""Set, unless the user did, before Ray starts: it reports to nobody, and leaves GPUs visible."""

Reference = Any
"""A ``ray.ObjectRef``: Ray is optional, so its types are not named here."""


def check(workers: int | None, address: str | None) -> None:
    """Refuses where Ray is not installed or nothing listens at the address.

    Raises:
        UsageError: one of the two.
    """
    _import_ray()
    if address is not None and address != "auto":
        _knock(address)


@contextmanager
def start(workers: int | None, address: str | None) -> Iterator[Execute]:
    """Starts Ray on this machine, or joins the cluster at ``address``, until the block ends.

    Args:
        workers: processes; None = one per CPU that Ray offers. Each runs CPUs // workers threads.
        address: ``host:port`` of a running cluster, or ``auto``; None = this machine alone. A Ray
            that this process already uses is used and left running.

    Raises:
        UsageError: Ray is not installed, or no cluster answers at the address.
    """
    check(workers, address)
    ray = _import_ray()
    borrowed = ray.is_initialized()
    if not borrowed:
        _connect(ray, workers, address)
    try:
        yield RayExecutor(ray, offered(ray, workers))
    finally:
        if not borrowed:
            ray.shutdown()


def _import_ray() -> Any:
    try:
        return import_module("ray")
    except ImportError:
        raise UsageError(
            "engine 'ray' given, but Ray is not installed; expected pip install "
            "'synapse-audit[ray]', or engine 'local'"
        ) from None


def _knock(address: str) -> None:
    """Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(f"address '{address}' given; expected HOST:PORT, as ray start --head says")
    try:
        socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"address '{address}' given, but nothing listens there ({error}); expected HOST:PORT "
            "of a running cluster (ray start --head), or none to use this machine"
        ) from error


def _connect(ray: Any, workers: int | None, address: str | None) -> None:
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        # Without the word, ray.init would join whatever cluster RAY_ADDRESS or this machine has.
        options |= {"address": "local", "num_cpus": max(cores or 1, workers or 1)}
        options["include_dashboard"] = False
    else:
        options["address"] = address
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError, OSError, ImportError) as error:
        place = "this machine" if address is None else f"address '{address}'"
        reason = first_line(error)
        raise UsageError(
            f"{place} given for engine 'ray', but no cluster could be reached; expected HOST:PORT "
            f"of a running one (ray start --head), or none to use this machine: {reason}"
        ) from error


@dataclass(frozen=True)
class CpuShare:
    """How the CPUs that Ray offers are shared out."""

    workers: int
    threads: int
    """CPUs that Ray sets aside for one worker, and torch threads in it."""
    window: int
    """Units under way or queued at one time."""


def share_out(machines: list[int], workers: int | None) -> CpuShare:
    """CPUs per machine → workers and threads.

    A worker never gets more threads than the smallest machine has: no machine would be left idle
    because a task does not fit it.
    """
    total = sum(machines)
    wanted = workers or total
    threads = max(1, min(total // wanted, min(machines)))
    room = sum(cpus // threads for cpus in machines)
    # More room than workers: queued units would start at once, so none is queued.
    return CpuShare(wanted, threads, wanted if room > wanted else AHEAD * room)


def offered(ray: Any, workers: int | None) -> CpuShare:
    """What the cluster has to offer now.

    Raises:
        UsageError: no CPU at all.
    """
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    machines = [int(resources["CPU"]) for resources in alive if resources.get("CPU", 0) >= 1]
    if not machines:
        raise UsageError(
            "engine 'ray' given, but no machine of the cluster offers a CPU; expected one or more "
            "(ray start --address HOST:PORT)"
        )
    return share_out(machines, workers)


@dataclass
class RayExecutor:
    """Runs units on Ray's workers; an :data:`synapse_audit.sweep.Execute`."""

    ray: Any
    share: CpuShare
    kits: dict[int, tuple[Engine, WorkerSetup, Reference]] = field(default_factory=dict)
    """The engines that were shipped; kept, since Ray forgets objects nobody refers to."""

    def __call__(self, work: Work) -> Generator[Done]:
        """Hands each unit back as soon as its worker is done; cancels the rest when stopped."""
        errands = self._errands(work)
        waiting: dict[Reference, Unit] = {}
        try:
            while True:
                while len(waiting) < self.share.window and (errand := next(errands, None)):
                    waiting[errand[0]] = errand[1]
                if not waiting:
                    return
                for reference in self.ray.wait(list(waiting))[0]:
                    yield Done(waiting.pop(reference), self._result(reference))
        finally:
            for reference in waiting:
                self.ray.cancel(reference, force=False)

    def _errands(self, work: Work) -> Iterator[tuple[Reference, Unit]]:
        """Starts one task per step."""
        if not work.units:
            return
        setup, kit_reference = self._kit(work.engine)
        task = self._task(setup)
        chunks: dict[str, Reference] = {}
        payload: tuple[str, Reference] | None = None
        for unit in work.units:
            if unit.chunk.name not in chunks:
                chunks[unit.chunk.name] = self.ray.put(unit.chunk)
            if payload is None or payload[0] != unit.batch:
                payload = (unit.batch, self.ray.put(make_payload(work, unit)))
            arguments = (setup.name, [kit_reference], payload[1], chunks[unit.chunk.name])
            yield task.remote(*arguments, unit.wanted), unit

    def _kit(self, engine: Engine) -> tuple[WorkerSetup, Reference]:
        known = self.kits.get(id(engine))
        if known is None:
            setup = make_setup(engine, threads=self.share.threads)
            for module in own_modules():  # workers have no such file to import
                self.ray.cloudpickle.register_pickle_by_value(module)
            known = self.kits[id(engine)] = (engine, setup, self.ray.put(setup))
        return known[1], known[2]

    def _task(self, setup: WorkerSetup) -> Any:
        gpus = 1 if setup.device.startswith("cuda") else 0
        options = {"num_cpus": self.share.threads, "num_gpus": gpus, "max_retries": RETRIES}
        return self.ray.remote(**options)(score_unit)

    def _result(self, reference: Reference) -> Scores:
        exceptions = self.ray.exceptions
        try:
            return self.ray.get(reference)
        except exceptions.RayTaskError as error:
            if isinstance(error.cause, AuditError):
                raise error.cause from None
            raise
        except exceptions.RayError as error:
            reason = first_line(error)
            raise UsageError(
                f"engine 'ray' lost the worker of one unit {RETRIES + 1} times; expected workers "
                "that stay alive (memory, machines): finished units are kept, and the same "
                f"command goes on from here: {reason}"
            ) from error
