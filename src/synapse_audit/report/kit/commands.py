"""Commands that the report offers: the run again with other options, and what reads its folder.

In: the manifest's configuration, the run's folder. Out: one shell line. Options at their defaults
are left out.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from synapse_audit.config import OF_GRID, PRESETS, AuditConfig
from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Result

RENAMED = {"output_layer": "head"}
"""Fields whose option is called otherwise."""
FLAGS = {"merge_adapter": "--no-merge"}
"""Switches whose option is called otherwise."""
BUNDLED = ("synapse_audit", "demo", "model")
"""Where the bundled classifier lies in the package."""
JOINED = ("columns", "slice_columns", "class_names")
"""Fields whose option takes all values at once, with commas between."""
OWN = ("model", "data", "fit_data")
"""What the bundled classifier brings along."""
NO_OPTION = ("grid", "resamples")
"""Fields that only a configuration file sets."""
PLACE = re.compile(r"(?<=guard )RUN\b|(?<=--against )RUN\b")
"""Where the commands in saved sentences mean this run: they name no folder, which may be moved."""


def run_command(result: Result, **changes: Any) -> str:
    """``synapse-audit run …`` of this run, with other values for the fields in ``changes``.

    The folder is named after the changes, because the run's own belongs to what it did.
    """
    config = _flat(saved.dig(result.manifest, "config") or {})
    parts = ["synapse-audit", "run", *_subject(config)]
    for name, default in _defaults(config.get("preset")).items():
        value = changes.get(name, config.get(name))
        usual = value == default and name not in changes
        if name in (*NO_OPTION, *OWN) or value is None or usual:
            continue
        parts += _option(name, value)
    return prose.plain(shlex.join([*parts, *_out(config, changes)]))


def run_path(result: Result) -> str:
    """The run's folder as it was given, as one word of a shell line; else ``RUN``."""
    if result.folder is None:
        return "RUN"
    path = prose.plain(result.folder)
    return shlex.quote(f"./{path}" if path.startswith("-") else path)


def with_path(text: str, result: Result) -> str:
    """A saved sentence whose commands say ``RUN``, with the run's folder in its place."""
    return PLACE.sub(lambda _: run_path(result), text)


def _subject(config: Mapping[str, Any]) -> list[str]:
    """Model and data; nothing for the bundled classifier."""
    model = str(config.get("model") or "MODEL")
    if PurePath(model).parts[-3:] == BUNDLED:
        return []
    data = ["--data", str(config.get("data") or "FILE")]
    fit = ["--fit-data", str(config["fit_data"])] if config.get("fit_data") else []
    return [model, *data, *fit]


def _option(name: str, value: Any) -> list[str]:
    option = f"--{RENAMED.get(name, name).replace('_', '-')}"
    if isinstance(value, bool):  # no option takes true or false: each switches its default
        return [FLAGS.get(name, option)]
    if name in JOINED:
        return [option, ",".join(map(str, value))]
    if isinstance(value, Mapping):
        return [option, ",".join(f"{key}={number}" for key, number in value.items())]
    if isinstance(value, list | tuple):
        return [part for one in value for part in (option, str(one))]
    return [option, str(value)]


def _out(config: Mapping[str, Any], changes: Mapping[str, Any]) -> list[str]:
    """A new folder, where the default one belongs to this run."""
    same = changes.get("preset", config.get("preset")) == config.get("preset")
    if not same or not changes:
        return []
    return ["--out", f"runs/{'-'.join(sorted(changes))}"]


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with those fields of the grid that are options too."""
    grid = config.get("grid") or {}
    return {name: grid[name] for name in OF_GRID if name in grid} | dict(config)


def _defaults(preset: object) -> dict[str, Any]:
    """Every option as the manifest records it, at its default, which some have of the preset."""
    grid = PRESETS.get(str(preset), PRESETS["standard"])
    usual = AuditConfig(model="", data="", grid=grid).flat()
    return usual | {name: getattr(grid, name) for name in OF_GRID}
