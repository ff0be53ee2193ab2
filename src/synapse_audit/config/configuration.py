"""What a run was asked to do: options, presets, TOML.

In: command-line options and, optionally, a TOML file. Out: one frozen :class:`AuditConfig`, which
the manifest records in full.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from synapse_audit.config.data import DataOptions
from synapse_audit.config.describing import explained
from synapse_audit.config.grid import PRESETS, Grid
from synapse_audit.config.loading import Loading
from synapse_audit.config.thresholds import thresholds
from synapse_audit.errors import UsageError, choices
from synapse_audit.neurons.addresses import parse_addresses

EngineName = Literal["local", "ray"]
"""Who runs the units of a sweep; see :mod:`synapse_audit.sweep.executors`."""

FLAT = {"loading": Loading, "reading": DataOptions}
"""Nested values whose fields are given, in TOML, options and the manifest, without their name."""

OF_GRID = ("max_examples", "faults")
"""Fields of the grid that are options of their own too."""


@explained
class AuditConfig(BaseModel):
    """Everything a run depends on besides the contents of the model and of the data."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    model: str
    """Local folder or hub id, or ``FILE.py:NAME`` for a classifier that one's own file makes."""
    data: str
    """CSV, TSV, JSONL or Parquet file, hub dataset id, or a folder with one sub-folder per class
    for inputs that are no texts."""
    fit_data: str | None = None
    """Separate file to fit probes and rankings on."""
    reading: DataOptions = DataOptions()
    """Which columns of the data hold what."""
    loading: Loading = Loading()
    """How the model is loaded."""
    tokens: Literal["text", "ids"] = "text"
    """What the text column holds: texts, or token ids, for which no tokenizer is needed."""
    window: int | None = Field(default=None, ge=1)
    """Longer inputs become windows of so many tokens, special tokens included; left out: they
    are cut at what the model can read."""
    stride: int | None = Field(default=None, ge=1)
    """Tokens from the start of one window to the next; left out: windows do not overlap."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Longer inputs are cut at so many tokens, special tokens included, as where the model is
    served; left out: where tokenizer.json says, or at what the model can read."""
    text_prefix: str = ""
    """What stands before every text (the first of a pair), such as ``query: ``."""
    lower_case: bool = False
    """Whether texts are read in small letters."""
    preset: Literal["quick", "standard", "paper"] = "standard"
    """Where the grid starts from."""
    grid: Grid
    """Which cells are run: the preset's, with the fields that were given."""
    seed: int = Field(default=0, ge=0)
    """Of splits, draws and noise."""
    batch_size: int | None = Field(default=None, ge=1)
    """Examples per batch; left out: chosen from the memory of one batch."""
    engine: EngineName = "local"
    """local: the cores of this machine; ray: a cluster, or processes that Ray starts."""
    workers: int | None = Field(default=None, ge=1)
    """Processes that run interventions; left out: one per thread of torch (local), or per CPU that
    Ray offers."""
    address: str | None = None
    """Ray cluster to join; left out: this machine."""
    threshold: float | dict[str, float] | None = None
    """Probability above which the second of two classes is predicted; or thresholds by name, as a
    table or CLASS=NUMBER with commas between; left out: the most probable class."""
    class_names: tuple[str, ...] = ()
    """The two classes of a model with one output: below its threshold, above it. Left out: as the
    model and the labels say."""
    benign: str | None = None
    """The class that means no alarm (security tasks): adds the detection view."""
    guard: str | None = None
    """Folder of a guard of this model: what is audited is the model behind it."""
    neurons: tuple[str, ...] = ()
    """Addresses of neurons to silence, besides the rest: ``4:5,77``, ``11:mlp_activation:0-15``."""
    membership: str | None = None
    """A file of rows that the model was trained on: adds the membership audit."""
    attack: tuple[str, ...] = ()
    """Attacks besides the preset's: text, what a person can type."""
    seeds: int = Field(default=1, ge=1)
    """How many times splits, probes and draws are repeated, each under its own seed."""
    resamples: int = Field(default=1000, ge=100)
    """Bootstrap resamples behind every interval."""
    precision: float = Field(default=0.01, gt=0, lt=0.5)
    """Half width of accuracy that two-phase estimates aim at; samples shrink with its square."""
    exact: bool = False
    """No estimates: every cell runs on every example."""
    time_budget: float | None = Field(default=None, gt=0)
    """Seconds the sweep may take; left out: no limit."""

    @field_validator("threshold", mode="before")
    @classmethod
    def _named_thresholds(cls, given: Any) -> Any:
        return thresholds(given) if isinstance(given, str) else given

    @field_validator("class_names", mode="before")
    @classmethod
    def _two_names(cls, given: Any) -> Any:
        names = [name.strip() for name in given.split(",")] if isinstance(given, str) else given
        if names in ((), []):
            return ()
        two = isinstance(names, list | tuple) and len(names) == 2
        if not two or "" in names or names[0] == names[1]:
            raise ValueError("expected two different names with a comma between")
        return names

    @field_validator("neurons")
    @classmethod
    def _addresses(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        parse_addresses(texts)  # its own one-line refusal
        return texts

    def flat(self) -> dict[str, Any]:
        """As plain values under the names of options; what the manifest records."""
        given = self.model_dump(mode="json")
        fields = {key: value for name in FLAT for key, value in given.pop(name).items()}
        return given | fields


def make_config(options: dict[str, Any], toml: Path | None = None) -> AuditConfig:
    """Merges preset, TOML file and options (later wins) into one configuration.

    Args:
        options: fields of :class:`AuditConfig`, of :class:`Loading` and of :class:`DataOptions`;
            those that are None count as not given.
            ``grid`` may name only the fields that differ from the preset; ``max_examples`` and
            ``faults`` override the grid's.
        toml: a file with the same fields and an optional ``[grid]`` table.

    Raises:
        UsageError: an unknown field, preset or value; the message names it and the choices.
    """
    given = read_toml(toml) if toml is not None else {}
    tables = [given.pop("grid", {}), options.get("grid") or {}]
    for table in tables:
        if not isinstance(table, dict):
            raise UsageError(f"grid: {table!r} given; expected a table with fields of the grid")
    grid = {name: value for table in tables for name, value in table.items()}
    given |= {n: value for n, value in options.items() if value is not None and n != "grid"}
    if given.get("dtype") == "float32":  # who names it gets it throughout
        grid.setdefault("first_phase", "float32")
    grid |= {name: given.pop(name) for name in OF_GRID if name in given}
    preset = given.setdefault("preset", "standard")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise UsageError(f"preset '{preset}' given; {choices(str(preset), PRESETS)}")
    try:
        merged = Grid.model_validate(PRESETS[preset].model_dump() | grid)
        return AuditConfig.model_validate(_nested(given) | {"grid": merged})
    except ValidationError as error:
        raise UsageError(_one_line(error)) from error


def _nested(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same with fields of nested values under the value's name."""
    home = {field.name: name for name, value in FLAT.items() for field in fields(value)}
    nested: dict[str, Any] = {n: value for n, value in given.items() if n not in home}
    for key in home.keys() & given.keys():
        whole = nested.get(home[key], {})
        if isinstance(whole, Loading | DataOptions):
            whole = asdict(whole)
        if isinstance(whole, Mapping):  # else its own refusal
            nested[home[key]] = {**whole, key: given[key]}
    return nested


def read_toml(path: Path) -> dict[str, Any]:
    """What a configuration file says.

    Raises:
        UsageError: it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"configuration file '{path}' given; no such file") from None
    except OSError as error:
        raise UsageError(f"configuration file '{path}' cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"configuration file '{path}' is not TOML: {error}") from error


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    name = ".".join(path[1:] if len(path) > 1 and path[0] in FLAT else path)
    if first["type"] == "missing":
        return f"'{name}' is missing; expected it as an option or in the configuration file"
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        if path[-1] in Grid.model_fields:
            where = f"in '{path[0]}'" if len(path) > 1 else "outside of it"
            return f"field '{path[-1]}' of the grid given {where}; expected it under [grid]"
        flat = [field.name for value in FLAT.values() for field in fields(value)]
        known = [*AuditConfig.model_fields, *flat, *Grid.model_fields]
        return f"unknown configuration field '{name}'; {choices(name.rpartition('.')[2], known)}"
    return f"{name}: {first['input']!r} given; {first['msg'].removeprefix('Value error, ')}"
