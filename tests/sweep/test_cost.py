"""What a plan is said to cost, on a clock that runners of our own turn: known by arithmetic."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from synapse_audit.artifacts import Cell, Plan
from synapse_audit.plan import STREAM, SUFFIX, make_plan
from synapse_audit.sweep import (
    Amount,
    Cost,
    Engine,
    UnitCosts,
    cost,
    estimate,
    reckon,
    subsampling,
)
from synapse_audit.sweep.clean import CleanStates
from synapse_audit.sweep.cost import blocks
from synapse_audit.sweep.subsample import Subsampling, pilot_cells

from .rigs import Rig, silence

SUFFIX_SECONDS, STREAM_SECONDS = 1e-6, 1e-5
"""Per block and padded token; per cell and example."""


class Clock:
    """Seconds that only the runners add to; one measurement is interrupted."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls = 0
        self.lengths: list[int] = []
        """Of the batches of suffix calls."""

    def suffix(self, engine: Engine, clean: CleanStates, cells: Sequence[Cell]) -> torch.Tensor:
        work = sum(blocks(cell, SUFFIX, engine.classifier.n_layers) for cell in cells)
        self.calls += 1
        self.lengths.append(clean.tokens // len(clean.examples))
        interrupted = 100.0 if self.calls == 2 else 1.0  # the first one that is timed
        self.now += interrupted * SUFFIX_SECONDS * clean.tokens * work
        return torch.zeros(len(cells), len(clean.examples), 4)

    def stream(self, engine: Engine, clean: CleanStates, cells: Sequence[Cell]) -> torch.Tensor:
        self.now += STREAM_SECONDS * len(clean.examples) * len(cells)
        return torch.zeros(len(cells), len(clean.examples), 4)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setitem(cost.RUNNERS, SUFFIX, made.suffix)
    monkeypatch.setitem(cost.RUNNERS, STREAM, made.stream)
    monkeypatch.setattr(cost, "time", SimpleNamespace(perf_counter=lambda: made.now))
    return made


def _plan() -> Plan:
    cells = [silence("zero", {1: range(n)}) for n in range(1, 9)]
    cells += [silence("mean", {3: range(4)}), silence("zero", {1: range(4)}, position="all")]
    return make_plan(cells, 3, frozenset({STREAM, SUFFIX}))


def _estimate(rig: Rig, plan: Plan, chosen: Subsampling) -> Cost:
    with rig.engine() as engine:
        return estimate(engine, rig.encoded, plan, rows=rig.rows, chosen=chosen, batch_size=4)


def _padded(rig: Rig) -> int:
    lengths = np.sort(rig.encoded.lengths[rig.rows])[::-1]
    return sum(int(part[0]) * len(part) for part in np.split(lengths, range(4, len(lengths), 4)))


@pytest.fixture
def chosen(rig: Rig) -> Subsampling:
    drawn = subsampling(
        rig.rows,
        rig.labels[rig.rows],
        lengths=rig.encoded.lengths[rig.rows],
        precision=0.01,
        seed=0,
    )
    return replace(drawn, pilot=2)


@pytest.mark.usefixtures("clock")
def test_the_cost_of_every_cell_is_its_share_of_tokens_and_blocks(
    rig: Rig, chosen: Subsampling
) -> None:
    plan = _plan()
    found = _estimate(rig, plan, chosen)
    for cell in plan.actions:
        slow = SUFFIX_SECONDS * _padded(rig) * blocks(cell, SUFFIX, 3)
        fast = STREAM_SECONDS * len(rig.rows)
        expected = fast if plan.routes[cell.action] == STREAM else slow
        assert found.seconds[cell.action] == pytest.approx(expected), cell.key


@pytest.mark.usefixtures("clock")
def test_the_expected_time_holds_first_phase_pilot_and_likely_exact_examples(
    rig: Rig, chosen: Subsampling
) -> None:
    plan, n = _plan(), len(rig.rows)
    found = _estimate(rig, plan, chosen)
    estimated = [cell for cell in plan.actions if cell.action in found.stream]
    assert len(estimated) == 8
    exactly = sum(found.seconds[cell.action] for cell in estimated)
    second = sum(found.seconds[c.action] * found.shares[c.action] for c in estimated)
    first = STREAM_SECONDS * n * len(estimated)
    rest = sum(found.seconds.values()) - exactly
    pilot = sum(found.seconds[cell.action] for cell in pilot_cells(estimated)) * 2 / n
    assert found.expected == pytest.approx(rest + first + pilot + second)
    assert found.of(found.seconds) == pytest.approx(found.expected - pilot)
    assert sum(found.work.values()) == pytest.approx(found.expected)
    assert found.work["second phase"] == pytest.approx(second) and 0 < second <= exactly


def test_a_cost_is_reckoned_from_unit_costs_alone() -> None:
    """By hand: 2 s per block and token, 3 s per example on the stream, 5 s of findings each."""
    alone, every = silence("zero", {3: range(4)}), silence("zero", {1: range(4)}, position="all")
    below = silence("mean", {1: range(4)})
    plan = make_plan([alone, every, below], 3, frozenset({STREAM, SUFFIX}))
    units = UnitCosts({"head": 1.0, STREAM: 3.0, SUFFIX: 2.0}, first_phase=0.5, findings=5.0)
    rows = np.arange(1000)
    chosen = subsampling(rows, rows % 2, precision=0.01, seed=0)
    found = reckon(plan, units, Amount(1000, 7000, 3), chosen, {every.action: 0.25})
    run = blocks(every, SUFFIX, 3)
    assert (
        found.seconds[alone.action] == {"head": 1000.0, STREAM: 3000.0}[plan.routes[alone.action]]
    )
    assert found.seconds[every.action] == pytest.approx(2.0 * 7000 * run / 4)
    assert found.stream == {below.action: 500.0}
    whole = 2.0 * 7000 * run
    assert found.pilot == pytest.approx(whole * 50 / 1000)
    # Where the operating point is kept the routes hardly ever disagree: the fewest examples.
    assert found.shares[below.action] == pytest.approx(chosen.floor)
    assert found.of([every.action]) == pytest.approx(whole / 4 + 5.0)
    exact = reckon(plan, units, Amount(1000, 7000, 3), replace(chosen, pilot=1000))
    assert not exact.stream and exact.of([below.action]) == pytest.approx(whole + 5.0)


def test_processes_share_interventions_and_no_findings() -> None:
    units = UnitCosts({"head": 1.0, SUFFIX: 2.0}, first_phase=0.5, clean=3.0, findings=5.0)
    assert units.shared(1) == units
    expected = UnitCosts({"head": 0.25, SUFFIX: 0.5}, first_phase=0.125, clean=3.0, findings=5.0)
    assert units.shared(4) == expected


@pytest.mark.usefixtures("clock")
def test_where_all_is_exact_there_is_neither_pilot_nor_first_phase(
    rig: Rig, chosen: Subsampling
) -> None:
    found = _estimate(rig, _plan(), replace(chosen, pilot=len(rig.rows)))
    assert not found.stream
    assert found.pilot == 0.0
    assert found.expected == pytest.approx(sum(found.seconds.values()))


def test_enough_is_enough(
    rig: Rig, chosen: Subsampling, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    _estimate(rig, _plan(), chosen)
    often, clock.calls = clock.calls, 0
    monkeypatch.setattr(cost, "ENOUGH", 0.0)
    _estimate(rig, _plan(), chosen)
    assert clock.calls == 2 < often


def test_batches_from_short_to_long_are_timed_the_middling_one_first(
    rig: Rig, chosen: Subsampling, clock: Clock
) -> None:
    _estimate(rig, _plan(), chosen)
    lengths = np.sort(rig.encoded.lengths[rig.rows])[::-1][::4]
    assert clock.calls == 2 * cost.BATCHES
    assert clock.lengths[0] == lengths[len(lengths) // 2]
    assert min(clock.lengths) < np.median(lengths) < max(clock.lengths)


def test_one_batch_is_enough(rig: Rig, chosen: Subsampling, clock: Clock) -> None:
    clock.calls, plan, rows = 2, _plan(), rig.rows[:3]  # nothing is interrupted any more
    with rig.engine() as engine:
        found = estimate(engine, rig.encoded, plan, rows=rows, chosen=chosen, batch_size=3)
    for cell in (c for c in plan.actions if plan.routes[c.action] == SUFFIX):
        tokens = 3 * int(rig.encoded.lengths[rows].max())
        expected = SUFFIX_SECONDS * tokens * blocks(cell, SUFFIX, 3)
        assert found.seconds[cell.action] == pytest.approx(expected), cell.key
