"""One writer per run folder: a lock that the system holds, and takes back however a process ends.

In: a folder. Out: a ``with`` in which nobody else writes there. The lock is a ``flock`` on
``.lock``, so a killed process leaves none; the file itself only names the owner to others. Limits:
where a system or file system has no ``flock`` (Windows, some network disks) nobody is kept out, and
a warning says so.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path

from synapse_audit.errors import RunFolderError

LOCK = ".lock"
"""Name of the file; it is gone when nobody writes."""

_held: ContextVar[frozenset[Path]] = ContextVar("held", default=frozenset())


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other processes from writing to ``folder``; nested calls of one owner share the lock.

    Raises:
        RunFolderError: somebody else writes there; the message names who.
    """
    path = folder.resolve() / LOCK
    if path in _held.get():
        yield
        return
    file = _acquire(path, folder)
    token = _held.set(_held.get() | {path})
    try:
        yield
    finally:
        _held.reset(token)
        # While it is still locked, so that nobody can hold a file that is about to go.
        with suppress(OSError):
            path.unlink()
        os.close(file)


def _acquire(path: Path, folder: Path) -> int:
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        except OSError as error:
            raise RunFolderError(
                f"output '{folder}' cannot be locked: {error.strerror}; expected a writable folder"
            ) from error
        if not _flock(file):
            owner = _owner(file)
            os.close(file)
            raise RunFolderError(
                f"output '{folder}' is being written by {owner}; expected another folder, or to "
                "wait until that is done"
            )
        if _is_at(path, file):
            os.ftruncate(file, 0)
            os.write(file, json.dumps(_identity()).encode())
            return file
        os.close(file)  # the owner before removed it after it was opened here


def _is_at(path: Path, file: int) -> bool:
    try:
        there = path.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(file))


def _identity() -> dict[str, object]:
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": since}


def _owner(file: int) -> str:
    """Who holds the lock, as the file says; it may be read just before it is written."""
    try:
        known = json.loads(os.pread(file, 1000, 0))
        return f"process {known['pid']} on {known['host']} since {known['since']}"
    except (OSError, ValueError, TypeError, KeyError):
        return "another process"


if sys.platform == "win32":

    def _flock(file: int) -> bool:
        warnings.warn("runs into one folder are not kept apart on this system", stacklevel=2)
        return True

else:
    import fcntl

    def _flock(file: int) -> bool:
        """Takes the lock; False where another one has it."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            reason = f"this file system has no locks ({error.strerror})"
            warnings.warn(f"{reason}: runs into one folder are not kept apart", stacklevel=2)
        return True
