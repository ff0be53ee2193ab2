"""What several processes of one test run need is made by the first that asks for it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def once(name: str, factory: pytest.TempPathFactory, make: Callable[[Path], object]) -> Path:
    """The folder of that name, filled by ``make``; read only.

    With pytest-xdist the folder is that of all workers: the others wait for the one that makes it.
    """
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, done = shared / name, shared / f"{name}.done"
    with FileLock(shared / f"{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
