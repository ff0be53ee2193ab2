"""One run's folder while it is written: who it belongs to, what is already there.

| file | content |
|---|---|
| manifest.json | identity (configuration, hashes, versions), stages with times |
| activations/*.npy | float32, memory-mapped |
| outcomes/*.npy | (actions, examples); ``units/`` holds finished pieces of an unfinished sweep |
| findings/*.parquet | the tables behind the figures |
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synapse_audit.errors import RunFolderError
from synapse_audit.memory import Allocate
from synapse_audit.store import atomic

MANIFEST = "manifest.json"

SMALL = 2**24
"""Bytes below which a scratch array is kept in memory."""


@dataclass(frozen=True)
class RunFolder:
    """A folder that belongs to exactly one run."""

    path: Path

    @classmethod
    def claim(cls, path: str | Path) -> RunFolder:
        """Makes the folder, or takes an empty one or one of an earlier run.

        Raises:
            RunFolderError: it holds other things, is a file, or cannot be written.
        """
        folder = Path(path)
        if folder.exists() and not folder.is_dir():
            raise RunFolderError(f"output '{folder}' is a file; expected a folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"output '{folder}' cannot be made: {error.strerror}") from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise RunFolderError(f"output '{folder}' is not writable; expected a writable folder")
        # A kill during the first write leaves an unfinished manifest and nothing else.
        files = [file for file in folder.iterdir() if file.suffix != atomic.SUFFIX]
        if files and "identity" not in cls(folder).manifest:
            raise RunFolderError(
                f"output '{folder}' holds other files; expected a new or empty folder, or the "
                "folder of the same run"
            )
        return cls(folder)

    def identify(self, identity: Mapping[str, Any]) -> None:
        """Records whose folder this is, or checks that it is this run's.

        Raises:
            RunFolderError: it belongs to a run with another configuration, model or data.
        """
        wanted = json.loads(json.dumps(identity, default=str))
        known = self.manifest.get("identity")
        if known is None:
            self.update_manifest(identity=wanted, status="running", stages={})
        elif known != wanted:
            changed = sorted(k for k in {*known, *wanted} if known.get(k) != wanted.get(k))
            raise RunFolderError(
                f"output '{self.path}' belongs to another run (different {', '.join(changed)}); "
                "expected a new folder, or the same command to resume"
            )

    @property
    def manifest(self) -> dict[str, Any]:
        """What is recorded so far; empty for a new folder."""
        file = self.path / MANIFEST
        if not file.is_file():
            return {}
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            return found if isinstance(found, dict) else {}
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise RunFolderError(f"'{file}' is not JSON: {error}") from error

    def update_manifest(self, **entries: Any) -> None:
        """Adds or replaces top-level entries."""
        atomic.write_json(self.path / MANIFEST, self.manifest | entries)

    def has(self, *names: str) -> bool:
        """Whether every named file is there."""
        return all((self.path / name).exists() for name in names)

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Writes ``name.parquet``."""
        atomic.write_table(self.path / f"{name}.parquet", table)

    def read_table(self, name: str) -> pd.DataFrame:
        """Reads ``name.parquet``."""
        return pd.read_parquet(self.path / f"{name}.parquet")

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Writes ``name.json``."""
        atomic.write_json(self.path / f"{name}.json", value)

    def write_text(self, name: str, text: str) -> None:
        """Writes a text file."""
        atomic.write_text(self.path / name, text)

    def write_array(self, name: str, array: np.ndarray) -> None:
        """Writes ``name.npy``."""
        with atomic.replacing(self.path / f"{name}.npy") as temporary, temporary.open("wb") as file:
            np.save(file, array, allow_pickle=False)

    def read_array(self, name: str) -> np.ndarray:
        """Opens ``name.npy`` memory-mapped."""
        return np.load(self.path / f"{name}.npy", mmap_mode="r", allow_pickle=False)

    def write_arrays(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Writes ``name.npz``."""
        atomic.write_arrays(self.path / f"{name}.npz", arrays)

    def read_arrays(self, name: str) -> dict[str, np.ndarray]:
        """Reads ``name.npz``."""
        with np.load(self.path / f"{name}.npz", allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}

    def allocate(self, folder: str) -> Allocate:
        """Makes memory-mapped arrays, under temporary names until :meth:`publish`.

        What an interrupted run left unfinished there is gone: it must not be published.
        """
        for leftover in (self.path / folder).glob(f"*{atomic.SUFFIX}"):
            leftover.unlink()

        def make(
            name: str, shape: tuple[int, int], dtype: type[np.generic] = np.float32
        ) -> np.ndarray:
            target = self.path / folder / f"{name}.npy{atomic.SUFFIX}"
            target.parent.mkdir(parents=True, exist_ok=True)
            return np.lib.format.open_memmap(target, mode="w+", dtype=dtype, shape=shape)

        return make

    def publish(self, folder: str) -> None:
        """Gives all finished arrays of a folder their names."""
        for temporary in sorted((self.path / folder).glob(f"*{atomic.SUFFIX}")):
            temporary.replace(temporary.with_name(temporary.name.removesuffix(atomic.SUFFIX)))

    @property
    def scratch(self) -> Allocate:
        """Makes arrays for one calculation: large ones memory-mapped, gone as soon as unused."""

        def make(
            name: str, shape: tuple[int, int], dtype: type[np.generic] = np.float32
        ) -> np.ndarray:
            if np.dtype(dtype).itemsize * shape[0] * shape[1] < SMALL:
                return np.zeros(shape, dtype)
            # Without a name from the start: nothing is left even by a process that is killed.
            with tempfile.TemporaryFile(dir=self.path) as file:
                return np.asarray(np.memmap(file, dtype, "w+", shape=shape))

        return make

    @property
    def shelf(self) -> UnitShelf:
        """Where an unfinished sweep keeps its units."""
        return UnitShelf(self.path / "outcomes" / "units")


@dataclass(frozen=True)
class UnitShelf:
    """Finished pieces of a sweep, one ``.npz`` each."""

    path: Path

    def load(self, name: str) -> Mapping[str, np.ndarray] | None:
        """The unit of that name, or None."""
        file = self.path / f"{name}.npz"
        if not file.is_file():
            return None
        with np.load(file, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}

    def save(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keeps a unit, whole or not at all."""
        atomic.write_arrays(self.path / f"{name}.npz", arrays)

    def clear(self) -> None:
        """Forgets all units: the finished outcomes hold them."""
        shutil.rmtree(self.path, ignore_errors=True)
