"""A sweep resumes where it stopped, and its results do not depend on how it was cut."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from synapse_audit.artifacts import Cell, HeadEdit, Outcomes, Plan
from synapse_audit.interventions.operators import OPERATORS
from synapse_audit.neurons import NeuronSet
from synapse_audit.plan import FULL, HEAD, STREAM, SUFFIX, make_plan
from synapse_audit.sweep import Engine, chunks, running, sweep
from synapse_audit.sweep.runners import RUNNERS
from synapse_audit.sweep.score import FIELDS

from .rigs import Rig, silence

pytestmark = pytest.mark.unchecked

IDS = list(range(0, 32, 3))

MARGIN = 5e-4
"""Margins of the fitted tiny head reach 100, where float32 resolves 1e-5."""


class Dies(BaseException):
    """The machine goes down."""


class Box:
    """A unit store in memory that may die after some units."""

    def __init__(self, lives: int = 10**6) -> None:
        self.units: dict[str, Mapping[str, np.ndarray]] = {}
        self.lives = lives

    def load(self, name: str) -> Mapping[str, np.ndarray] | None:
        return self.units.get(name)

    def save(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        if len(self.units) >= self.lives:
            raise Dies
        assert name not in self.units, "computed twice"
        self.units[name] = dict(arrays)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many cells each route ran, counted over batches."""
    counted: Counter[str] = Counter()

    def counting(route: str, runner: Callable[..., Any]) -> Callable[..., Any]:
        def run(engine: Engine, clean: Any, cells: Sequence[Cell]) -> Any:
            counted[route] += len(cells)
            return runner(engine, clean, cells)

        return run

    for route, runner in RUNNERS.items():
        monkeypatch.setitem(RUNNERS, route, counting(route, runner))
    return counted


def _plan(available: frozenset[str] = frozenset({STREAM, SUFFIX})) -> Plan:
    cells = [
        silence(name, NeuronSet.of(dict.fromkeys(layers, IDS)))
        for name in sorted(OPERATORS)
        for layers in ((0,), (2,), (3,), (1, 2, 3))
    ]
    edit = HeadEdit(np.full((4, 32), 0.1, np.float32), np.zeros(4, np.float32))
    cells.append(Cell("weight", "push", "head_weight", target="calm", edit=edit))
    cells.append(Cell("logit", "shift", "logits", strength=3.0, target="woe"))
    return make_plan(cells, 3, available)


def _sweep(rig: Rig, plan: Plan, unit_store: Box, batch_size: int = 8, **options: Any) -> Outcomes:
    rows = options.pop("rows", rig.rows)
    with rig.engine() as engine:
        return sweep(
            engine,
            rig.encoded,
            plan,
            rig.labels,
            rows=rows,
            batch_size=batch_size,
            unit_store=unit_store,
            **options,
        )


def _assert_close(one: Outcomes, two: Outcomes) -> None:
    assert one.actions == two.actions
    assert (one.predicted == two.predicted).all()
    np.testing.assert_allclose(one.probability, two.probability, atol=1e-5)
    np.testing.assert_allclose(one.kl, two.kl, atol=MARGIN)
    np.testing.assert_allclose(one.margin, two.margin, atol=MARGIN)


def test_without_a_unit_store_and_without_rows_all_examples_are_run_and_nothing_is_kept(
    rig: Rig,
) -> None:
    with rig.engine() as engine:
        plan = engine.plan(_plan().cells)
        plain = sweep(engine, rig.encoded, plan, rig.labels, batch_size=8)
    kept = _sweep(rig, plan, Box())
    for name in FIELDS:
        assert getattr(plain, name).tobytes() == getattr(kept, name).tobytes()


def test_an_engine_plans_for_what_its_model_can_do(rig: Rig) -> None:
    cells = _plan().cells
    with rig.engine() as engine:
        assert engine.plan(cells) == make_plan(cells, 3, frozenset({STREAM, SUFFIX}))
    untapped = Engine(rig.classifier, rig.site)
    assert untapped.plan(cells) == make_plan(cells, 3, frozenset({SUFFIX}))
    assert set(untapped.plan(cells, frozenset()).routes.values()) == {HEAD, FULL}


def test_a_sweep_that_died_goes_on_without_computing_anything_twice(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, ran: Counter[str]
) -> None:
    monkeypatch.setattr(running, "SLOW_CHUNK", 4)
    plan = _plan()
    whole = _sweep(rig, plan, Box())
    all_at_once = ran.copy()
    ran.clear()
    unit_store = Box(lives=7)
    with pytest.raises(Dies):
        _sweep(rig, plan, unit_store)
    assert len(unit_store.units) == 7
    lost = sum(ran.values())
    unit_store.lives = 10**6
    again = _sweep(rig, plan, unit_store)
    for name in FIELDS:
        assert getattr(again, name).tobytes() == getattr(whole, name).tobytes()
    extra = sum(ran.values()) - sum(all_at_once.values())
    assert 0 < extra <= 4 < lost, "only the unit that was under way ran again"
    ran.clear()
    third = _sweep(rig, plan, unit_store)
    assert not ran, "nothing is left to do"
    assert third.kl.tobytes() == whole.kl.tobytes()


@pytest.mark.parametrize("batch_size", [3, 30])
def test_results_do_not_depend_on_the_batch_size(rig: Rig, batch_size: int) -> None:
    _assert_close(_sweep(rig, _plan(), Box(), batch_size), _sweep(rig, _plan(), Box(), 8))


def test_results_do_not_depend_on_the_routes(rig: Rig, ran: Counter[str]) -> None:
    fast = _sweep(rig, _plan(), Box())
    assert set(ran) == {HEAD, STREAM, SUFFIX}
    ran.clear()
    _assert_close(fast, _sweep(rig, _plan(frozenset()), Box()))
    assert set(ran) == {HEAD, FULL}


def test_results_are_in_ascending_order_of_the_rows_whatever_order_was_given(rig: Rig) -> None:
    whole = _sweep(rig, _plan(), Box())
    some = np.array([21, 4, 9])
    part = _sweep(rig, _plan(), Box(), rows=some)
    expected = {name: getattr(whole, name)[:, [4, 9, 21]] for name in FIELDS}
    _assert_close(Outcomes(whole.actions, **expected), part)


def test_rows_of_outcomes_belong_to_their_actions(rig: Rig) -> None:
    """Each action alone gives the row that it has among all others."""
    plan = _plan()
    whole = _sweep(rig, plan, Box())
    for cell in plan.actions[::5]:
        alone = _sweep(rig, make_plan([cell], 3, frozenset({STREAM, SUFFIX})), Box())
        np.testing.assert_allclose(
            alone.margin[0], whole.margin[whole.row[cell.action]], atol=MARGIN
        )


def test_equal_actions_run_once(rig: Rig, ran: Counter[str]) -> None:
    cell = silence("zero", {2: IDS})
    random_control = Cell(**{**vars(cell), "selection": "top"})
    outcomes = _sweep(rig, make_plan([cell, random_control], 3, frozenset({STREAM})), Box(), 30)
    assert ran == {STREAM: 1}
    assert outcomes.actions == (cell.action,)


def test_wanted_pairs_alone_are_run_and_kept(rig: Rig) -> None:
    """Rows are given in disorder: a pair's outcome belongs to its row in ascending order."""
    cells = [cell for cell in _plan().actions if _plan().routes[cell.action] == SUFFIX]
    plan, box, done = Plan(tuple(cells), {c.action: SUFFIX for c in cells}), Box(), []
    whole = _sweep(rig, plan, Box())
    wanted = np.random.default_rng(0).random(whole.predicted.shape) < 0.2
    wanted[0], wanted[:, rig.rows[:8]] = False, False
    some = {"rows": rig.rows[::-1], "wanted": wanted, "progress": done.append}
    found = _sweep(rig, plan, box, **some)
    for name in FIELDS:
        expected = np.where(wanted, getattr(whole, name), 0)
        np.testing.assert_allclose(getattr(found, name), expected, atol=MARGIN)
    assert sum(done) == wanted.sum()
    board = {name: np.full_like(getattr(whole, name), 7) for name in FIELDS}
    onto = _sweep(rig, plan, Box(), **some, onto=board)
    for name in FIELDS:
        expected = np.where(wanted, getattr(whole, name), 7)
        np.testing.assert_allclose(getattr(onto, name), expected, atol=MARGIN)
        assert getattr(onto, name) is board[name]
    again = _sweep(rig, plan, box, **some)  # the box refuses to keep anything twice
    assert again.margin.tobytes() == found.margin.tobytes()


def test_progress_adds_up_to_all_the_work(rig: Rig) -> None:
    plan, done = _plan(), []
    _sweep(rig, plan, Box(), progress=done.append)
    assert sum(done) == len(plan.actions) * len(rig.encoded)


def test_chunks_hold_each_action_once_by_route(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "SLOW_CHUNK", 3)
    plan = _plan()
    found = chunks(plan)
    actions = [cell.action for chunk in found for cell in chunk.cells]
    assert sorted(actions) == sorted(cell.action for cell in plan.actions)
    for chunk in found:
        assert {plan.routes[cell.action] for cell in chunk.cells} == {chunk.route}
    assert len({chunk.name for chunk in found}) == len(found)


def test_another_seed_changes_noise_and_nothing_else(rig: Rig) -> None:
    cells = [silence("noise", {3: IDS}), silence("mean", {3: IDS})]
    plan = make_plan(cells, 3, frozenset())
    found = []
    for seed in (0, 1):
        with rig.engine(seed) as engine:
            found.append(
                sweep(engine, rig.encoded, plan, rig.labels, rows=rig.rows, unit_store=Box()).margin
            )
    assert (found[0][0] != found[1][0]).all()
    assert (found[0][1] == found[1][1]).all()
