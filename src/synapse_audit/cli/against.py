"""``run --against RUN``: another model on exactly the rows and splits of an earlier run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synapse_audit.errors import UsageError

OWN = (
    *("model", "device", "dtype", "revision", "attn_implementation", "device_map", "quantization"),
    *("base_model", "merge_adapter", "blocks", "position", "output_layer", "neurons", "batch_size"),
    "guard",
    *("engine", "workers", "address", "time_budget", "precision", "exact", "seeds"),
)
"""What may differ: how a model is loaded and how its cells are run. All else is the other run's."""

ADDED = ("slice_columns",)
"""What is the other run's too, but may be given: it changes no example."""


def options_against(asked: dict[str, Any], run: Path) -> dict[str, Any]:
    """The options of the earlier run, with this model.

    Raises:
        UsageError: an option is given that would change rows, splits or experiments.
        RunFolderError: there is no finished run.
    """
    from synapse_audit.store import finished

    config = finished(run).manifest["config"]
    refused = [name for name in asked if name not in (*OWN, *ADDED)]
    if refused:
        option = f"--{refused[0].replace('_', '-')}"
        raise UsageError(
            f"{option} given with --against; expected neither rows nor experiments of its own, as "
            f"'{run}' sets them"
        )
    if "model" not in asked:
        raise UsageError("--against given without MODEL; expected the model to compare")
    return {name: value for name, value in config.items() if name not in OWN} | asked


def check_same_examples(out: Path, run: Path) -> None:
    """Stops before any experiment is run where the rows turn out to be others.

    Raises:
        UsageError: the data file has changed, or the model has other classes.
    """
    from synapse_audit.compare.comparable import different_examples, same_splits
    from synapse_audit.store import RunFolder, finished

    mine, theirs = RunFolder(out), finished(run)
    reasons = list(different_examples(theirs.manifest, mine.manifest).values())
    if not reasons and not same_splits(mine.read_table("splits"), theirs.splits):
        reasons = ["splits differ"]
    if reasons:
        raise UsageError(f"--against '{run}' given, but {reasons[0]}; expected the same examples")
