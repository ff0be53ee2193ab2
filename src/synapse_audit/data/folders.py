"""A folder with one sub-folder per class as a table of two columns.

In: ``cats/0001.png``, ``dogs/0001.png`` and so on below one folder. Out: a :class:`Table` of
``file`` (path below the folder) and ``label`` (name of the sub-folder), sorted by both.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from synapse_audit.data.media import Medium
from synapse_audit.data.tables import Table
from synapse_audit.errors import DataError


def read_folder(folder: Path, medium: Medium) -> Table:
    """Every file of the medium's suffixes, however deep below the sub-folder that names its class.

    Hidden files and folders do not count. Files of other suffixes do not either; how many there
    were is said in :attr:`Table.note`.

    Raises:
        DataError: no sub-folder holds such a file.
    """
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and _is_shown(path))
    found = [(path, top.name) for top in classes for path in _files(top)]
    rows = [
        (path.relative_to(folder).as_posix(), label)
        for path, label in found
        if path.suffix.lower() in medium.suffixes
    ]
    if not rows:
        raise DataError(
            f"folder '{folder}' holds no {medium.one} in a sub-folder; expected one sub-folder per "
            f"class with {', '.join(medium.suffixes)} files, or a table that names its files"
        )
    others = len(found) - len(rows)
    return Table(
        source=str(folder),
        frame=pd.DataFrame(rows, columns=["file", "label"], dtype=object),
        folder=folder,
        note=f"files of other kinds left out: {others}" if others else "",
    )


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if not _is_shown(path):
            continue
        if path.is_dir() and not path.is_symlink():  # a link upward would never end
            yield from _files(path)
        elif path.is_file():
            yield path


def _is_shown(path: Path) -> bool:
    return not path.name.startswith(".")
