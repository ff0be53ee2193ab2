"""Options of the commands, each declared once: what it is called, means and sets.

A command takes them as ``**options: Unpack[LoadingOptions]``. Keys are fields of ``AuditConfig``
and, for what says how a model is loaded, of ``Loading``; an option that is not given is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import fields
from inspect import Parameter, signature
from typing import Annotated, Any, TypedDict, TypeVar, get_args, get_type_hints

import typer

from synapse_audit.config import PRESETS, AuditConfig, EngineName, Loading

Command = TypeVar("Command", bound=Callable[..., None])

ENGINES: tuple[str, ...] = get_args(EngineName)

MODEL = (
    "Local folder, hub id, or FILE.py:NAME: a Classifier, or a function that returns one, in a "
    "Python file of your own. Only a file named so is run, never code of a folder or hub id."
)
"""Help of the argument that names a model."""

DEVICE = "cpu, cuda, cuda:1, mps."
"""Help of the option whose default differs between the commands."""


class LoadingOptions(TypedDict, total=False):
    """How a model is loaded, the same on every command that loads one."""

    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub model.")]
    attn_implementation: Annotated[
        str | None, typer.Option(help="eager, sdpa, flash_attention_2. Default: the model's own.")
    ]
    device_map: Annotated[
        str | None, typer.Option(help="auto, balanced, sequential: accelerate chooses devices.")
    ]
    quantization: Annotated[
        str | None, typer.Option(help="8bit or 4bit, by bitsandbytes, inside the blocks.")
    ]
    base_model: Annotated[
        str | None, typer.Option(help="Base model of an adapter, if not where its config says.")
    ]
    merge_adapter: Annotated[
        bool | None,
        typer.Option(
            "--no-merge",
            callback=lambda kept: False if kept else None,
            help="Keep an adapter beside the base model's weights.",
        ),
    ]
    blocks: Annotated[
        str | None,
        typer.Option(
            help="Path of the list of blocks in the model (bert.encoder.layer), or all paths."
        ),
    ]
    position: Annotated[
        str | None, typer.Option(help="What the head reads: first, last, eos, mean, patches, pair.")
    ]
    output_layer: Annotated[
        str | None,
        typer.Option("--head", help="Path of the head's last linear layer in the model."),
    ]


class DataOptions(TypedDict, total=False):
    """What is audited on."""

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
    text_column: Annotated[str | None, typer.Option(help="Guessed if left out.")]
    text_pair_column: Annotated[str | None, typer.Option(help="Second text of a pair.")]
    input_column: Annotated[
        str | None, typer.Option(help="Images, sounds, series or texts. Guessed if left out.")
    ]
    label_column: Annotated[str | None, typer.Option(help="Guessed if left out.")]
    group_column: Annotated[
        str | None, typer.Option(help="Rows of one group never fall into different splits.")
    ]
    columns: Annotated[
        str | None,
        typer.Option(
            help="Tables: columns of numbers, a,b,c in the model's order, or '*' for all but label "
            "and group."
        ),
    ]
    tokens: Annotated[str | None, typer.Option(help="What the text column holds: text or ids.")]
    window: Annotated[
        int | None, typer.Option(help="Longer inputs become windows of so many tokens.")
    ]
    stride: Annotated[
        int | None, typer.Option(help="Tokens from one window to the next. Default: no overlap.")
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

    benign: Annotated[
        str | None, typer.Option(help="Class that means no alarm; adds the detection view.")
    ]
    neurons: Annotated[
        list[str] | None,
        typer.Option(help="Silence these too, LAYER:SITE:INDEX,INDEX-INDEX; repeatable."),
    ]
    preset: Annotated[str | None, typer.Option(help=f"One of: {', '.join(PRESETS)}.")]
    seed: Annotated[int | None, typer.Option(help="Seed of splits, draws and noise.")]
    seeds: Annotated[
        int | None, typer.Option(help="Repeat splits, probes and draws under so many seeds.")
    ]
    device: Annotated[str | None, typer.Option(help=DEVICE)]
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16, float16.")]


class SweepOptions(TypedDict, total=False):
    """How the cells are run."""

    batch_size: Annotated[
        int | None, typer.Option(help="Examples per batch; fitted to their length if left out.")
    ]
    max_examples: Annotated[
        int | None, typer.Option(help="Rows kept before splitting. Default: the preset's.")
    ]
    time_budget: Annotated[float | None, typer.Option(help="Seconds the interventions may take.")]
    precision: Annotated[
        float | None, typer.Option(help="Half width that two-phase estimates aim at.")
    ]
    exact: Annotated[bool | None, typer.Option("--exact", help="No two-phase estimates.")]
    engine: Annotated[str | None, typer.Option(help=f"One of: {', '.join(ENGINES)}.")]
    workers: Annotated[
        int | None, typer.Option(help="Processes of the ray engine; one per CPU if left out.")
    ]
    address: Annotated[
        str | None, typer.Option(help="Ray cluster, HOST:PORT; this machine if left out.")
    ]


class RunOptions(DataOptions, AuditOptions, LoadingOptions, SweepOptions, total=False):
    """All that ``run`` hands to ``make_config``, in the order that ``--help`` shows."""


PANELS: dict[type, str] = {
    DataOptions: "Data",
    AuditOptions: "What is audited",
    LoadingOptions: "How the model is loaded",
    SweepOptions: "How the cells are run",
}
"""Group of options → the heading under which ``--help`` shows them."""


def _shown(name: str, hint: Any, panels: Mapping[str, str]) -> Any:
    """The option under its heading, with the default that its field of the configuration has."""
    kind, option = get_args(hint)
    default = _defaults().get(name)
    shown = copy(option)
    shown.rich_help_panel = panels[name]
    if isinstance(default, str | int | float) and not isinstance(default, bool):
        shown.help = f"{option.help.rstrip()} Default: {default}."
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
