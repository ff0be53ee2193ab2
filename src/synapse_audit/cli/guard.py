"""``synapse-audit guard``: ranges, detector, head, checksums and canaries for an audited model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synapse_audit.cli.printing import show
from synapse_audit.errors import UsageError

if TYPE_CHECKING:
    from synapse_audit.model import Classifier


def guard(
    run: Annotated[Path, typer.Argument(help="Run folder of the plain model.")],
    *,
    model: Annotated[
        str | None, typer.Option(help="The audited model. Default: the run's own.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder. Default: RUN/guard.")] = None,
    head: Annotated[
        str, typer.Option(help="Which head answers: host, hardened or vote.")
    ] = "hardened",
    quantile: Annotated[
        float, typer.Option(help="Of the ranges; 0 = smallest and largest value in fit.")
    ] = 0.0,
    per_class: Annotated[
        bool, typer.Option("--per-class", help="Ranges per predicted class; runs the model twice.")
    ] = False,
    false_alarms: Annotated[
        float, typer.Option(help="Share of clean inputs that may raise an alarm.")
    ] = 0.01,
    check_every: Annotated[
        int, typer.Option(help="Calls after which checksums and canaries are looked at; 0: never.")
    ] = 1000,
    largest_edit: Annotated[
        float,
        typer.Option(help="Edits that the head is hardened against: up to this share of its norm."),
    ] = 1.0,
    detector: Annotated[
        str,
        typer.Option(
            help="Whose alarms are raised: own, pytorch-ood:Mahalanobis or pytorch-ood:KNN."
        ),
    ] = "own",
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Measure it on the run's evaluate examples.")
    ] = False,
    attack: Annotated[
        list[str] | None,
        typer.Option(help="Evaluate with this attack besides: text, what one can type."),
    ] = None,
    draws: Annotated[int, typer.Option(help="Draws of each random attack.")] = 3,
) -> None:
    """Make a guard from a finished run, without training the model.

    With --evaluate it is attacked on the examples that it has never seen; the figures are kept
    beside the guard and in the run, whose report and advice then quote them. --attack text adds
    typed edits that were searched for against the model alone.
    """
    from synapse_audit.config import make_config
    from synapse_audit.guard import GuardSettings, build_guard
    from synapse_audit.pipeline.stages.typed import check_attacks
    from synapse_audit.store import finished

    if draws < 1:
        raise UsageError(f"--draws {draws} given; expected 1 or more")
    if attack and not evaluate:
        raise UsageError(f"--attack {attack[0]} given without --evaluate; expected both or neither")
    settings = GuardSettings(
        head, quantile, per_class, false_alarms, check_every, largest_edit, detector
    )
    result = finished(run)
    config = _config(result.manifest, model) | {"attack": tuple(attack or ())}
    folder = out or run / "guard"
    classifier = _classifier(config)
    check_attacks(make_config(config), classifier)
    guard = build_guard(result, classifier, folder, settings)
    show(_alarms(false_alarms, len(guard.detector.calibration)))
    if evaluate:
        _evaluate(run, folder, config, classifier, draws=draws)
    show(str(folder))


def _alarms(rate: float, n: int) -> str:
    from synapse_audit.guard.detecting import highest_rate

    return (
        f"alarms: {rate:.2g} of inputs like those audited, on average over guards; at most "
        f"{highest_rate(rate, n):.2g} in 95 of 100 guards with {n:,} calibration examples; over "
        "all classes together: those with few examples alarm more often"
    )


def _config(manifest: Any, model: str | None) -> dict[str, Any]:
    """The run's configuration, with the model in its place now."""
    known = {k: v for k, v in manifest["config"].items() if k != "seeds"}
    return known | ({"model": model} if model is not None else {})


def _classifier(config: dict[str, Any]) -> Classifier:
    from synapse_audit.config import make_config
    from synapse_audit.pipeline.stages.subject import read_classifier

    return read_classifier(make_config(config))


def _evaluate(
    run: Path, folder: Path, config: dict[str, Any], classifier: Classifier, *, draws: int
) -> None:
    from synapse_audit.cli.display import Terminal
    from synapse_audit.config import make_config
    from synapse_audit.pipeline.guarding import measure_guard

    terminal = Terminal(1)
    measure_guard(run, folder, classifier, make_config(config), draws=draws, progress=terminal)
