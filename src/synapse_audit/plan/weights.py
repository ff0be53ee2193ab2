"""Cells that edit weights beyond the plain push: other pushes, rows, gains, noise, the paper's.

Each kind is one function and one line of ``WEIGHT_CELLS``; ``grid.edits`` names those that are
run. Every edit stands beside a random control of the same size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations

import numpy as np
from jaxtyping import Int

from synapse_audit.artifacts import GLOBAL, Cell
from synapse_audit.interventions.edits import (
    ATTENTION,
    EDITS,
    GAIN,
    HEAD,
    MLP,
    PAPER_PUSHES,
    Part,
    column_noise,
    noisy_share,
    paper_push,
    row_scale,
    row_swap,
    scaled_gains,
    steepest_columns,
    universal_path,
    weight_noise,
)
from synapse_audit.neurons import random_draw, top
from synapse_audit.plan.plan_inputs import PlanInputs

RELATIVE, ABSOLUTE = "relative", "absolute"
"""Unit of noise: the weight's root mean square, or its own numbers."""

Columns = Int[np.ndarray, " columns"]

RANDOM_CONTROLS = 3
"""Random controls per edit, at most."""

FEW_CLASSES = 6
"""Up to so many classes every pair of rows is swapped; beyond, each class with its rival."""

SPARSITIES = (1, 2, 5, 10, 20, 50)
"""Weights that a sparse push moves."""

LINF_SIZES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Change of each weight relative to the root mean square of the head's."""

ROW_FACTORS = (0.0, 0.5, 2.0, 4.0)

GAIN_FACTORS = (0.0, 0.5)

GAIN_SHARES = (0.1, 0.5)
"""Shares of a norm's dimensions."""

SIGMAS = (0.5, 1.0, 2.0)
"""Noise on head columns, relative to the root mean square of the head's weights."""

BLOCK_SIGMAS = (1.0, 4.0)
"""The same for a weight of a block: every cell there is expensive."""

NOISY_COLUMNS = 0.2
"""Share of the head's columns that noise falls on (the paper's choice of top neurons)."""

PAPER_SIGMA = 0.05


def edited_cells(s: PlanInputs) -> Iterator[Cell]:
    """The kinds of edits that the grid names."""
    for name in s.grid.edits:
        yield from WEIGHT_CELLS[name](s)


# ---- targeted pushes of the head -----------------------------------------------------------------


def _pushes(operator: str) -> Callable[[PlanInputs], Iterator[Cell]]:
    def cells(s: PlanInputs) -> Iterator[Cell]:
        share = max((c for c in s.grid.columns if c < 1.0), default=1.0)
        for target, name in s.own:
            ranked = ranked_columns(s, name, share)
            # Every other budget: these are to be compared with the plain push, not read alone.
            for budget in LINF_SIZES if operator == "linf" else s.grid.budgets[::2]:
                base = Cell("weight", operator, "head_weight", strength=budget, target=name)
                base = replace(base, fraction=share)
                for cell, columns in _with_random_controls(s, base, ranked, name):
                    yield replace(cell, edit=EDITS[operator](s.head, target, columns, budget))

    cells.__doc__ = f"``{operator}`` within each budget, on ranked and on random columns."
    return cells


def sparse_cells(s: PlanInputs) -> Iterator[Cell]:
    """A few weights of the target's row moved, each by the size of the head's largest weight."""
    width = s.head.weight.shape[1]
    for target, name in s.own:
        for n in (n for n in SPARSITIES if n <= width):
            base = Cell("weight", "sparse", "head_weight", strength=float(n), target=name)
            best = steepest_columns(s.head, target, n)
            yield replace(
                base,
                selection="top",
                edit=EDITS["sparse"](s.head, target, best, 1.0),
            )
            for cell, columns in _random_controls(s, base, n):
                yield replace(cell, edit=EDITS["sparse"](s.head, target, columns, 1.0))


def universal_cells(s: PlanInputs) -> Iterator[Cell]:
    """The edit of the whole head that redirects most of ``fit``, within each budget."""
    every, budgets = np.arange(s.head.weight.shape[1]), sorted(b for b in s.grid.budgets if b > 0)
    for target, name in s.own:
        edits = universal_path(s.head, target, every, budgets)
        for budget, edit in zip(budgets, edits, strict=True):
            base = Cell("weight", "universal", "head_weight", strength=budget, target=name)
            yield replace(base, fraction=1.0, selection="top", edit=edit)


def paper_cells(s: PlanInputs) -> Iterator[Cell]:
    """The paper's six settings of the push and its noise on head columns, where asked for."""
    if not s.grid.paper:
        return
    for setting in PAPER_PUSHES:
        for target, name in s.own:
            base = Cell("weight", "paper_push", "head_weight", strength=setting.delta, target=name)
            base = replace(base, setting=f"paper {setting.setting}")
            ranked = ranked_columns(s, name, setting.share)[: setting.most]
            if not setting.share:
                if s.head.bias is not None:
                    yield replace(base, edit=paper_push(s.head, target, ranked, setting))
                continue
            base = replace(base, fraction=setting.share)
            for cell, columns in _with_random_controls(s, base, ranked, name):
                edit = paper_push(s.head, target, columns, setting)
                yield replace(cell, edit=edit)
    yield from _column_noise(s, PAPER_SIGMA, PAPER_SIGMA, ABSOLUTE)


# ---- rows of the head ----------------------------------------------------------------------------


def row_swap_cells(s: PlanInputs) -> Iterator[Cell]:
    """Rows of two classes exchanged: what was said as one is then said as the other."""
    pairs = list(permutations(range(len(s.classes)), 2))
    if len(s.classes) > FEW_CLASSES:
        rivals = [(t, s.head.rival(t)) for t, _ in s.own]
        pairs = list(dict.fromkeys([*rivals, *((r, t) for t, r in rivals)]))
    for source, target in pairs:
        base = Cell("weight", "row_swap", "head_weight")
        named = replace(base, source=s.classes[source], target=s.classes[target])
        # One edit for both directions, so that it runs once.
        yield replace(named, edit=row_swap(s.head, min(source, target), max(source, target)))


def row_scale_cells(s: PlanInputs) -> Iterator[Cell]:
    """One class's row multiplied; with one output only the second class has one."""
    for target, name in s.own[s.head.rows]:
        for factor in ROW_FACTORS:
            base = Cell("weight", "row_scale", "head_weight", strength=factor)
            # A larger row wins examples for its class, a smaller one takes them from it.
            aimed = replace(base, target=name) if factor > 1 else replace(base, source=name)
            yield replace(aimed, edit=row_scale(s.head, target, factor))


# ---- noise and gains -----------------------------------------------------------------------------


def gaussian_cells(s: PlanInputs) -> Iterator[Cell]:
    """Gaussian noise on head columns and on weights of the first and last block."""
    for sigma in SIGMAS:
        yield from _column_noise(s, sigma * s.head.rms, sigma, RELATIVE)
    for part in _parts(s, ATTENTION, MLP):
        for sigma in BLOCK_SIGMAS:
            for draw in s.draws[:RANDOM_CONTROLS]:
                yield Cell(
                    "weight",
                    "gaussian_fault",
                    "block_weight",
                    strength=sigma,
                    layers=str(part.layer),
                    selection="random",
                    fraction=noisy_share(part),
                    draw=draw,
                    part=part.name,
                    unit=RELATIVE,
                    edit=weight_noise(part, sigma, _generator(s, draw, part.layer or 0)),
                )


def _column_noise(s: PlanInputs, sigma: float, strength: float, unit: str) -> Iterator[Cell]:
    """The same noise on ranked and on random columns, several draws of it."""
    scores = [np.sum([s.column_scores[name][0] for name in s.classes], axis=0)]
    ranked = top(scores, NOISY_COLUMNS, [0]).by_layer.get(0, np.arange(0))
    base = Cell("weight", "gaussian_fault", "head_weight", strength=strength)
    base = replace(base, fraction=NOISY_COLUMNS, part=HEAD, unit=unit)
    for draw in s.draws[:RANDOM_CONTROLS]:
        chosen = random_columns(s, len(ranked), draw)
        top_cell = replace(base, selection="top", ranking="probe", ranked_for=GLOBAL, draw=draw)
        random_control = replace(base, selection="random", draw=draw)
        for cell, columns in ((top_cell, ranked), (random_control, chosen)):
            edit = column_noise(s.head, columns, sigma, _generator(s, draw))
            yield replace(cell, edit=edit)


def gain_cells(s: PlanInputs) -> Iterator[Cell]:
    """Gains of the first and last block's norm zeroed or halved, in ranked or random dimensions."""
    for part in _parts(s, GAIN):
        layer = part.layer or 0
        width = part.last[1].size
        if width != s.widths[layer]:
            continue
        for factor in GAIN_FACTORS:
            for share in GAIN_SHARES:
                base = Cell("weight", "gain", "block_weight", strength=factor, layers=str(layer))
                base = replace(base, fraction=share, part=GAIN)
                ranked = top(s.headline.scores[GLOBAL], share, [layer]).by_layer.get(layer)
                if ranked is None:
                    continue
                yield replace(
                    base,
                    selection="top",
                    ranking=s.headline.method,
                    ranked_for=GLOBAL,
                    edit=scaled_gains(part, ranked, factor),
                )
                for draw in s.draws[:RANDOM_CONTROLS]:
                    random_control = s.random_control({layer: len(ranked)}, draw).by_layer[layer]
                    edit = scaled_gains(part, random_control, factor)
                    yield replace(base, selection="random", draw=draw, edit=edit)


WEIGHT_CELLS: dict[str, Callable[[PlanInputs], Iterator[Cell]]] = {
    "balanced": _pushes("balanced"),
    "rival": _pushes("rival"),
    "linf": _pushes("linf"),
    "sparse": sparse_cells,
    "universal": universal_cells,
    "row_swap": row_swap_cells,
    "row_scale": row_scale_cells,
    "gaussian_fault": gaussian_cells,
    "gain": gain_cells,
}
"""Name in ``grid.edits`` → its cells."""


# ---- columns and random controls
# ---------------------------------------------------------------------------


def ranked_columns(s: PlanInputs, name: str, share: float) -> Columns:
    """The head's input columns with the highest scores for a class, best first."""
    scores = s.column_scores[name]
    chosen = top(scores, share, [0]).by_layer.get(0, np.arange(0))
    return chosen[np.argsort(-scores[0][chosen], kind="stable")]


def random_columns(s: PlanInputs, k: int, draw: int) -> Columns:
    """``k`` of the head's input columns."""
    width = s.head.weight.shape[1]
    return random_draw([width], {0: k}, draw, s.seed).by_layer.get(0, np.arange(0))


def _with_random_controls(
    s: PlanInputs, base: Cell, ranked: Columns, name: str
) -> Iterator[tuple[Cell, Columns]]:
    ranking = {"ranking": "probe", "ranked_for": name, "selection": "top"}
    yield replace(base, **ranking), ranked  # type: ignore[arg-type]
    if len(ranked) < s.head.weight.shape[1]:
        yield from _random_controls(s, base, len(ranked))


def _random_controls(s: PlanInputs, base: Cell, k: int) -> Iterator[tuple[Cell, Columns]]:
    for draw in s.draws[:RANDOM_CONTROLS]:
        random_control = replace(base, selection="random", draw=draw)
        yield random_control, random_columns(s, k, draw)


def _parts(s: PlanInputs, *names: str) -> list[Part]:
    return [part for part in s.parts if part.name in names and part.layer is not None]


def _generator(s: PlanInputs, draw: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([s.seed, draw, 3, *key]))
