"""What an audit of several labels per example does not cover, and how each of it is said.

Every label is decided by itself, so what asks for the one class that wins has no answer here. What
somebody asks for by name is refused in one line; what a preset would add is left out, and one line
of :data:`NOT_COVERED` says so in the terminal, the manifest and the report.
"""

from __future__ import annotations

from typing import Any

from synapse_audit.config import AuditConfig
from synapse_audit.errors import UsageError
from synapse_audit.interventions.operators import AIMED
from synapse_audit.rankings import ACROSS, ATTRIBUTED

CLASS_FRACTION = 0.5
"""Share of neurons silenced for each label's own ranking: one, since there may be many labels."""

NOT_COVERED: dict[str, str] = {
    "weights": "weights besides each label's own row of the head, searched edits and bit flips",
    "inputs": "changes of the input: gradient steps, noise, deletions, typed edits",
    "logits": "temperatures and noise on logits",
    "sufficient": "smallest and disjoint sets of neurons from which a probe reads the labels",
    "rankings": "gradient rankings, the paper's own, and how far rankings agree",
    "operators": "operators that move states toward a class (class_mean, translate, patch)",
    "pathways": "effects split into direct and through other tokens; sites inside the blocks",
    "units": "attention heads, directions, and probes on means over tokens",
    "certificates": "certificates for pooled states and for silenced neurons; guards",
    "others": "alarms, slices, membership, several seeds, comparisons of runs",
}
"""What is left out → in words."""

REFUSED = ("benign", "guard", "membership", "attack", "window", "neurons")
"""Options without a meaning yet for several labels together."""


def not_covered() -> tuple[str, ...]:
    """One line for everything that is left out."""
    return tuple(NOT_COVERED.values())


def for_several(config: AuditConfig) -> AuditConfig:
    """The configuration with what carries over to several labels per example.

    Raises:
        UsageError: an option, or a headline ranking, that does not.
    """
    asked: dict[str, Any] = {name: getattr(config, name) for name in REFUSED}
    asked |= {"slice_columns": config.reading.slice_columns, "faults": config.grid.faults}
    asked |= {"seeds": config.seeds > 1}
    given = [name for name, value in asked.items() if value]
    if given:
        raise UsageError(
            f"--{given[0].replace('_', '-')} given with a model of several labels per example; "
            "expected it with --label NAME, for one of them"
        )
    grid, unknown = config.grid, {*ATTRIBUTED, *ACROSS}
    swept = tuple(name for name in grid.rankings if name not in unknown)
    if not swept:
        raise UsageError(
            f"rankings {', '.join(grid.rankings)} given with a model of several labels per "
            "example; expected probe, probeless, iou or mutual_information among them"
        )
    others = tuple(name for name in grid.other_operators if name not in AIMED)
    changes: dict[str, Any] = {
        "rankings": swept,
        "compared": tuple(name for name in grid.compared if name not in unknown),
        "other_operators": others,
        "class_fractions": (min(grid.fractions, key=lambda f: abs(f - CLASS_FRACTION)),),
        "class_layer_fractions": (),
        "pooled_controls": False,
        "comparator_width": 1.0,
        "exact_only_examples": None,
        "iterated_examples": None,
        "paper": False,
        "token_means": False,
        **dict.fromkeys(
            ("edits", "bit_formats", "attacks", "sites", "directions", "constants"), ()
        ),
        **dict.fromkeys(("temperatures", "logit_noise"), ()),
    }
    return config.model_copy(update={"grid": grid.model_copy(update=changes)})
