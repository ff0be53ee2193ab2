"""Runs units in copies of this process, each on one core with one thread.

Blocks of a small Transformer are many small products, for which two threads of one process wait for
each other; two processes do not. A copy (``fork``, as torch's data loader makes on Linux) has the
model, the data and the cells already, in the same memory as long as nobody writes to it, so nothing
travels but scores. Copies last as long as one call of the executor.

A copy of a process has none of its threads. It would wait for those of OpenMP for ever, hence one
thread each; a GPU cannot be used by a copy at all, hence classifiers on the CPU alone.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, NamedTuple

import torch
from threadpoolctl import threadpool_limits

from synapse_audit.errors import AuditError, UsageError

PR_SET_PDEATHSIG = 1
"""Of Linux: which signal a process is sent when its parent ends (``man 2 prctl``)."""

AHEAD = 2
"""Tasks that a process has at one time, so that none waits while its scores are read."""


def can_fork() -> bool:
    """Whether this process may be copied.

    macOS offers it, but its own libraries break then. Where there is a GPU, the threads of torch's
    gradients are not copied, even for what is on the CPU. What was started as a helper of another
    process (``daemon``) may have none of its own.
    """
    if torch.accelerator.is_available():
        return False
    return sys.platform.startswith("linux") and not multiprocessing.current_process().daemon


class Place(NamedTuple):
    """Where a task stands."""

    group: int
    task: int


class Answer(NamedTuple):
    """What a copy sends back."""

    place: Place
    result: Any
    failure: BaseException | None = None
    trace: str = ""


def run_forked(
    function: Callable[[Any], Any], groups: Sequence[Sequence[Any]], workers: int
) -> Generator[tuple[Any, Any]]:
    """Calls a function of every task in copies of this process.

    Args:
        function: may keep what it needs for a group; each process has its own copy of that.
        groups: tasks that have something in common. A process keeps to one group while it lasts,
            then begins another, in the order given, and helps with a begun one when there is none.

    Yields:
        A task and what the function returned, in any order.

    Raises:
        UsageError: a process was killed.
        BaseException: what the function raised, with its traceback as a note.
    """
    groups = [tasks for tasks in groups if tasks]
    waiting = _Waiting([deque(range(len(tasks))) for tasks in groups])
    with _Copies(function, groups, min(workers, sum(map(len, groups)))) as copies:
        under_way = dict.fromkeys(copies.connections, 0)

        def hand_out(connection: Connection) -> None:
            place = waiting.next_for(connection)
            if place is not None:
                copies.send(connection, place)
                under_way[connection] += 1

        for connection in [*copies.connections] * AHEAD:
            hand_out(connection)
        while any(under_way.values()):
            for ready in wait([c for c, tasks in under_way.items() if tasks]):
                connection = ready  # type: ignore[assignment]  # of what was given to it
                answer = copies.receive(connection)
                under_way[connection] -= 1
                hand_out(connection)
                yield groups[answer.place.group][answer.place.task], answer.result


@dataclass
class _Waiting:
    """The tasks that nobody has yet."""

    left: list[deque[int]]
    """Group → places of its tasks."""
    begun: int = 0
    """Groups that somebody has begun: the first ones."""
    own: dict[Hashable, int] = field(default_factory=dict)
    """Worker → its group."""

    def next_for(self, worker: Hashable) -> Place | None:
        """The next task of a worker; None where none is left."""
        group = self.own.get(worker)
        if group is None or not self.left[group]:
            group = self.own[worker] = self._another()
        return Place(group, self.left[group].popleft()) if self.left[group] else None

    def _another(self) -> int:
        """A group that nobody has begun, or the one of which most is left."""
        if self.begun < len(self.left):
            self.begun += 1
            return self.begun - 1
        return max(range(len(self.left)), key=lambda group: len(self.left[group]))


class _Copies:
    """Processes that run tasks until the block ends; they end with it, or with this process."""

    def __init__(
        self, function: Callable[[Any], Any], groups: Sequence[Sequence[Any]], number: int
    ) -> None:
        self.connections: list[Connection] = []
        self._processes: list[BaseProcess] = []
        self._served = (function, groups)
        self._number = number

    def __enter__(self) -> _Copies:
        try:
            for _ in range(self._number):
                self._start_one()
        except BaseException as error:
            self.__exit__()
            if not isinstance(error, OSError):
                raise
            raise UsageError(
                f"{self._number} processes for interventions cannot be started ({error}); expected "
                "memory and a limit of processes that allow it, or --workers 1"
            ) from error
        return self

    def _start_one(self) -> None:
        context = multiprocessing.get_context("fork")
        mine, its = context.Pipe()
        self.connections.append(mine)
        # It holds copies of all our ends; as long as they are open it cannot see us end.
        arguments = (its, [*self.connections], os.getpid(), *self._served)
        process = context.Process(target=_serve, args=arguments, daemon=True)
        self._processes.append(process)
        _start(process)
        its.close()

    def __exit__(self, *error: object) -> None:
        started = [process for process in self._processes if process.pid is not None]
        for process in started:
            process.kill()  # they own nothing that could be left half done
        for process in started:
            process.join()
            process.close()
        for connection in self.connections:
            connection.close()

    def send(self, connection: Connection, place: Place) -> None:
        """Hands a copy its next task.

        Raises:
            UsageError: the copy is gone.
        """
        try:
            connection.send(place)
        except OSError:
            raise _gone() from None

    def receive(self, connection: Connection) -> Answer:
        """What a copy sends.

        Raises:
            UsageError: the copy is gone.
            BaseException: what its function raised.
        """
        try:
            answer: Answer = connection.recv()
        except (EOFError, OSError):
            raise _gone() from None
        if answer.failure is not None:
            if not isinstance(answer.failure, AuditError):
                answer.failure.add_note(answer.trace)
            raise answer.failure
        return answer


def _gone() -> UsageError:
    return UsageError(
        "a process that ran interventions was killed (out of memory?); expected it to end by "
        "itself: finished units are kept, and the same command goes on from here, with --workers 1 "
        "in one process"
    )


def _start(process: BaseProcess) -> None:
    """The copy is never interrupted: this process is asked too, and decides."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with warnings.catch_warnings():
            # Python warns of threads, whose locks a copy may find taken: see the module.
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(
    its: Connection,
    of_parent: Sequence[Connection],
    parent: int,
    function: Callable[[Any], Any],
    groups: Sequence[Sequence[Any]],
) -> None:
    """Runs what it is sent, in a copy, until nobody is left who could send."""
    for connection in of_parent:
        connection.close()
    _end_with(parent)
    torch.set_num_threads(1)
    # A progress display writes from a thread of its own, whose lock may be taken here for ever.
    # What would be written there comes back as an error, or was said when routes were checked.
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, threadpool_limits(limits=1):
        sys.stdout = sys.stderr = nowhere
        while True:
            try:
                place = its.recv()
                its.send(_answer(function, groups, place))
            except (EOFError, OSError):
                return


def _end_with(parent: int) -> None:
    """Has the system kill this process with its parent, whose lock on a run folder it has too."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before that
        os.kill(os.getpid(), signal.SIGKILL)


def _answer(
    function: Callable[[Any], Any], groups: Sequence[Sequence[Any]], place: Place
) -> Answer:
    try:
        return Answer(place, function(groups[place.group][place.task]))
    except BaseException as error:
        trace = traceback.format_exc()
        return Answer(place, None, _sendable(error, trace), trace)


def _sendable(error: BaseException, trace: str) -> BaseException:
    """The error, or its text where it cannot travel."""
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:
        return RuntimeError(trace)
    return error
