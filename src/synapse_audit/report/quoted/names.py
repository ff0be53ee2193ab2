"""What the audited model is called in titles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Result

VAGUE = {"model", "final", "best", "output"}
"""Folder names that need their parent's beside them."""


def model_name(result: Result) -> str:
    """A hub id as it is; of a path, the last folder, with its parent where that says more."""
    found = saved.dig(result.summary, "model")
    name = saved.dig(found, "name") if isinstance(found, Mapping) else found
    given = str(name or saved.dig(result.manifest, "config", "model") or "unnamed model")
    parts = PurePath(given.replace("\\", "/")).parts
    if len(parts) < 2 or (len(parts) == 2 and not parts[0].startswith((".", "/"))):
        return prose.plain(given)
    says_little = parts[-1] in VAGUE or parts[-1].startswith("checkpoint")
    return prose.plain("/".join(parts[-2:]) if says_little else parts[-1])


def data_name(result: Result) -> str:
    """The file or data set, without its folders; empty where the manifest does not say."""
    source = str(saved.dig(result.manifest, "config", "data") or "")
    path = PurePath(source.replace("\\", "/"))
    is_path = path.is_absolute() or source.startswith(".") or bool(path.suffix)
    return prose.plain(path.name if is_path else source)
