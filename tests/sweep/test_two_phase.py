"""Two phases on a tiny classifier: whose outcomes stand where, and what is said of the stream."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from synapse_audit.artifacts import Outcomes, Plan
from synapse_audit.plan import STREAM, SUFFIX, TWO_PHASE, make_plan
from synapse_audit.progress import Silent
from synapse_audit.sweep import Engine, subsample, sweep, sweep_two_phase
from synapse_audit.sweep.subsample import Subsampling
from synapse_audit.sweep.two_phase import eligible

from .rigs import Rig, silence

FIELDS = ("predicted", "probability", "margin", "kl", "confidence")
IDS = range(0, 32, 2)

CLOSE = {"atol": 1e-4, "rtol": 1e-5}
"""Margins and KL come of logits up to 100, and a pair alone is summed in another order."""


def _plan() -> Plan:
    """Cells that may be estimated among others, in disorder."""
    cells = [silence("zero", {3: IDS})]
    cells += [silence("zero", {1: range(n)}) for n in (20, 24, 28, 32)]
    cells += [silence("mean", {2: IDS}, position="all"), silence("zero", {1: IDS, 2: IDS})]
    return make_plan(cells, 3, frozenset({STREAM, SUFFIX}))


def _alone(rig: Rig, engine: Engine, plan: Plan) -> Outcomes:
    return sweep(engine, rig.encoded, plan, rig.labels, rows=rig.rows)


def _two_phase(rig: Rig, engine: Engine, plan: Plan, **options: Any) -> tuple[Plan, Outcomes]:
    given: dict[str, Any] = {"batch_size": None, "progress": Silent()}
    return sweep_two_phase(engine, rig.encoded, plan, rig.labels, **given | options)


def test_exact_outcomes_stand_where_they_were_wanted_and_the_stream_elsewhere(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subsample, "LEAST_SAMPLE", 3)
    n = len(rig.rows)
    numbers = np.random.default_rng(0).permutation(n) / n
    band = np.zeros(n, dtype=np.int8)
    chosen = Subsampling(rig.rows, numbers, 6, precision=0.3, band=band, costs=np.ones(1))
    plan, made = _plan(), []

    def allocate(name: str, shape: tuple[int, int], dtype: type = np.float32) -> np.ndarray:
        made.append(name)
        return np.zeros(shape, dtype)

    with rig.engine() as engine:
        routed, found = _two_phase(
            rig, engine, plan, chosen=chosen, batch_size=8, allocate=allocate
        )
        whole = _alone(rig, engine, plan)
        first = [cell for cell in plan.actions if eligible(plan, cell)]
        routes = {cell.action: STREAM for cell in first}
        stream = _alone(rig, engine, Plan(tuple(first), routes))

    assert len(first) == 5 and set(made) == {
        *FIELDS,
        "direct_design_weight",
        "direct_predicted",
        "direct_kl",
    }
    assert sorted(found.actions) == sorted(whole.actions)
    direct = found.direct
    assert direct is not None and direct.estimated.sum() >= 3
    for action in found.actions:
        row, exact = found.row[action], direct.design_weight[found.row[action]] > 0
        right = whole.row[action]
        estimated = routed.routes[action] == TWO_PHASE
        assert estimated == (not exact.all())
        other = stream if action in routes else whole
        for name in FIELDS:
            expected = np.where(
                exact, getattr(whole, name)[right], getattr(other, name)[other.row[action]]
            )
            np.testing.assert_allclose(getattr(found, name)[row], expected, **CLOSE)
        for name in ("predicted", "kl"):
            said = getattr(other, name)[other.row[action]]
            np.testing.assert_allclose(getattr(direct, name)[row], said, **CLOSE)
        assert (direct.design_weight[row][exact] >= 1).all()
        assert action in routes or (direct.design_weight[row] == 1).all()
    rows = [found.row[cell.action] for cell in first]
    apart = np.abs(found.kl[rows] - direct.kl[rows])
    assert apart.max() > 1e-4, "somewhere the exact route says something else than the stream"


def test_with_everybody_in_the_pilot_all_is_exact(rig: Rig) -> None:
    chosen = replace(
        subsample.subsampling(rig.rows, rig.labels, precision=0.01, seed=0), pilot=len(rig.rows)
    )
    assert chosen.all_exact
    plan = _plan()
    with rig.engine() as engine:
        routed, found = _two_phase(rig, engine, plan, chosen=chosen)
        whole = _alone(rig, engine, plan)
    assert TWO_PHASE not in routed.routes.values()
    for cell in plan.actions:
        mine, other = found.row[cell.action], whole.row[cell.action]
        np.testing.assert_allclose(found.margin[mine], whole.margin[other], **CLOSE)
