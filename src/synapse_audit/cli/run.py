"""``synapse-audit run``: audit a classifier."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from synapse_audit.cli.loading import (
    MODEL,
    Attention,
    BaseModel,
    Blocks,
    DeviceMap,
    Head,
    HeadReads,
    NoMerge,
    Quantization,
    Revision,
)
from synapse_audit.config import PRESETS, AuditConfig, EngineName, make_config
from synapse_audit.errors import UsageError, choices

if TYPE_CHECKING:
    from synapse_audit.stages import Prepared
    from synapse_audit.sweep import Cost

ENGINES: tuple[str, ...] = get_args(EngineName)


def run(
    model: Annotated[
        str | None,
        typer.Argument(help=f"{MODEL} The bundled classifier if left out."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Labelled CSV, TSV, JSONL or Parquet file, or hub dataset id; for images, sounds "
            "and series also a folder with one sub-folder per class."
        ),
    ] = None,
    fit_data: Annotated[
        str | None, typer.Option(help="Separate file to fit probes and rankings on.")
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Guessed if left out.")] = None,
    text_pair_column: Annotated[str | None, typer.Option(help="Second text of a pair.")] = None,
    input_column: Annotated[
        str | None, typer.Option(help="Images, sounds, series or texts. Guessed if left out.")
    ] = None,
    label_column: Annotated[str | None, typer.Option(help="Guessed if left out.")] = None,
    group_column: Annotated[
        str | None, typer.Option(help="Rows of one group never fall into different splits.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            help="Tables: columns of numbers, a,b,c in the model's order, or '*' for all but label "
            "and group."
        ),
    ] = None,
    tokens: Annotated[
        str | None, typer.Option(help="What the text column holds: text or ids. Default: text.")
    ] = None,
    window: Annotated[
        int | None, typer.Option(help="Longer inputs become windows of so many tokens.")
    ] = None,
    stride: Annotated[
        int | None, typer.Option(help="Tokens from one window to the next. Default: no overlap.")
    ] = None,
    benign: Annotated[
        str | None, typer.Option(help="Class that means no alarm; adds the detection view.")
    ] = None,
    neurons: Annotated[
        list[str] | None,
        typer.Option(help="Silence these too, LAYER:SITE:INDEX,INDEX-INDEX; repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder. Default: runs/MODEL-PRESET.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help=f"One of: {', '.join(PRESETS)}. Default: standard.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file; options win over it.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of splits, draws and noise.")] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Repeat splits, probes and draws under so many seeds.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps.")] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16, float16. Default: float32.")
    ] = None,
    revision: Revision = None,
    attn_implementation: Attention = None,
    device_map: DeviceMap = None,
    quantization: Quantization = None,
    base_model: BaseModel = None,
    no_merge: NoMerge = False,
    blocks: Blocks = None,
    position: HeadReads = None,
    head: Head = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Examples per batch; fitted to their length if left out.")
    ] = None,
    max_examples: Annotated[int | None, typer.Option(help="Rows kept before splitting.")] = None,
    time_budget: Annotated[
        float | None, typer.Option(help="Seconds the interventions may take.")
    ] = None,
    precision: Annotated[
        float | None, typer.Option(help="Half width that two-phase estimates aim at.")
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="No two-phase estimates.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Stop after the plan.")] = False,
    engine: Annotated[
        str | None, typer.Option(help=f"One of: {', '.join(ENGINES)}. Default: local.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes of the ray engine; one per CPU if left out.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster, HOST:PORT; this machine if left out.")
    ] = None,
) -> None:
    """Audit a classifier: tables and report.html in the run folder."""
    if engine is not None and engine not in ENGINES:
        raise UsageError(f"engine '{engine}' given; {choices(engine, ENGINES)}")
    options = {
        "model": model,
        "data": data,
        "fit_data": fit_data,
        "text_column": text_column,
        "text_pair_column": text_pair_column,
        "input_column": input_column,
        "label_column": label_column,
        "group_column": group_column,
        "columns": columns,
        "tokens": tokens,
        "window": window,
        "stride": stride,
        "benign": benign,
        "neurons": tuple(neurons) if neurons else None,
        "preset": preset,
        "seed": seed,
        "seeds": seeds,
        "device": device,
        "dtype": dtype,
        "revision": revision,
        "attn_implementation": attn_implementation,
        "device_map": device_map,
        "quantization": quantization,
        "base_model": base_model,
        "merge_adapter": False if no_merge else None,
        "blocks": blocks,
        "position": position,
        "output_layer": head,
        "batch_size": batch_size,
        "max_examples": max_examples,
        "time_budget": time_budget,
        "precision": precision,
        "exact": exact or None,
        "engine": engine,
        "workers": workers,
        "address": address,
    }
    settings = make_config(_with_bundled(options, config), config)
    _audit(settings, out or _default_out(settings), dry_run=dry_run)


def _with_bundled(options: dict[str, Any], config: Path | None) -> dict[str, Any]:
    """Without model, data and TOML file: the bundled classifier on its own data."""
    from synapse_audit import demo

    if options["model"] is None and options["data"] is None and config is None:
        bundled = {"model": demo.bundled_model(), "data": demo.bundled_data()}
        return (
            options
            | {n: str(p) for n, p in bundled.items()}
            | {"fit_data": str(demo.bundled_fit_data())}
        )
    if config is None and (options["model"] is None or options["data"] is None):
        missing = "--data FILE" if options["data"] is None else "MODEL"
        raise UsageError(
            f"{missing} is missing; expected MODEL and --data together, or neither for the bundled "
            "classifier"
        )
    return options


def _default_out(config: AuditConfig) -> Path:
    name = "demo" if "synapse_audit" in config.model else Path(config.model).name
    name = name.replace(".py:", "-")  # of FILE.py:NAME; some systems allow no colon in a name
    return Path("runs") / f"{name}-{config.preset}"


def _audit(config: AuditConfig, out: Path, *, dry_run: bool) -> None:
    from synapse_audit.audit import Declined
    from synapse_audit.cli.display import Terminal
    from synapse_audit.report import render
    from synapse_audit.seeds import audit_seeds
    from synapse_audit.store import RunFolder

    terminal = Terminal()

    def approve(prepared: Prepared) -> bool:
        for line in plan_lines(prepared):
            terminal.note(line)
        return not dry_run

    try:
        result = audit_seeds(config, out, progress=terminal, approve=approve)
    except Declined:
        return
    with terminal.stage("report", 1) as advance:
        RunFolder(out).write_text("report.html", render(result))
        advance(1)
    typer.echo(f"{out / 'report.html'}")


def plan_lines(prepared: Prepared) -> list[str]:
    """The plan in words: cells, routes, work saved, expected time."""
    plan, cost = prepared.plan, prepared.cost
    routes = ", ".join(f"{n:,} {route}" for route, n in sorted(cost.cells.items()))
    return [
        f"plan: {len(plan.cells):,} cells, {len(plan.actions):,} distinct ({routes})",
        f"      {cost.saved:.0%} of the blocks a full pass per cell would run are not run; "
        f"expected time {expected(cost)}",
        *(f"      left out for the time budget: {name}" for name in prepared.left_out),
    ]


def expected(cost: Cost) -> str:
    """Seconds, as a range where cells may be estimated instead of run exactly."""
    if not cost.stream:
        return f"{cost.most:,.0f} s"
    return f"{cost.least:,.0f} s (estimates suffice) to {cost.most:,.0f} s (all exact)"
