"""From the name of a file or hub dataset to a table of what is written there.

In: a path ending in one of ``READERS``, or a hub id (``org/name`` or ``org/name:config/split``).
Out: a :class:`Table`. Nothing is interpreted: in CSV and TSV every value is a string, so "NA",
"null" and "nan" are words like any other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from synapse_audit.data.folders import read_folder
from synapse_audit.data.media import Medium
from synapse_audit.data.parquet import read_parquet
from synapse_audit.data.separated import decode, read_csv, read_tsv
from synapse_audit.data.tables import Table
from synapse_audit.errors import DataError, choices, first_line

_HUB_ID = re.compile(r"(?P<id>[A-Za-z0-9][\w.-]*/[\w.-]+)(?::(?P<config>[^/]+)/(?P<split>[^/]+))?")


def read_table(source: str, medium: Medium | None = None) -> Table:
    """Reads a local file, or a hub dataset where no such file exists.

    Args:
        medium: what the inputs are; a folder may then hold one sub-folder per class. None: texts.

    Raises:
        DataError: no such file, a folder of texts, an unknown suffix, bytes that are not UTF-8, a
            file that is empty or malformed, or a hub dataset that cannot be had.
    """
    try:
        table = _read(source, medium)
    except OSError as error:
        raise DataError(
            f"data file '{source}' cannot be read: {error.strerror or first_line(error)}"
        ) from error
    if table.frame.empty:
        raise DataError(f"data '{source}' holds no rows; expected at least one row per example")
    return table


def _read(source: str, medium: Medium | None) -> Table:
    path = Path(source)
    if medium is not None and path.is_dir():
        return read_folder(path, medium)
    if _is_hub_id(source):
        return _read_hub(source)
    return replace(_read_file(path), source=source, folder=path.parent)


def _is_hub_id(source: str) -> bool:
    path = Path(source)
    looks_local = path.exists() or path.parent.is_dir() or path.suffix.lower() in READERS
    return not looks_local and _HUB_ID.fullmatch(source) is not None


def _read_file(path: Path) -> Table:
    expected = f"a {', '.join(READERS)} file or a hub dataset id (org/name:config/split)"
    if path.is_dir():
        raise DataError(f"data '{path}' given, which is a folder; expected {expected}")
    if not path.exists():
        raise DataError(f"data '{path}' given; no such file; expected {expected}")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        hint = choices(path.suffix, READERS)
        raise DataError(
            f"data '{path}' has the suffix '{path.suffix}'; expected {expected}; {hint}"
        )
    return reader(path)


def _read_jsonl(path: Path) -> Table:
    return _by_line(path, decode(path))


def _by_line(path: Path, text: str) -> Table:
    # Not splitlines: it would also cut at characters that are legal inside a JSON string.
    lines = enumerate(text.split("\n"), start=1)
    records = [_record(path, number, line) for number, line in lines if line.strip()]
    if not records:
        raise DataError(f"data file '{path}' is empty; expected one JSON object per line")
    return _of_records(path, records)


def _of_records(path: Path, records: Sequence[Mapping[str, Any]]) -> Table:
    columns = list(dict.fromkeys(name for record in records for name in record))
    return Table(str(path), pd.DataFrame(records, columns=columns, dtype=object))


def _record(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"data file '{path}', line {number} is not JSON: {error}; "
            "expected one JSON object per line"
        ) from None
    if not isinstance(record, dict):
        raise DataError(
            f"data file '{path}', line {number} holds a JSON {type(record).__name__}; "
            "expected one JSON object per line"
        )
    return record


def _read_json(path: Path) -> Table:
    """A list of objects, or one object per line: both are called .json."""
    text = decode(path)
    if not text.lstrip().startswith("["):
        return _by_line(path, text)
    try:
        records = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"data file '{path}' is not JSON: {error}; expected a list of objects, or one object "
            "per line"
        ) from None
    odd = next((i for i, one in enumerate(records, start=1) if not isinstance(one, dict)), None)
    if odd is not None:
        raise DataError(
            f"data file '{path}', entry {odd} is a JSON {type(records[odd - 1]).__name__}; "
            "expected a list of objects, one per example"
        )
    return _of_records(path, records)


READERS: dict[str, Callable[[Path], Table]] = {
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".parquet": read_parquet,
}
"""Suffix (in any case) → reader."""


def _read_hub(source: str) -> Table:
    try:
        import datasets
    except ImportError:
        raise DataError(
            f"data '{source}' given; no such file, and reading it as a hub dataset needs the "
            "package 'datasets'; expected a local file, or pip install 'synapse-audit[hub]'"
        ) from None
    match = _HUB_ID.fullmatch(source)
    name, config, part = match.group("id", "config", "split") if match else (source, None, None)
    try:
        loaded = datasets.load_dataset(name, name=config, split=part)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"data '{source}' given; no such file, and the hub dataset cannot be loaded: {cause}"
        ) from error
    chosen = loaded if part else _only_split(source, loaded)
    named = {
        column: tuple(feature.names)
        for column, feature in chosen.features.items()
        if isinstance(feature, datasets.ClassLabel)
    }
    return Table(source, _with_files(chosen).to_pandas(), named)


def _with_files(dataset: Any) -> Any:
    """The dataset with the content of images and sounds in place of where its cache keeps them.

    It is the library ``datasets`` that opens those files; paths in other columns are refused later.
    """
    if not {"Image", "Audio"} & {type(feature).__name__ for feature in dataset.features.values()}:
        return dataset
    from datasets.table import embed_table_storage

    return embed_table_storage(dataset.with_format("arrow")[:])


def _only_split(source: str, loaded: Any) -> Any:
    """The ``test`` split, or the only one there is."""
    names = list(loaded)
    if "test" not in names and len(names) != 1:
        raise DataError(
            f"hub dataset '{source}' has no split 'test'; expected org/name:config/split; "
            f"splits: {', '.join(names)}"
        )
    return loaded["test" if "test" in names else names[0]]
