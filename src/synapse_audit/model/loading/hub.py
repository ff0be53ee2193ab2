"""Where a checkpoint is: a local folder, or one commit of a hub id, downloaded as a whole.

In: what the user wrote. Out: a folder. Everything that is read of a checkpoint afterwards (its
configuration, weights, tokenizer, processor) comes from that folder, so from one commit.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from synapse_audit.errors import ModelError, UsageError, first_line

NEEDED = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")
"""Files of a checkpoint that are downloaded. Pickles and code are not."""

ELSEWHERE = ("*/*",)
"""Files in sub-folders: other checkpoints, other formats."""


class Found(NamedTuple):
    """A checkpoint on this machine."""

    folder: Path
    commit: str | None = None
    """What a hub revision was resolved to; None for a local folder."""


def locate(source: str, revision: str | None = None) -> Found:
    """The folder of a checkpoint; a hub id is downloaded, or taken from the cache when offline.

    Raises:
        ModelError: no such folder, and no such hub id or revision.
        UsageError: a revision of a local folder.
    """
    folder = Path(source)
    if folder.is_dir():
        if revision is not None:
            raise UsageError(
                f"revision '{revision}' given with the local folder '{source}'; expected a hub id"
            )
        return Found(folder)
    if folder.exists():
        raise ModelError(f"model '{source}' is a file; expected a folder or a hub id")
    return _download(source, revision)


def _download(source: str, revision: str | None) -> Found:
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            source,
            revision=revision,
            allow_patterns=list(NEEDED),
            ignore_patterns=list(ELSEWHERE),
        )
    except (OSError, ValueError) as error:
        reason = first_line(error)
        at = "" if revision is None else f", revision '{revision}',"
        raise ModelError(
            f"model '{source}'{at} given; expected a folder with config.json or a hub id: {reason}"
        ) from error
    return Found(Path(folder), Path(folder).name)
