"""``synapse-audit run``: audit a classifier."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Unpack

import typer

from synapse_audit.cli.against import check_same_examples, options_against
from synapse_audit.cli.options import ENGINES, MODEL, RunOptions, given, spelled_out
from synapse_audit.cli.printing import show
from synapse_audit.config import AuditConfig, make_config, read_toml
from synapse_audit.errors import UsageError, choices

if TYPE_CHECKING:
    from synapse_audit.artifacts import Plan
    from synapse_audit.pipeline.forecast import Forecast
    from synapse_audit.pipeline.stages import Prepared
    from synapse_audit.sweep import Cost


@spelled_out
def run(
    model: Annotated[
        str | None,
        typer.Argument(help=f"{MODEL} The bundled classifier if left out."),
    ] = None,
    *,
    out: Annotated[
        Path | None, typer.Option(help="Run folder. Default: runs/MODEL-PRESET.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file; options win over it.")] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would be run, and what it takes; write nothing."),
    ] = False,
    against: Annotated[
        Path | None, typer.Option(help="Run folder whose rows, splits and grid this model gets.")
    ] = None,
    **options: Unpack[RunOptions],
) -> None:
    """Audit a classifier: tables and report.html in the run folder."""
    engine = options.get("engine")
    if engine is not None and engine not in ENGINES:
        raise UsageError(f"engine '{engine}' given; {choices(engine, ENGINES)}")
    asked = given({"model": model, **options})
    if against is not None and config is not None:
        raise UsageError("--against and --config given; expected one of them")
    if against is not None:
        asked = options_against(asked, against)
    settings = make_config(_with_bundled(asked, read_toml(config) if config else {}), config)
    if dry_run:
        _forecast(settings, against)
    else:
        _audit(settings, out or _default_out(settings), against=against)


def _with_bundled(options: dict[str, Any], file: dict[str, Any]) -> dict[str, Any]:
    """Where neither the options nor the file name model and data: the bundled ones."""
    from synapse_audit import demo

    missing = [name for name in ("model", "data") if name not in options | file]
    if len(missing) == 1:
        name = {"model": "MODEL", "data": "--data FILE"}[missing[0]]
        raise UsageError(
            f"{name} is missing; expected MODEL and --data together (as options or in the file), "
            "or neither for the bundled classifier"
        )
    if missing and "fit_data" in options | file:
        raise UsageError(
            "--fit-data given without MODEL and --data; expected all three, or none for the "
            "bundled classifier, which has rows of its own"
        )
    bundled = {
        "model": str(demo.bundled_model()),
        "data": str(demo.bundled_data()),
        "fit_data": str(demo.bundled_fit_data()),
    }
    return options | bundled if missing else options


def _default_out(config: AuditConfig) -> Path:
    from synapse_audit import demo

    bundled = config.model == str(demo.bundled_model())
    name = "demo" if bundled else Path(config.model).name
    name = name.replace(".py:", "-")  # of FILE.py:NAME; some systems allow no colon in a name
    return Path("runs") / f"{name}-{config.preset}"


def _audit(config: AuditConfig, out: Path, *, against: Path | None) -> None:
    from synapse_audit.cli.closing import closing_lines
    from synapse_audit.cli.display import Terminal
    from synapse_audit.pipeline.seeds import audit_seeds
    from synapse_audit.pipeline.stages import check_names
    from synapse_audit.report import FORMATS, contents
    from synapse_audit.store import RunFolder, write_text

    terminal, start = Terminal(config.seeds), time.perf_counter()

    def approve(prepared: Prepared) -> bool:
        for line in plan_lines(prepared, config.precision):
            terminal.note(line)
        if against is not None:
            check_same_examples(out, against)
        return True

    check_names(config)  # before the folder is made
    with RunFolder.claim(out).locked():
        result = audit_seeds(config, out, progress=terminal, approve=approve)
        with terminal.stage("report", 1) as advance:
            found = contents(result)
            write_text(out / "report.html", FORMATS["html"](found))
            advance(1)
    for line in closing_lines(found, seconds=time.perf_counter() - start):
        terminal.note(line)
    show(f"{out / 'report.html'}")


def _forecast(config: AuditConfig, against: Path | None) -> None:
    from synapse_audit.cli.display import Terminal
    from synapse_audit.pipeline.forecast import forecast

    terminal = Terminal(config.seeds)

    def check(folder: Path) -> None:
        if against is not None:
            check_same_examples(folder, against)

    for line in forecast_lines(forecast(config, progress=terminal, check=check), config.seeds):
        terminal.note(line)


def forecast_lines(found: Forecast, seeds: int) -> list[str]:
    """What would be run, and what that takes, for one seed of several."""
    from synapse_audit.report.kit.prose import listing

    each = f" for each of {seeds} seeds" if seeds > 1 else ""
    groups = ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in found.groups.items())
    doubt = "; ".join(f"{name.replace('_', ' ')}: {why}" for name, why in found.uncertain.items())
    memory = "" if found.memory is None else f"memory about {found.memory / 2**20:,.0f} MiB, "
    return [
        _counted(found.plan, found.cost),
        f"      {groups}",
        *_grouped(found.others, several=found.several),
        *([f"      may differ by some cells ({doubt})"] if doubt else []),
        f"      expected time {expected(found.cost)} on {found.examples:,} examples{each}; about "
        f"{found.cost.clean:,.0f} s for each clean pass; {listing(found.besides)} come on top",
        f"      {memory}disk about {found.disk / 2**20:,.0f} MiB",
        *_reduced(found.trimmed.left_out, found.trimmed.precision, found.precision),
        *([] if found.trimmed.fits else [OVER_BUDGET]),
    ]


OVER_BUDGET = "      the time budget is too small: what is never left out takes longer"


def _grouped(others: Sequence[str], *, several: bool) -> list[str]:
    """Classes, or labels, without experiments of their own, in one line."""
    if not others:
        return []
    some = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
    one, many = ("label has", "labels have") if several else ("class has", "classes have")
    nouns = one if len(others) == 1 else many
    ranked = " (no neurons are ranked for them)" if several else ""
    return [f"      {len(others):,} {nouns} no experiments of their own{ranked}: {some}"]


def _reduced(left_out: Sequence[str], precision: float, asked: float) -> list[str]:
    """What the time budget left out or made coarser."""
    coarser = f"      for the time budget: half widths of {precision:g} instead of {asked:g}"
    return [
        *(f"      left out for the time budget: {name}" for name in left_out),
        *([coarser] if precision > asked else []),
    ]


def _counted(plan: Plan, cost: Cost) -> str:
    routes = ", ".join(f"{n:,} {route}" for route, n in sorted(cost.cells.items()))
    return f"plan: {len(plan.cells):,} cells, {len(plan.actions):,} distinct ({routes})"


def plan_lines(prepared: Prepared, asked: float) -> list[str]:
    """The plan in words: cells, routes, work saved, expected time.

    Args:
        asked: the half width that was asked for.
    """
    plan, cost = prepared.plan, prepared.cost
    return [
        _counted(plan, cost),
        f"      saves {cost.saved:.0%} of the blocks that a full pass per cell would run; "
        f"expected time {expected(cost)}",
        *_grouped(prepared.others, several=prepared.several),
        *_reduced(prepared.left_out, prepared.precision, asked),
    ]


def expected(cost: Cost) -> str:
    """Seconds of interventions, effects and findings, and what most of them are for."""
    from synapse_audit.sweep import FACTOR

    parts = ", ".join(f"{name} {seconds:,.0f} s" for name, seconds in cost.work.items())
    return f"about {cost.expected:,.0f} s, within a factor of {FACTOR:g} ({parts})"
