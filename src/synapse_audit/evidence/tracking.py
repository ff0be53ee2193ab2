"""A run written to a tracking server: parameters, figures with both ends, the report.

Only here is a package beyond the usual ones needed, and only where it is asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Mapping
from itertools import chain, count
from typing import Any

from synapse_audit.errors import UsageError
from synapse_audit.evidence.provenance import facts
from synapse_audit.store import AuditResult
from synapse_audit.summary import dotted, walk

NOT_ALLOWED = re.compile(r"[^\w\-. /]", re.ASCII)
"""What names of metrics and tags may not hold."""

LONGEST = 240
"""Letters of a metric's name; MLflow takes 250."""

AT_ONCE = 500
"""Metrics sent together; MLflow takes 1,000."""

ARTIFACTS = ("report.html", "summary.json", "manifest.json")
"""Files of a run folder that are kept, where it has them."""


def log_to_mlflow(run: AuditResult) -> str:
    """Logs a finished run as a run of its own, where MLflow's own settings say.

    Returns:
        The id that MLflow gave it.

    Raises:
        UsageError: MLflow is not installed, or does not take the run.
    """
    try:
        import mlflow
    except ImportError as error:
        raise UsageError(
            "--log mlflow given; package mlflow is missing: pip install 'synapse-audit[mlflow]'"
        ) from error
    try:
        with mlflow.start_run(run_name=run.folder.resolve().name) as started:
            mlflow.log_params(parameters(run))
            mlflow.set_tags({NOT_ALLOWED.sub("_", name): text for name, text in facts(run).items()})
            given = list(metrics(run).items())
            for start in range(0, len(given), AT_ONCE):
                mlflow.log_metrics(dict(given[start : start + AT_ONCE]))
            for file in (run.folder / name for name in ARTIFACTS):
                if file.is_file():
                    mlflow.log_artifact(str(file))
            return str(started.info.run_id)
    except (mlflow.exceptions.MlflowException, OSError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise UsageError(f"--log mlflow given; MLflow refused the run: {reason}") from error


def parameters(run: AuditResult) -> dict[str, str]:
    """The configuration; fields of the grid are named ``grid.FIELD``."""
    config: dict[str, Any] = dict(run.manifest.get("config", {}))
    grid = config.pop("grid", {}) or {}
    named = config | {f"grid.{name}": value for name, value in grid.items()}
    return {name: str(value)[:500] for name, value in named.items() if value not in (None, [], "")}


def metrics(run: AuditResult) -> Mapping[str, float]:
    """Every known figure, its ends as ``NAME.low`` and ``NAME.high``; names are made fit."""
    found: dict[str, float] = {}
    for keys, figure in walk(run.summary):
        name = _free(NOT_ALLOWED.sub("_", dotted(keys))[:LONGEST], found)
        ends = {name: figure.value, f"{name}.low": figure.low, f"{name}.high": figure.high}
        found |= {one: value for one, value in ends.items() if not math.isnan(value)}
    return found


def _free(name: str, taken: Container[str]) -> str:
    """The name, numbered where another figure's has become the same."""
    numbered = (f"{name}_{i}" for i in count(2))
    return next(one for one in chain([name], numbered) if one not in taken)
