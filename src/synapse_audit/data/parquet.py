"""Parquet files as tables, with the names that a data set gives its class ids.

In: a path. Out: a :class:`Table`. The library ``datasets`` writes what its columns are into the
schema under the key "huggingface"; a column of class ids has its names there (``ClassLabel``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from synapse_audit.data.tables import Table
from synapse_audit.errors import DataError, first_line

KEY = b"huggingface"


def read_parquet(path: Path) -> Table:
    """The columns of a file.

    Raises:
        DataError: the file is no Parquet file, or a broken one.
    """
    try:
        frame = pd.read_parquet(path)
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        if isinstance(error, OSError) and error.strerror:
            raise  # the file cannot be opened, whatever it holds
        raise DataError(
            f"data file '{path}' is no Parquet file that can be read: {first_line(error)}; "
            "expected a whole file, as pandas or datasets write it"
        ) from None
    return Table(str(path), frame, _class_names(path))


def _class_names(path: Path) -> dict[str, tuple[str, ...]]:
    """Column of ids → names, by id; empty where the file does not say."""
    import pyarrow.parquet as pq

    try:
        metadata: Mapping[bytes, bytes] = pq.read_schema(path).metadata
        features = json.loads(metadata[KEY])["info"]["features"]
        found = {str(column): _names(feature) for column, feature in features.items()}
    except (pa.ArrowException, KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
    return {column: names for column, names in found.items() if names}


def _names(feature: Any) -> tuple[str, ...]:
    if not isinstance(feature, Mapping) or feature.get("_type") != "ClassLabel":
        return ()
    names = feature.get("names")
    return tuple(map(str, names)) if isinstance(names, list) else ()
