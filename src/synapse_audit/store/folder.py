"""One run's folder while it is written: who it belongs to, what is already there.

| file | content |
|---|---|
| manifest.json | identity (configuration, hashes, versions), times, sha256 of every file |
| activations/*.npy | float32, memory-mapped |
| outcomes/*.npy | (actions, examples); ``units/`` holds finished pieces of an unfinished sweep |
| findings/*.parquet | the tables behind the figures |
| .lock | who writes here, while somebody does |
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synapse_audit.errors import RunFolderError
from synapse_audit.memory import Allocate
from synapse_audit.store import arrays, atomic, checksums, reading
from synapse_audit.store.arrays import UnitFiles
from synapse_audit.store.lock import LOCK, locked

MANIFEST, OUTCOMES = "manifest.json", "outcomes"


@dataclass(frozen=True)
class RunFolder:
    """A folder that belongs to exactly one run."""

    path: Path
    _known: dict[str, tuple[object, str]] = field(default_factory=dict, repr=False, compare=False)
    """Name → size and time of a file, and the hash it had then: each is hashed once."""

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
        files = [
            file for file in folder.iterdir() if file.suffix != atomic.SUFFIX and file.name != LOCK
        ]
        if files and "identity" not in cls(folder).manifest:
            raise RunFolderError(
                f"output '{folder}' holds other files; expected a new or empty folder, or the "
                "folder of the same run"
            )
        return cls(folder)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps others from writing here, and clears away what a killed owner left unfinished.

        Raises:
            RunFolderError: somebody does; the message names who.
        """
        with locked(self.path):
            for name in ("any", "findings/any", f"{OUTCOMES}/units/any"):
                atomic.clear_partial(self._place(name).parent)
            yield

    def identify(self, identity: Mapping[str, Any]) -> None:
        """Records whose folder this is, or checks that it is this run's.

        Raises:
            RunFolderError: it belongs to a run with another configuration, model or data.
        """
        wanted = json.loads(json.dumps(identity, default=str))
        known = self.manifest.get("identity")
        if known is None:
            self.update_manifest(identity=wanted, status="running", files={})
        elif known != wanted:
            raise RunFolderError(
                f"output '{self.path}' belongs to another run "
                f"(different {', '.join(_differences(known, wanted))}); "
                "expected a new folder, or the same command to resume"
            )

    @property
    def finished(self) -> bool:
        """Whether the run came to its end and every file is as it was written."""
        complete = self.manifest.get("status") == "complete" and "summary.json" in self.hashes
        return complete and not self.damaged(*self.hashes)

    @property
    def manifest(self) -> dict[str, Any]:
        """What is recorded so far; empty for a new folder."""
        file = self.path / MANIFEST
        return reading.read_json(file) if file.is_file() else {}

    def update_manifest(self, **entries: Any) -> None:
        """Adds or replaces top-level entries."""
        atomic.write_json(self.path / MANIFEST, self.manifest | entries)

    def has(self, *names: str) -> bool:
        """Whether every named file is there as it was written."""
        hashes = self.hashes
        return all(name in hashes and self._is_intact(name, hashes[name]) for name in names)

    def damaged(self, *names: str) -> tuple[str, ...]:
        """Those of the files that were written, and are gone or different now."""
        hashes = self.hashes
        written = [name for name in names if name in hashes]
        return tuple(name for name in written if not self._is_intact(name, hashes[name]))

    @property
    def hashes(self) -> dict[str, str]:
        """Name → sha256 of every file that the run has written."""
        found = self.manifest.get("files", {})
        if not isinstance(found, dict) or not all(isinstance(h, str) for h in found.values()):
            raise reading.refused(self.path / MANIFEST, "has 'files' that are no hashes by name")
        return found

    def written(self, folder: str) -> tuple[str, ...]:
        """Names of the files in a sub-folder, as the manifest has them."""
        return tuple(name for name in self.hashes if name.startswith(f"{folder}/"))

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Writes ``name.parquet``; equal tables give equal bytes."""
        self._write(f"{name}.parquet", atomic.table_bytes(table))

    def read_table(self, name: str) -> pd.DataFrame:
        """Reads ``name.parquet``, held against its declared columns."""
        return reading.read_table(self._whole(f"{name}.parquet"), name)

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Writes ``name.json``."""
        self._write(f"{name}.json", atomic.json_bytes(value))

    def write_array(self, name: str, array: np.ndarray) -> None:
        """Writes ``name.npy``."""
        content = io.BytesIO()
        np.save(content, array, allow_pickle=False)
        self._write(f"{name}.npy", content.getbuffer())

    def read_array(self, name: str) -> np.ndarray:
        """Opens ``name.npy`` memory-mapped."""
        return reading.read_array(self._whole(f"{name}.npy"))

    def write_arrays(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Writes ``name.npz``."""
        self._write(f"{name}.npz", atomic.arrays_bytes(arrays))

    def read_arrays(self, name: str) -> dict[str, np.ndarray]:
        """Reads ``name.npz``."""
        return reading.read_arrays(self._whole(f"{name}.npz"))

    def allocate(self, folder: str) -> Allocate:
        """Makes memory-mapped arrays, under temporary names until :meth:`publish`.

        What an interrupted run left unfinished there is gone: it must not be published.
        """
        atomic.clear_partial(self._place(f"{folder}/any").parent)

        def make(
            name: str, shape: tuple[int, int], dtype: type[np.generic] = np.float32
        ) -> np.ndarray:
            return arrays.open_new(self._place(f"{folder}/{name}.npy{atomic.SUFFIX}"), shape, dtype)

        return make

    def publish(self, folder: str) -> None:
        """Gives all finished arrays of a folder their names."""
        for temporary in sorted((self.path / folder).glob(f"*{atomic.SUFFIX}")):
            name = f"{folder}/{temporary.name.removesuffix(atomic.SUFFIX)}"
            found = checksums.sha256_of(temporary)
            self._forget_others(name, found)
            with atomic.writing(self.path / name):
                temporary.replace(self.path / name)
            self._record(name, found)

    def forget(self, folder: str) -> None:
        """Counts what a sub-folder holds, and all that was made from it, as missing."""
        names = self.written(folder)
        if names:
            left = self.hashes
            for name in names:
                left = checksums.without(left, name)
            self.update_manifest(files=left)

    @property
    def scratch(self) -> Allocate:
        """Makes arrays for one calculation: large ones memory-mapped, gone as soon as unused."""
        return arrays.scratch(self.path)

    @property
    def unit_store(self) -> UnitFiles:
        """Where an unfinished sweep keeps its units."""
        path = self._place(f"{OUTCOMES}/units/any").parent
        path.parent.mkdir(exist_ok=True)
        return UnitFiles(path)

    def _place(self, name: str) -> Path:
        """Where a file is to be written: in the folder itself, not where a link leads."""
        if not self.path.is_dir():
            raise RunFolderError(
                f"output '{self.path}' is gone; expected it to stay until the run is done"
            )
        path = self.path / name
        for parent in path.parents[: len(path.relative_to(self.path).parts) - 1]:
            if parent.is_symlink():
                raise RunFolderError(f"'{parent}' is a link; expected a folder of the run's own")
        return path

    def _whole(self, name: str) -> Path:
        """Where a file is that is to be read.

        Raises:
            RunFolderError: it is not the one that the run wrote.
        """
        path, hashes = self.path / name, self.hashes
        if hashes and name not in hashes:
            raise reading.refused(path, f"is not among the files of {MANIFEST}")
        if hashes and path.is_file() and not self._is_intact(name, hashes[name]):
            raise reading.refused(path, f"is damaged: its sha256 is not that of {MANIFEST}")
        return path

    def read_json(self, name: str) -> dict[str, Any]:
        """Reads ``name.json``."""
        return reading.read_json(self._whole(f"{name}.json"))

    def _write(self, name: str, content: bytes | memoryview) -> None:
        found = hashlib.sha256(content).hexdigest()
        path = self._place(name)
        path.parent.mkdir(exist_ok=True)
        self._forget_others(name, found)
        atomic.write_bytes(path, content)
        self._record(name, found)

    def _forget_others(self, name: str, found: str) -> None:
        """Before a file changes: what was made from the old one counts as missing from now on."""
        hashes = self.hashes
        if hashes.get(name, found) == found:
            return
        if OUTCOMES in checksums.dependents(checksums.group_of(name)):
            self.unit_store.clear()
        self.update_manifest(files=checksums.without(hashes, name))

    def _record(self, name: str, found: str) -> None:
        self._known[name] = (_version(self.path / name), found)
        if self.hashes.get(name) != found:
            self.update_manifest(files=self.hashes | {name: found})

    def _is_intact(self, name: str, expected: str) -> bool:
        path = self.path / name
        if not path.is_file():
            return False
        version = _version(path)
        if self._known.get(name, (None, ""))[0] != version:
            self._known[name] = (version, checksums.sha256_of(path))
        return self._known[name][1] == expected


def _differences(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    """Names of the fields that differ, with both values where these are short."""
    for name in sorted({*known, *wanted}):
        before, now = known.get(name), wanted.get(name)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from _differences(before, now)
        elif before != now:
            values = f"{json.dumps(before)} there, {json.dumps(now)} now"
            yield f"{name}: {values}" if len(values) <= 60 else name


def _version(path: Path) -> object:
    """What changes whenever a program writes a file; not so when a disk damages it."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
