"""Options of the commands, each declared once: what it is called, means and sets.

A command takes them as ``**options: Unpack[LoadingOptions]``. Keys are fields of ``AuditConfig``,
of ``Loading`` and of the configuration's ``DataOptions``, whose docstrings are the help of the last
two; an option that is not given is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import fields
from inspect import Parameter, signature
from typing import Annotated, Any, TypedDict, TypeVar, get_args, get_origin, get_type_hints

import typer

from synapse_audit import config
from synapse_audit.config import (
    PRESETS,
    AuditConfig,
    DataFields,
    EngineName,
    Loading,
    LoadingOptions,
    field_docs,
)

Command = TypeVar("Command", bound=Callable[..., None])

ENGINES: tuple[str, ...] = get_args(EngineName)

MODEL = (
    "Local folder, hub id, or FILE.py:NAME: a Classifier, or a function that returns one, in a "
    "Python file of your own. Only a file named so is run, never code of a folder or hub id."
)
"""Help of the argument that names a model."""


class DataOptions(TypedDict, total=False):
    """What is audited on, besides the columns of :class:`DataFields`."""

    data: Annotated[
        str | None,
        typer.Option(
            help="Labelled CSV, TSV, JSONL or Parquet file, or hub dataset id; for images, sounds "
            "and series also a folder with one sub-folder per class."
        ),
    ]
    fit_data: Annotated[
        str | None, typer.Option(help="Separate file to fit probes and rankings on.")
    ]
    tokens: Annotated[str | None, typer.Option(help="What the text column holds: text or ids.")]
    window: Annotated[
        int | None, typer.Option(help="Longer inputs become windows of so many tokens.")
    ]
    stride: Annotated[
        int | None, typer.Option(help="Tokens from one window to the next; no overlap if left out.")
    ]
    max_tokens: Annotated[
        int | None, typer.Option(help="Longer inputs are cut there, as where the model is served.")
    ]
    text_prefix: Annotated[
        str | None, typer.Option(help="What stands before every text, such as 'query: '.")
    ]
    lower_case: Annotated[
        bool | None, typer.Option("--lower-case", help="Read texts in small letters.")
    ]


class AuditOptions(TypedDict, total=False):
    """What is asked of the audit."""

    threshold: Annotated[
        str | None,
        typer.Option(
            help="Probability above which the second of two classes is predicted, or CLASS=NUMBER "
            "with commas between."
        ),
    ]
    class_names: Annotated[
        str | None,
        typer.Option(
            help="NEGATIVE,POSITIVE: the classes of a model with one output, if the labels do not "
            "say."
        ),
    ]
    benign: Annotated[
        str | None, typer.Option(help="Class that means no alarm; adds the detection view.")
    ]
    guard: Annotated[
        str | None, typer.Option(help="Audit the model behind the guard in this folder.")
    ]
    neurons: Annotated[
        list[str] | None,
        typer.Option(help="Silence these too, LAYER:SITE:INDEX,INDEX-INDEX; repeatable."),
    ]
    membership: Annotated[
        str | None, typer.Option(help="File of rows the model was trained on; audits its memory.")
    ]
    attack: Annotated[
        list[str] | None, typer.Option(help="Attack besides the preset's: text, what one can type.")
    ]
    faults: Annotated[
        int | None, typer.Option(help="Random faults of one bit, anywhere in the model.")
    ]
    preset: Annotated[str | None, typer.Option(help=f"One of: {', '.join(PRESETS)}.")]
    seed: Annotated[int | None, typer.Option(help="Seed of splits, draws and noise.")]
    seeds: Annotated[
        int | None, typer.Option(help="Repeat splits, probes and draws under so many seeds.")
    ]


class SweepOptions(TypedDict, total=False):
    """How the cells are run."""

    batch_size: Annotated[
        int | None, typer.Option(help="Examples per batch; fitted to their length if left out.")
    ]
    max_examples: Annotated[
        int | None, typer.Option(help="Rows kept before splitting. Default: the preset's.")
    ]
    time_budget: Annotated[
        float | None, typer.Option(help="Seconds that interventions and findings may take.")
    ]
    precision: Annotated[
        float | None, typer.Option(help="Half width that two-phase estimates aim at.")
    ]
    exact: Annotated[bool | None, typer.Option("--exact", help="No two-phase estimates.")]
    engine: Annotated[str | None, typer.Option(help=f"One of: {', '.join(ENGINES)}.")]
    workers: Annotated[
        int | None, typer.Option(help="Processes that run interventions. Default: one per thread.")
    ]
    address: Annotated[
        str | None, typer.Option(help="Ray cluster, HOST:PORT; this machine if left out.")
    ]


class RunOptions(DataOptions, DataFields, AuditOptions, LoadingOptions, SweepOptions, total=False):
    """All that ``run`` hands to ``make_config``, in the order that ``--help`` shows."""


PANELS: dict[type, str] = {
    DataOptions: "Data",
    DataFields: "Data",
    AuditOptions: "What is audited",
    LoadingOptions: "How the model is loaded",
    SweepOptions: "How the cells are run",
}
"""Group of options → the heading under which ``--help`` shows them."""

MEANINGS = field_docs(Loading) | field_docs(config.DataOptions)
"""Help of the options that are declared as fields of the configuration."""

NAMES: dict[str, dict[str, Any]] = {
    "output_layer": {"names": ("--head",)},
    "merge_adapter": {
        "names": ("--no-merge",),
        "callback": lambda kept: False if kept else None,
        "help": "Keep an adapter beside the base model's weights.",
    },
}
"""Fields whose options are called something else."""


def _option(name: str, hint: Any) -> tuple[Any, Any]:
    """Type and option of a keyword: as it is annotated, or as its field is documented."""
    if get_origin(hint) is Annotated:
        kind, option = get_args(hint)
        return kind, copy(option)
    special = dict(NAMES.get(name, {}))
    names = special.pop("names", ())
    meaning = MEANINGS[name].replace("``", "")
    kind = bool if hint is bool else str
    return kind | None, typer.Option(*names, **{"help": meaning, **special})


def _shown(name: str, hint: Any, panels: Mapping[str, str]) -> Any:
    """The option under its heading, with the default that its field of the configuration has."""
    kind, shown = _option(name, hint)
    default = _defaults().get(name)
    shown.rich_help_panel = panels[name]
    if default != "" and isinstance(default, str | int | float) and not isinstance(default, bool):
        shown.help = f"{shown.help.rstrip('.')}. Default: {default}."
    return Annotated[kind, shown]


def _defaults() -> dict[str, Any]:
    loading = {field.name: field.default for field in fields(Loading)}
    return loading | {name: field.default for name, field in AuditConfig.model_fields.items()}


def spelled_out(command: Command) -> Command:
    """Lets typer, which reads signatures, see what ``**options: Unpack[...]`` stands for.

    Arguments come first, then those options, then the command's keyword-only ones.
    """
    written = signature(command, eval_str=True)
    *own, rest = written.parameters.values()
    (options,) = get_args(rest.annotation)  # of Unpack
    panels = {name: panel for part, panel in PANELS.items() for name in get_type_hints(part)}
    spelled = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=_shown(name, hint, panels))
        for name, hint in get_type_hints(options, include_extras=True).items()
    ]
    read: Any = command
    read.__signature__ = written.replace(
        parameters=sorted([*spelled, *own], key=lambda parameter: parameter.kind)
    )
    return command


def given(options: Mapping[str, object]) -> dict[str, Any]:
    """Those of the options that were given."""
    return {name: value for name, value in options.items() if value not in (None, [])}
