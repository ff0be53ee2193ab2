"""Experiments: edits, cells and the plan that holds them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.artifacts.brief import Brief
from synapse_audit.artifacts.representation import Erasure
from synapse_audit.neurons import NeuronSet

ALL_LAYERS = "all"
"""The ``layers`` of a cell that touches blocks 1 to L."""


Group = Literal[
    "removal",
    "compared",
    "matched",
    "keep",
    "layer",
    "position",
    "class",
    "exclusive",
    "constant",
    "named",
    "dissociated",
    "paper_setting",
    "paper_mass",
    "paper_control",
    "other_operator",
    "aimed",
    "site",
    "site_position",
    "site_layer",
    "attention_head",
    "attention_set",
    "direction",
    "push",
    "edit",
    "bit_flip",
    "fault",
    "paper_edit",
    "shift",
    "temperature",
    "logit_noise",
    "attack",
]
"""What a cell is run for: the lines of ``plan.cells.GROUPS``. Findings ask for cells by group."""

REMOVAL_GROUPS: tuple[Group, ...] = ("removal", "compared", "other_operator")
"""Sets over all blocks, silenced or disturbed at the pooled position, with the random sets beside
them. A cell that two of these groups make is kept under the first, so whoever reads one of them
reads all three."""

SILENCING = ("mean", "zero")
"""The headline operator, and the paper's, which always stands beside it."""

CLASS_FRACTION = 0.5
"""What the neurons ranked for one class do to every class is compared at the fraction of the grid
closest to it."""


@dataclass(frozen=True, init=False)
class HeadEdit:
    """An additive change of the head's last linear layer.

    A plan holds thousands, most of which touch one class, so only the rows that change are kept.
    """

    rows: Int[np.ndarray, " changed"]
    """Classes whose weights change, ascending."""
    values: Float[np.ndarray, "changed features"]
    bias: Float[np.ndarray, " classes"]

    def __init__(
        self, weight: Float[np.ndarray, "classes features"], bias: Float[np.ndarray, " classes"]
    ) -> None:
        """Takes what is added to the whole weight and bias."""
        rows = np.flatnonzero(weight.any(axis=1))
        for name, value in (("rows", rows), ("values", weight[rows]), ("bias", bias)):
            object.__setattr__(self, name, value)

    @property
    def weight(self) -> Float[np.ndarray, "classes features"]:
        """What is added to the weight, rows that stay as zeros."""
        full = np.zeros((len(self.bias), self.values.shape[1]), self.values.dtype)
        full[self.rows] = self.values
        return full

    @property
    def l2(self) -> float:
        """Euclidean norm over weight and bias together."""
        return float(np.sqrt((self.values**2).sum() + (self.bias**2).sum()))

    @property
    def linf(self) -> float:
        """Largest absolute entry of weight and bias."""
        return float(max(np.abs(self.values).max(initial=0.0), np.abs(self.bias).max()))

    @property
    def n_changed(self) -> int:
        """How many numbers of the model the edit changes."""
        return int(np.count_nonzero(self.values) + np.count_nonzero(self.bias))

    @cached_property
    def content(self) -> str:
        """What tells one edit from another: a hash."""
        parts = (self.rows, self.values, self.bias)
        return hashlib.sha256(b"|".join(part.tobytes() for part in parts)).hexdigest()


@dataclass(frozen=True, repr=False)
class ParameterChange(Brief):
    """New values for some entries of one named weight."""

    name: str
    """As in the model's ``state_dict``."""
    index: Int[np.ndarray, " changed"]
    """Into the flattened weight."""
    before: Float[np.ndarray, " changed"]
    after: Float[np.ndarray, " changed"]


@dataclass(frozen=True, repr=False)
class ParameterEdit(Brief):
    """New values for some entries of any named weights, in the model's own number format."""

    changes: tuple[ParameterChange, ...]
    layer: int | None
    """First layer whose output changes; None where only the head is touched."""
    bits: int | None = None
    """Bits flipped, where the edit is a set of bit flips."""

    @cached_property
    def _difference(self) -> Float[np.ndarray, " changed"]:
        if not self.changes:
            return np.zeros(0)
        parts = [c.after.astype(np.float64) - c.before.astype(np.float64) for c in self.changes]
        return np.concatenate(parts)

    @property
    def l2(self) -> float:
        """Euclidean norm over all changes; infinite where a value becomes so."""
        return float(np.linalg.norm(self._difference))

    @property
    def linf(self) -> float:
        """Largest absolute change."""
        return float(np.abs(self._difference).max(initial=0.0))

    @property
    def n_changed(self) -> int:
        """How many numbers of the model the edit changes."""
        return int(np.count_nonzero(self._difference))

    @cached_property
    def content(self) -> str:
        """What tells one edit from another: a hash."""
        parts = [
            c.name.encode() + np.ascontiguousarray(c.index).tobytes() + c.after.tobytes()
            for c in self.changes
        ]
        return hashlib.sha256(b"|".join(parts)).hexdigest()


CONTENT = {"neurons", "edit", "erasure", "donor", "group", "weight", "bit"}
"""Fields of a cell that are no part of its key: what it does in detail, and what it is run for."""

DETAILS = (
    *("setting", "addresses", "used", "part", "format", "bit_kind", "unit", "steps"),
    *("weight", "bit"),
)
"""Fields of a cell that only some groups have."""


@dataclass(frozen=True)
class Cell:
    """One experiment: what is done, where, and why these neurons were chosen."""

    space: Literal["neuron", "weight", "logit", "input"]
    operator: str
    site: str
    strength: float | None = None
    position: Literal["pooled", "all"] | None = None
    layers: str | None = None
    """``all``, one layer number, or several with commas between them."""
    ranking: str | None = None
    ranked_for: str | None = None
    """The class whose scores chose the neurons; None where they are scores over all classes."""
    selection: str | None = None
    """How neurons, columns or bits were chosen: top, bottom, random, matched, exclusive, keep_top,
    keep_random, constant …"""
    fraction: float | None = None
    draw: int | None = None
    source: str | None = None
    target: str | None = None
    setting: str | None = None
    """Which published setting of the SYNAPSE paper the cell repeats."""
    addresses: str | None = None
    """The neurons that were named, by somebody, as a candidate constant or as one attention head;
    random controls of those that somebody named carry the same."""
    used: str | None = None
    """The ranking whose other end a dissociated set takes, beside ``ranking``."""
    part: str | None = None
    """head, attention, mlp or gain, of random faults also embeddings, norm, bias or other: the
    weights that a fault falls on."""
    format: str | None = None
    """Number format whose bits are flipped."""
    bit_kind: str | None = None
    """Which bits may be flipped: sign, exponent, mantissa, top or any."""
    weight: str | None = None
    """The one number of the model that a random fault fell on: ``name[place]``, as in the model's
    ``state_dict`` and flattened."""
    bit: int | None = None
    """Place of the one bit that it flipped; 0 is the lowest."""
    unit: str | None = None
    """relative, absolute or tokens: what ``strength`` counts, where an operator knows several."""
    steps: int | None = None
    """Steps of an iterated attack."""
    donor: int | None = None
    """Position in ``fit`` of the example whose values are patched in."""
    neurons: NeuronSet | None = field(default=None, repr=False)
    edit: HeadEdit | ParameterEdit | None = field(default=None, repr=False)
    erasure: Erasure | None = field(default=None, repr=False)
    """Directions removed from the layer of ``neurons``; ``strength`` is then their number."""
    group: Group | None = None
    """What the cell is run for; written by ``build_cells``, part of no identity."""

    @cached_property
    def action(self) -> str:
        """Hash of what is physically done: cells with equal actions have equal outcomes."""
        parts: list[object] = [self.space, self.operator, self.strength, self.site, self.position]
        parts.append(self.neurons.digest() if self.neurons is not None else None)
        # An edit's own numbers say what it does, whatever it aims at.
        parts.append(self.target if self.edit is None else self.edit.content)
        parts.append(self.donor)
        if self.erasure is not None:
            parts.append(self.erasure.content)
        if self.space in ("input", "logit"):
            # Their random numbers are drawn anew for each draw; neurons and edits hold theirs.
            parts.append(_joined(self, ("unit", "steps", "draw")))
        return _digest(parts)

    @cached_property
    def key(self) -> str:
        """Hash of what the cell is meant to be: the ``cell`` column of the tables.

        It holds operator, target, columns, size, draw and so on, and not which neurons or numbers
        came of them: those depend on the last bit of a sum, so on threads and machines. The same
        experiment has the same key in every run, whatever the model; ``action`` tells what was
        done.
        """
        names = [f.name for f in fields(self) if f.name not in CONTENT]
        return _digest([getattr(self, name) for name in names])

    @property
    def parameter(self) -> str | None:
        """What else names the cell, in one text for people: ``part=head;format=fp32``."""
        return _joined(self, DETAILS)

    @property
    def k(self) -> int | None:
        """Number of neurons touched; None where none is."""
        return None if self.neurons is None else len(self.neurons)


class Pooled(NamedTuple):
    """A random set of which only the mean with others is reported."""

    size: int
    """How many sets make the mean."""
    place: int
    """The set's place among them, from 0."""


@dataclass(frozen=True, repr=False)
class Plan(Brief):
    """Cells in a fixed order, and the distinct actions among them with their routes."""

    cells: tuple[Cell, ...]
    routes: Mapping[str, str]
    """Action → head, stream, suffix, full or two-phase."""
    tiers: Mapping[str, str] = field(default_factory=dict)
    """Action → headline, comparator or exact-only: how much is spent on it."""
    pools: Mapping[str, Pooled] = field(default_factory=dict)
    """Actions of random sets of which only a mean is reported; empty where each is."""

    @cached_property
    def actions(self) -> tuple[Cell, ...]:
        """One representative cell per distinct action, in order of first appearance."""
        found: dict[str, Cell] = {}
        for cell in self.cells:
            found.setdefault(cell.action, cell)
        return tuple(found.values())

    def rerouted(self, routes: Mapping[str, str]) -> Plan:
        """The same cells on other routes."""
        return replace(self, routes=dict(routes))


def _joined(cell: Cell, names: Sequence[str]) -> str | None:
    """``name=value`` of the fields that are set, with ; between them; None where none is."""
    values = {name: getattr(cell, name) for name in names}
    return ";".join(f"{n}={v}" for n, v in values.items() if v is not None) or None


def _digest(parts: Sequence[object]) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
