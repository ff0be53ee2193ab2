"""Which files of a checkpoint hold its weights: safetensors in the folder itself, nothing else.

An index may name any file, and transformers opens what is no safetensors as a pickle; so every name
is looked at before any file is opened.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from synapse_audit.errors import ModelError

INDEX = "*.safetensors.index.json"

LARGEST_INDEX = 2**26
"""Bytes: an index has a line per weight."""


def check_weight_files(folder: Path) -> None:
    """Refuses a folder without safetensors, and an index that names anything else.

    Raises:
        ModelError: the message names the file.
    """
    for index in sorted(folder.glob(INDEX)):
        for name in _shards(index):
            _check_shard(folder, index, name)
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(path.name for path in (*folder.glob("*.bin"), *folder.glob("*.pt")))
    if pickles:
        raise ModelError(
            f"model folder '{folder}' holds a pickle checkpoint ({pickles[0]}), which can run code "
            "when opened; expected *.safetensors: re-save with save_pretrained()"
        )
    raise ModelError(f"model folder '{folder}' holds no weights; expected *.safetensors")


def check_named_weights(source: str, config: Any) -> None:
    """Refuses a configuration that names other weights than those of the usual names.

    Raises:
        ModelError: transformers would open what it names, be it a pickle.
    """
    named = getattr(config, "transformers_weights", None)
    if named is not None and not (isinstance(named, str) and _is_plain(named)):
        raise ModelError(
            f"model '{source}' names its weights in config.json (transformers_weights {named!r}); "
            "expected a *.safetensors file of the folder itself, or none"
        )


def _shards(index: Path) -> list[Any]:
    """The distinct files that an index names, in its order."""
    if index.stat().st_size > LARGEST_INDEX:
        raise ModelError(f"'{index}' is larger than {LARGEST_INDEX:,} bytes; expected an index")
    try:
        found = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        return list(dict.fromkeys(found.values()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"'{index}' cannot be read; expected an index as save_pretrained() writes it, with "
            "'weight_map': the name of each weight and its file"
        ) from error


def _check_shard(folder: Path, index: Path, name: Any) -> None:
    if not isinstance(name, str) or not _is_plain(name):
        raise ModelError(
            f"'{index}' names {name!r} as a file of weights, which would be opened wherever it is "
            "and whatever it holds; expected names of *.safetensors files in the folder itself"
        )
    path = folder / name
    if not path.is_file():
        raise ModelError(f"'{index}' names '{name}', which is not there; expected all its files")
    if not any(path.resolve().is_relative_to(home) for home in _homes(folder)):
        raise ModelError(
            f"'{path}' is a link that leads out of the model folder; expected the file itself"
        )


def _homes(folder: Path) -> tuple[Path, ...]:
    """Where files may lie: the folder, and for a snapshot of the hub's cache that cache's blobs."""
    here = folder.resolve()
    return (here, here.parents[1] / "blobs") if here.parent.name == "snapshots" else (here,)


def _is_plain(name: str) -> bool:
    return name.endswith(".safetensors") and not any(sign in name for sign in "/\\\0")
