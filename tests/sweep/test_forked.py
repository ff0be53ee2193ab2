"""Copies of this process: who runs what, what comes back, and what happens to those that end."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import pytest
import torch

from synapse_audit.errors import UsageError
from synapse_audit.sweep.executors import forked
from synapse_audit.sweep.executors.forked import can_fork, run_forked

pytestmark = pytest.mark.skipif(not can_fork(), reason="this system does not copy processes")

GROUPS = [[], [1, 2, 3], [10], [], [100, 200]]


def _here(number: int) -> tuple[int, int]:
    return os.getpid(), number**2


@pytest.mark.parametrize("workers", [1, 2, 9])
def test_every_task_runs_once_in_another_process(workers: int) -> None:
    found = dict(run_forked(_here, GROUPS, workers))
    assert {task: value for task, (_, value) in found.items()} == {
        task: task**2 for group in GROUPS for task in group
    }
    ran = {process for process, _ in found.values()}
    assert os.getpid() not in ran
    assert 1 <= len(ran) <= min(workers, 6)


def test_nothing_to_do_starts_nobody() -> None:
    assert list(run_forked(_here, [], 2)) == list(run_forked(_here, [[]], 2)) == []


def test_a_copy_has_one_thread_and_this_process_keeps_its_own() -> None:
    before = torch.get_num_threads()
    assert [n for _, n in run_forked(lambda _: torch.get_num_threads(), [[0]], 1)] == [1]
    assert torch.get_num_threads() == before


# ---- who runs what: worked out by hand -----------------------------------------------------------


def test_a_worker_keeps_to_its_group_then_helps_where_most_is_left() -> None:
    waiting = forked._Waiting([deque(range(2)), deque(range(5)), deque(range(3))])
    given = [waiting.next_for(worker) for worker in "abaabbaaaaa"]
    assert given == [
        (0, 0),  # a begins
        (1, 0),  # b begins
        (0, 1),
        (2, 0),  # a's is empty: the one that nobody has begun
        (1, 1),
        (1, 2),
        (2, 1),
        (2, 2),
        (1, 3),  # nothing to begin: a helps b
        (1, 4),
        None,
    ]


# ---- what goes wrong -----------------------------------------------------------------------------


def _raises(error: Exception) -> None:
    raise error


class AwkwardError(Exception):
    """Cannot be made again from its arguments."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__("awkward")


def test_an_error_of_ours_comes_back_as_it_is() -> None:
    with pytest.raises(UsageError, match=r"^one line$") as error:
        list(run_forked(_raises, [[UsageError("one line")]], 1))
    assert not hasattr(error.value, "__notes__")


def test_a_bug_comes_back_with_where_it_was() -> None:
    with pytest.raises(KeyError, match="a bug") as error:
        list(run_forked(_raises, [[KeyError("a bug")]], 1))
    assert "in _raises" in error.value.__notes__[0]


def test_what_cannot_travel_comes_back_as_text() -> None:
    with pytest.raises(RuntimeError, match="AwkwardError: awkward"):
        list(run_forked(lambda _: _raises(AwkwardError(1, 2)), [[0]], 1))


def test_a_killed_copy_is_one_line() -> None:
    def killed(number: int) -> int:
        if number:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(UsageError, match="--workers 1") as error:
        list(run_forked(killed, [[0, 0, 1, 0, 0, 0]], 1))
    assert "\n" not in str(error.value)
    assert not multiprocessing.active_children()


def test_a_copy_that_is_gone_when_its_next_task_comes_is_one_line() -> None:
    with forked._Copies(_here, [[1, 2]], 1) as copies:
        [process], [connection] = copies._processes, copies.connections
        process.kill()
        process.join()
        with pytest.raises(UsageError, match="--workers 1"):
            for _ in range(9):
                copies.send(connection, forked.Place(0, 0))


def test_processes_that_cannot_be_started_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    start, started = forked._start, []

    def refuse(process: Any) -> None:
        if started:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        started.append(process)
        start(process)

    monkeypatch.setattr(forked, "_start", refuse)
    with pytest.raises(UsageError, match=r"2 processes .* unavailable.* --workers 1") as error:
        list(run_forked(_here, GROUPS, 2))
    assert "\n" not in str(error.value)
    assert not multiprocessing.active_children()


def test_a_helper_of_another_process_is_not_copied() -> None:
    context = multiprocessing.get_context("fork")
    mine, its = context.Pipe()
    helper = context.Process(target=lambda: its.send(can_fork()), daemon=True)
    helper.start()
    assert mine.recv() is False
    helper.join()


def test_nobody_is_left_when_the_caller_stops() -> None:
    tasks = run_forked(lambda seconds: time.sleep(seconds), [[0.0], [60.0]], 2)
    next(tasks)
    assert len(multiprocessing.active_children()) == 2
    tasks.close()
    assert not multiprocessing.active_children()


def test_an_interrupt_is_for_this_process_alone() -> None:
    def interrupted(number: int) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        return number

    assert len(list(run_forked(interrupted, [[1, 2, 3]], 2))) == 3


ORPHANS = """
import os, sys, time
from synapse_audit.sweep.executors.forked import run_forked

def task(seconds):
    os.write(1, f"{os.getpid()}\\n".encode())
    time.sleep(seconds)

list(run_forked(task, [[600], [600]], 2))
"""


def _running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # ended, though nobody has asked how


def test_copies_end_with_a_process_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        copies = {int(parent.stdout.readline()) for _ in range(2)}
        parent.kill()
    assert len(copies) == 2
    deadline = time.monotonic() + 60
    while any(map(_running, copies)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
