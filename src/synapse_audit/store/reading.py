"""Reads what anybody may have written: bounded, of the declared shape, or one line with the file.

A run folder may come from a stranger, or from a disk that failed. What a file claims of its own
size is looked at before memory is taken for it; whatever a library then raises becomes a
:class:`~synapse_audit.errors.RunFolderError`.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synapse_audit.errors import BROKEN, AuditError, RunFolderError, first_line
from synapse_audit.tables import completed, problem_of

LARGEST_JSON = 2**26
"""Bytes of ``manifest.json`` and ``summary.json``."""

MOST_VALUES = 2**28
"""Rows times columns of a table: 2 GB of numbers."""

MOST_COLUMNS = 20_000

MOST_TEXT = 2**31
"""Bytes that the texts of one column take, each as long as the longest."""

REFUSED = (
    *(*BROKEN, NotImplementedError, RuntimeError, MemoryError, OverflowError, EOFError),
    *(SyntaxError, zipfile.BadZipFile, zlib.error, struct.error),
)
"""What numpy, pandas and pyarrow raise on files that hold something else."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns whatever is wrong with a file into one line that names it."""
    try:
        if not path.is_file():
            raise FileNotFoundError("it is not there, or no file")
        yield
    except AuditError:
        raise
    except (*REFUSED, pa.ArrowException) as error:
        raise refused(path, f"cannot be read: {first_line(error)[:200]}") from error


def refused(path: Path, reason: str) -> RunFolderError:
    """The line that says why a file of a run is not used."""
    return RunFolderError(
        f"'{path}' {reason}; expected the file that a run wrote: repeat the run's command to make "
        "it again"
    )


@contextmanager
def using(*folders: Path) -> Iterator[None]:
    """Turns what goes wrong with the contents of one or more runs' files into one line.

    For whoever reads a run of anybody's: values that no check foresaw end up here. The error of the
    library is the cause of the one that is raised.
    """
    try:
        yield
    except AuditError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {first_line(error)[:200]}"
        named = " or ".join(f"'{folder}'" for folder in folders)
        raise RunFolderError(
            f"run {named} holds tables that do not fit together ({what}); expected those of a "
            "finished run, as this version writes them: repeat its command. If that is what it is, "
            "this is a bug"
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        RunFolderError: the file is too large, no JSON, or holds something else.
    """
    with reading(path):
        if path.stat().st_size > LARGEST_JSON:
            raise refused(path, f"is larger than {LARGEST_JSON:,} bytes")
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise refused(path, f"is not JSON: {first_line(error)}") from error
    if not isinstance(found, dict):
        raise refused(path, "holds no JSON object")
    return found


def read_table(path: Path, name: str) -> pd.DataFrame:
    """A Parquet table, held against its declared columns; those added since are missing values.

    Args:
        name: in :data:`synapse_audit.tables.TABLES`; others may have any columns.

    Raises:
        RunFolderError: the file is damaged, too large, or not such a table.
    """
    with reading(path):
        # A run has some 80 small tables: handing one to other threads takes longer than reading it.
        table = _read_bounded(path).to_pandas(use_threads=False)
        reason = problem_of(name, table)
    if reason:
        raise refused(path, reason)
    return completed(name, table)


def _check_size(path: Path, file: pq.ParquetFile) -> None:
    """By what the file says of itself, before any column is read."""
    rows, schema = file.metadata.num_rows, file.schema_arrow
    if len(schema) > MOST_COLUMNS or rows * max(1, len(schema)) > MOST_VALUES:
        raise refused(path, f"says that it has {rows:,} rows of {len(schema):,} columns")
    groups = (file.metadata.row_group(i) for i in range(file.metadata.num_row_groups))
    if sum(group.num_rows for group in groups) != rows:
        raise refused(path, "says different things of its number of rows")
    nested = [field.name for field in schema if pa.types.is_nested(field.type)]
    if nested:
        raise refused(path, f"column '{nested[0][:50]}' is nested")


def _read_bounded(path: Path) -> pa.Table:
    """The columns, texts first as a dictionary: one huge text may stand on every row."""
    with pq.ParquetFile(path) as file:
        _check_size(path, file)
        plain = [field.name for field in file.schema_arrow if pa.types.is_string(field.type)]
    with pq.ParquetFile(path, read_dictionary=plain) as file:
        found = file.read(use_pandas_metadata=True, use_threads=False)
    for place, field in enumerate(found.schema):
        if not pa.types.is_dictionary(field.type):
            continue
        column = found.column(place)
        for chunk in column.chunks:
            longest = pc.max(pc.binary_length(chunk.dictionary)).as_py() or 0
            if longest * len(column) > MOST_TEXT:
                raise refused(path, f"repeats a text of {longest:,} bytes")
        if field.name in plain:
            decoded = pa.chunked_array([c.dictionary_decode() for c in column.chunks], pa.string())
            found = found.set_column(place, field.name, decoded)
    return found


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """A ``.npz`` of plain numbers, stored as they are: what it takes is what the file has.

    Raises:
        RunFolderError: the file is damaged, compressed, or holds other things.
    """
    with reading(path), path.open("rb") as file, zipfile.ZipFile(file) as archive:
        if any(one.compress_type != zipfile.ZIP_STORED for one in archive.infolist()):
            raise refused(path, "is compressed")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}
    raise refused(path, "cannot be read")


def read_array(path: Path) -> np.ndarray:
    """A ``.npy`` of plain numbers, memory-mapped: it takes no more memory than the file has bytes.

    Raises:
        RunFolderError: the file is damaged or holds other things.
    """
    with reading(path):
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "biuf":
        raise refused(path, "holds no numbers")
    return found
