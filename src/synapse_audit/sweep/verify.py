"""Holds every fast route against plain hooks before it is trusted.

Whether a route is exact is a matter of where it resumes and of how padding is handled: of route,
space, site and position. So of each *family* of kinds that share these, the kind with the most
cells is checked thoroughly: on the shortest, the longest and the most padded batch, with the first,
the last, the largest and the lowest of its cells, and one per layer where weights are edited. Every
other operator of the family is checked on one batch that holds the shortest and the longest texts
side by side (*head*, which runs no block, on the shortest texts), with the largest and the lowest
of its cells. Where any check of a family fails, all of its kinds are checked thoroughly, so that
what is wrong on one sort of batch is found for each of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from synapse_audit.artifacts import Cell, ParameterEdit, Plan
from synapse_audit.model import Encoded
from synapse_audit.plan import FULL, HEAD, SUFFIX
from synapse_audit.sweep.clean import CleanStates, clean_pass
from synapse_audit.sweep.engine import Engine
from synapse_audit.sweep.pairs import may_pair, run_pairs
from synapse_audit.sweep.runners import RUNNERS

TOLERANCE = 1e-4
"""Largest logit difference between a route and plain hooks, float32."""

COARSER = {torch.float16: 0.016, torch.bfloat16: 0.125}
"""The same in formats of 11 and 8 significant bits: a row that runs alone is summed in another
order, and each of a model's many sums is rounded to those bits (logits of 4 to 8 hold steps of
.004 and .03, of which this allows four)."""

LARGE = 100.0
"""Logits beyond it are compared relatively: float32 holds no more than seven digits."""

EXAMPLES = 4
"""Examples per verification batch: enough to pad, few enough to be quick."""

FAILURES = (RuntimeError, IndexError, TypeError, ValueError, AttributeError, KeyError)
"""What a block may raise that was not made to be called alone; a fast route then is not used."""


@dataclass(frozen=True)
class RouteCheck:
    """How far one route was from plain hooks on one kind of cell."""

    route: str
    kind: str
    """Operator, site and position."""
    gap: float
    """Largest absolute logit difference."""
    same_predictions: bool
    failure: str = ""
    """Why the route could not run at all."""
    tolerance: float = TOLERANCE

    @property
    def passed(self) -> bool:
        """Same predictions and logits within the tolerance."""
        return self.same_predictions and self.gap <= self.tolerance


def verify_routes(
    engine: Engine, encoded: Encoded, plan: Plan, rows: Int[np.ndarray, " examples"]
) -> list[RouteCheck]:
    """Checks every (route, operator, site, position) of the plan, one of each family thoroughly."""
    batches = [
        clean_pass(
            engine.classifier, engine.classifier.collate(encoded, chosen), chosen, engine.tap
        )
        for chosen in awkward_batches(encoded, rows)
    ]
    return [
        check
        for (route, *_), kinds in _families(plan).items()
        for check in _check_family(engine, batches, route, kinds)
    ]


Kinds = dict[str, list[Cell]]
"""Kind → its cells."""


def _families(plan: Plan) -> dict[tuple[str, ...], Kinds]:
    """(route, space, site, position) → kinds that differ in the operator alone."""
    found: dict[tuple[str, ...], Kinds] = {}
    for cell in plan.actions:
        route = plan.routes[cell.action]
        if route != FULL:
            family = found.setdefault((route, cell.space, cell.site or "", cell.position or ""), {})
            family.setdefault(kind_of(cell), []).append(cell)
    return found


def _check_family(
    engine: Engine, batches: Sequence[CleanStates], route: str, kinds: Kinds
) -> list[RouteCheck]:
    leader = max(kinds, key=lambda kind: len(kinds[kind]))
    shortest, _, mixed = batches
    # The most padded batch holds the shortest and the longest texts; a head meets no padding.
    one = [shortest if route == HEAD else mixed]
    checks = {leader: _check(engine, batches, route, leader, _probes(kinds[leader]))}
    for kind in kinds.keys() - checks:
        checks[kind] = _check(engine, one, route, kind, _fewer_probes(kinds[kind]))
    if not all(check.passed for check in checks.values()):
        for kind in kinds.keys() - {leader}:
            checks[kind] = _check(engine, batches, route, kind, _probes(kinds[kind]))
    return [checks[kind] for kind in kinds]


def awkward_batches(
    encoded: Encoded, rows: Int[np.ndarray, " examples"]
) -> list[Int[np.ndarray, "_"]]:
    """The shortest, the longest, and the most padded batch."""
    order = rows[np.argsort(encoded.lengths[rows], kind="stable")]
    half = EXAMPLES // 2
    return [order[:EXAMPLES], order[-EXAMPLES:], np.concatenate([order[:half], order[-half:]])]


def _check(
    engine: Engine, batches: Sequence[CleanStates], route: str, kind: str, probes: Sequence[Cell]
) -> RouteCheck:
    gap, same = 0.0, True
    allowed = COARSER.get(batches[0].logits.dtype, TOLERANCE)
    agree = _same_sets if engine.classifier.decision.several else _same_predictions
    for clean in batches:
        reference = RUNNERS[FULL](engine, clean, probes)
        try:
            # Padding is what single pairs could get wrong: the most padded batch is enough.
            fast = _run(engine, clean, route, probes, single=clean is batches[-1])
        except FAILURES as error:
            # A model whose blocks cannot be called apart (a projection between them, say).
            reason = str(error).partition("\n")[0]
            return RouteCheck(route, kind, float("inf"), False, reason, allowed)
        gap = max(gap, _gap(fast, reference))
        same = same and agree(fast, reference, allowed)
    return RouteCheck(route, kind, gap, same, tolerance=allowed)


def _run(
    engine: Engine, clean: CleanStates, route: str, cells: Sequence[Cell], *, single: bool
) -> Float[Tensor, "cells examples classes"]:
    """A route as the sweep runs it; where it may be run on single pairs, every other one is.

    ``single``: whether to try those.
    """
    logits = RUNNERS[route](engine, clean, cells)
    paired = clean.rows_alone and all(may_pair(cell) for cell in cells)
    if route != SUFFIX or not (single and paired):
        return logits
    wanted = np.indices(logits.shape[:2]).sum(axis=0) % 2 == 0
    alone = run_pairs(engine, clean, cells, wanted)
    return logits.clone().index_put_(tuple(map(torch.from_numpy, wanted.nonzero())), alone)


def _probes(cells: Sequence[Cell]) -> list[Cell]:
    """First, last, largest and lowest cell of a kind, and one per layer that edits resume at."""
    chosen = [
        cells[0],
        cells[-1],
        max(cells, key=lambda cell: cell.k or 0),
        min(cells, key=_lowest),
    ]
    by_layer = {c.edit.layer: c for c in cells if isinstance(c.edit, ParameterEdit)}
    return list({cell.action: cell for cell in (*chosen, *by_layer.values())}.values())


def _fewer_probes(cells: Sequence[Cell]) -> list[Cell]:
    """The lowest and the largest cell of a kind; two edits of weights, first and last."""
    chosen = [min(cells, key=_lowest), max(cells, key=lambda cell: cell.k or 0)]
    if isinstance(cells[0].edit, ParameterEdit):
        chosen = [cells[0], cells[-1]]
    return list({cell.action: cell for cell in chosen}.values())


def _lowest(cell: Cell) -> float:
    """The lowest layer of a cell's neurons: what lies below the first block may stand apart."""
    layers = () if cell.neurons is None else cell.neurons.layers
    return float(min(layers, default=math.inf))


def _gap(
    fast: Float[Tensor, "cells examples classes"],
    reference: Float[Tensor, "cells examples classes"],
) -> float:
    """Largest difference; relative where a logit exceeds ``LARGE`` (a flipped exponent bit)."""
    both = fast.isnan() & reference.isnan() | (fast == reference)
    scale = (reference.abs() / LARGE).clamp_min(1)
    # A number against infinity differs by infinity, and by infinity relative to it: not a number.
    apart = ((fast - reference).abs() / scale).masked_fill(both, 0.0)
    return apart.nan_to_num(nan=float("inf")).max().item()


def _same_predictions(
    fast: Float[Tensor, "cells examples classes"],
    reference: Float[Tensor, "cells examples classes"],
    tolerance: float,
) -> bool:
    """Whether the predicted classes agree wherever the two best logits are no tie."""
    best = reference.topk(2, dim=-1).values
    scale = (best.abs().amax(-1) / LARGE).clamp_min(1)
    clear = best[..., 0] - best[..., 1] > 2 * tolerance * scale
    return bool(((fast.argmax(-1) == reference.argmax(-1)) | ~clear).all())


def _same_sets(
    fast: Float[Tensor, "cells examples labels"],
    reference: Float[Tensor, "cells examples labels"],
    tolerance: float,
) -> bool:
    """Whether the same labels are present, those apart whose logit is 0 but for rounding."""
    scale = (reference.abs() / LARGE).clamp_min(1)
    clear = reference.abs() > tolerance * scale
    return bool((((fast > 0) == (reference > 0)) | ~clear).all())


def kind_of(cell: Cell) -> str:
    """What is checked together: space, operator, site and position."""
    return "/".join(part for part in (cell.space, cell.operator, cell.site, cell.position) if part)
