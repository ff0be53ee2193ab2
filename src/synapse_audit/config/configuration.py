"""What a run was asked to do: options, presets, TOML.

In: command-line options and, optionally, a TOML file. Out: one frozen :class:`AuditConfig`, which
the manifest records in full. Adding a preset = one entry of ``PRESETS``.
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
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
)

from synapse_audit.config.data import DataOptions
from synapse_audit.config.describing import explained
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
class Grid(BaseModel):
    """Which cells are run. Fractions are shares of the neurons of each layer, in [0, 1]."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    max_examples: int = Field(ge=60)
    """Rows kept before splitting."""
    fractions: tuple[float, ...]
    """For sets over all layers at once."""
    operators: tuple[str, ...]
    """Swept over ``fractions``; mean is the headline, zero always stands beside it."""
    layer_fractions: tuple[float, ...]
    """For each layer alone (mean and zero)."""
    position_fractions: tuple[float, ...] = ()
    """For the same rewrite at every token position (mean)."""
    class_fractions: tuple[float, ...] | None = None
    """For per-class sets over all layers; None = all where read, else the one nearest to .5."""
    class_layer_fractions: tuple[float, ...] = ()
    """For per-class sets in each layer alone (mean)."""
    most_classes: PositiveInt | None = 20
    """Classes ranked for and aimed at, at most: those with most evaluated examples; None = all."""
    without: tuple[str, ...] = ()
    """Experiments that are not run: names of ``TRIMMED_FIRST``."""
    draws: int = Field(ge=2)
    """Random controls per curve."""
    other_draws: PositiveInt | None = None
    """The same where no test rests on them; None = as many as ``draws``."""
    pooled_controls: bool = False
    """Whether the random sets of comparators (all but mean over all layers) are to be precise as a
    mean over draws, instead of each."""
    comparator_width: PositiveFloat = 1.0
    """Half width that two-phase estimates of comparators may add, in units of ``precision``."""
    exact_only_examples: PositiveInt | None = None
    """Examples, at a precision of .01, for cells that no cheap route stands in for: every token
    position, weights of blocks, attacks; None = all."""
    iterated_examples: PositiveInt | None = None
    """The same for attacks of many steps (pgd)."""
    first_phase: Literal["float32", "bfloat16"] = "float32"
    """Number format in which two-phase estimates begin, where the model is in float32 and the
    processor multiplies bfloat16 natively; the second phase, always in the model's own format,
    corrects it."""
    tests: bool = True
    """Report significance tests (needs enough draws to mean anything)."""
    rankings: tuple[str, ...] = Field(default=("probe", "probeless"), min_length=1)
    """Swept; the first one is the headline ranking."""
    compared: tuple[str, ...] = ()
    """Rankings whose top sets alone are run beside them (mean and zero), to be compared."""
    budgets: tuple[NonNegativeFloat, ...] = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0)
    """Weight space: L2 norm of the edit relative to the head's own weights."""
    columns: tuple[float, ...] = (0.05, 0.25, 1.0)
    """Weight space: share of the head's input columns that may be edited."""
    constants: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 12.0)
    """Logit space: constants added to the target's logit."""
    temperatures: tuple[PositiveFloat, ...] = ()
    """Logit space: what all logits are divided by."""
    logit_noise: tuple[NonNegativeFloat, ...] = ()
    """Logit space: standard deviation of Gaussian noise on every logit."""
    sites: tuple[str, ...] = ()
    """Sites besides the block output that are swept too, at ``site_fractions``; at attention_head
    the units are whole heads, and each is silenced alone as well."""
    site_fractions: tuple[float, ...] = (0.1, 0.3, 0.5)
    """For those sites."""
    directions: tuple[str, ...] = ()
    """Directions removed from each layer, beside random ones: mean_difference, probe, leace."""
    token_means: bool = False
    """Fit probes and rankings on the mean over tokens as well, where the head reads one token."""
    other_operators: tuple[str, ...] = ()
    """Operators run at ``other_fractions`` only: noise, scale, negate, resample, clamp, gaussian,
    and the aimed ones (class_mean, translate, patch), which are run toward every class."""
    other_fractions: tuple[float, ...] = (0.1, 0.3, 0.5)
    """For those operators."""
    edits: tuple[str, ...] = ()
    """Weight space: kinds of edits besides push and bias; names of ``WEIGHT_CELLS``."""
    bit_formats: tuple[str, ...] = ()
    """Weight space: number formats whose bits are flipped (fp32, bf16, fp16, int8)."""
    bit_counts: tuple[PositiveInt, ...] = (1, 2, 5, 10, 20)
    """Weight space: how many bits are flipped."""
    faults: NonNegativeInt = 0
    """Weight space: random faults of one bit anywhere in the model, in total; 0 = none."""
    attacks: tuple[str, ...] = ()
    """Input space: names of ``ATTACKS`` (fgsm, pgd, noise, deletion)."""
    epsilons: tuple[PositiveFloat, ...] = (0.05, 0.15, 0.3, 0.6)
    """Input space: L-infinity size of fgsm and pgd, relative to the RMS of a text's embeddings."""
    embedding_noise: tuple[PositiveFloat, ...] = (0.15, 0.3, 0.6, 1.5)
    """Input space: standard deviation of Gaussian noise in the same unit."""
    deletions: tuple[PositiveInt, ...] = (1, 2, 4)
    """Input space: tokens deleted."""
    typed_examples: PositiveInt = 40
    """Input space: examples of every class that typed edits are tried on (``attack``)."""
    membership_rows: PositiveInt = 300
    """Rows of each side that the membership audit is made on (``membership``)."""
    paper: bool = False
    """Run the settings that the SYNAPSE paper names, besides the rest."""

    @field_validator(
        "fractions",
        "layer_fractions",
        "position_fractions",
        "class_fractions",
        "class_layer_fractions",
        "columns",
        "site_fractions",
        "other_fractions",
    )
    @classmethod
    def _shares(cls, values: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if values is None:
            return None
        for value in values:
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"fraction {value} given; expected numbers from 0 to 1")
        return tuple(sorted(set(values)))


PRESETS: dict[str, Grid] = {
    "quick": Grid(
        max_examples=600,
        fractions=(0.05, 0.1, 0.25, 0.5, 0.8),
        operators=("mean", "zero"),
        layer_fractions=(0.1, 0.5),
        draws=5,
        pooled_controls=True,
        comparator_width=2.0,
        first_phase="bfloat16",
        tests=False,
        most_classes=10,
        without=("norm-matched controls", "zero of sets kept", "exclusive sets"),
        columns=(0.25, 1.0),
        edits=("universal",),
        temperatures=(0.5, 2.0),
        logit_noise=(1.0, 4.0),
    ),
    "standard": Grid(
        max_examples=2500,
        fractions=(0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 0.95),
        operators=("mean", "zero"),
        layer_fractions=(0.05, 0.1, 0.2, 0.5, 0.8),
        position_fractions=(0.1, 0.3, 0.5),
        class_layer_fractions=(0.1, 0.5),
        draws=20,
        other_draws=8,
        pooled_controls=True,
        comparator_width=2.0,
        without=("exclusive sets",),
        exact_only_examples=250,
        iterated_examples=100,
        first_phase="bfloat16",
        edits=(
            *("universal", "balanced", "rival", "linf", "sparse"),
            *("row_swap", "row_scale", "gaussian_fault", "gain"),
        ),
        bit_formats=("fp32", "fp16", "int8"),
        temperatures=(0.25, 0.5, 0.7, 1.5, 2.0, 4.0),
        logit_noise=(0.5, 1.0, 2.0, 4.0, 8.0),
        attacks=("fgsm", "pgd", "noise", "deletion"),
        compared=("iou", "mutual_information", "activation_gradient", "conductance"),
        sites=(
            *("attention_head", "attention_output", "mlp_output", "mlp_activation", "head_input"),
        ),
        directions=("mean_difference", "probe", "leace"),
        token_means=True,
        other_operators=(
            *("noise", "scale", "negate", "resample", "clamp", "class_mean", "translate", "patch"),
        ),
    ),
    "paper": Grid(
        max_examples=2500,
        fractions=(
            *(0.025, 0.05, 0.075, 0.1, 0.125, 0.15, 0.175, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45),
            *(0.5, 0.65, 0.75, 0.8, 0.95),
        ),
        operators=("mean", "zero"),
        layer_fractions=(0.1, 0.5),
        draws=20,
        other_draws=5,
        rankings=("paper", "probeless"),
        columns=(0.2, 0.25, 1.0),
        edits=("universal",),
        constants=(8.0, 9.0, 10.0, 11.0, 12.0),
        attacks=("fgsm", "noise"),
        epsilons=(),
        embedding_noise=(),
        paper=True,
    ),
}


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
    """local: this process; ray: several processes or a cluster."""
    workers: int | None = Field(default=None, ge=1)
    """Processes of the ray engine; left out: one per CPU that it offers."""
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
        if names and (len(names) != 2 or "" in names or names[0] == names[1]):
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
        flat = [field.name for value in FLAT.values() for field in fields(value)]
        known = [*AuditConfig.model_fields, *flat, *Grid.model_fields]
        return f"unknown configuration field '{name}'; {choices(name.rpartition('.')[2], known)}"
    return f"{name}: {first['input']!r} given; {first['msg'].removeprefix('Value error, ')}"
