"""A fast route that is wrong is found out and not used; a wrong head stops the audit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synapse_audit.artifacts import GLOBAL, Cell, LabelledData, Ranking, Splits
from synapse_audit.config import Grid, make_config
from synapse_audit.errors import ModelError
from synapse_audit.interventions.edits import HeadView
from synapse_audit.neurons import NeuronSet
from synapse_audit.pipeline.stages import Run, Subject, prepare
from synapse_audit.plan import FULL, HEAD, STREAM, SUFFIX, PlanInputs, build_cells, make_plan
from synapse_audit.store import RunFolder
from synapse_audit.sweep import verify_routes
from synapse_audit.sweep.runners import RUNNERS
from synapse_audit.sweep.verify import awkward_batches

from .rigs import Rig

pytestmark = pytest.mark.unchecked

GRID = Grid(
    max_examples=60,
    fractions=(0.2, 0.5),
    operators=("mean", "zero", "noise"),
    layer_fractions=(0.5,),
    position_fractions=(0.3,),
    draws=2,
    rankings=("probe",),
    budgets=(0.5,),
    columns=(0.5,),
    constants=(2.0,),
)


class Quiet:
    """Shows nothing."""

    @contextmanager
    def stage(self, title: str, total: float) -> Iterator[Callable[[float], None]]:
        yield lambda done: None

    def note(self, text: str) -> None:
        return None


def _sources(rig: Rig) -> PlanInputs:
    generator = np.random.default_rng(0)
    classes = rig.classifier.classes
    widths = [len(layer.mean) for layer in rig.site.pooled]
    scores = {name: [generator.normal(size=w) for w in widths] for name in (GLOBAL, *classes)}
    inputs = generator.normal(0.5, 1, size=(20, 32)).astype(np.float32)
    return PlanInputs(
        grid=GRID,
        rankings={"probe": Ranking("probe", scores)},
        statistics=rig.site.pooled,
        head=HeadView(rig.classifier.head_weight, inputs, np.arange(20) % 4, None),
        column_scores={name: [generator.normal(size=32)] for name in classes},
        classes=classes,
        seed=0,
    )


def _break(monkeypatch: pytest.MonkeyPatch, route: str, *, operator: str = "") -> None:
    """Adds 0.01 to every logit of the cells that a route runs (of one operator, or all)."""
    runner = RUNNERS[route]

    def broken(engine: Any, clean: Any, cells: Any) -> Any:
        logits = runner(engine, clean, cells).clone()
        for row, cell in enumerate(cells):
            logits[row] += 0.01 * (operator in cell.operator)
        return logits

    monkeypatch.setitem(RUNNERS, route, broken)


def _prepare(rig: Rig, folder: Path, **more: Any) -> tuple[Any, dict[str, Any]]:
    options = {"model": "m", "data": "d", "exact": True, **more}
    config = make_config(options).model_copy(update={"grid": GRID})
    run = Run(RunFolder.claim(folder), config, Quiet())
    splits = Splits(np.arange(0), np.arange(0), rig.rows)
    data = LabelledData(
        inputs=("text",) * len(rig.encoded),
        labels=rig.labels,
        classes=rig.classifier.classes,
        weights=np.ones(len(rig.encoded)),
        origin=np.zeros(len(rig.encoded), dtype=np.int64),
        groups=None,
        sha256="",
        source="",
        n_rows=len(rig.encoded),
        n_repeats=0,
    )
    with rig.engine() as engine, rig.classifier.unharmed():
        subject = Subject(rig.classifier, data, splits, rig.encoded)
        found = prepare(run, subject, engine, _sources(rig), np.zeros((len(rig.encoded), 4)))
    return found, run.folder.manifest


def test_a_time_budget_that_cannot_be_kept_is_said_at_once(rig: Rig, tmp_path: Path) -> None:
    found, manifest = _prepare(rig, tmp_path / "short", time_budget=1e-6)
    assert found.left_out and "time budget" in manifest["warnings"][0]
    found, manifest = _prepare(rig, tmp_path / "long", time_budget=1e6)
    assert not found.left_out and "warnings" not in manifest


def test_healthy_routes_pass_and_every_kind_is_checked(family_rig: Rig) -> None:
    rig = family_rig
    plan = make_plan(build_cells(_sources(rig)), 3, frozenset({STREAM, SUFFIX}))
    with rig.engine() as engine:
        checks = verify_routes(engine, rig.encoded, plan, rig.rows)
    assert all(check.passed for check in checks)
    found = {(check.route, check.kind) for check in checks}
    for route in (STREAM, SUFFIX, HEAD):
        assert (route, "neuron/zero/block_output/pooled") in found
    assert (SUFFIX, "neuron/mean/block_output/all") in found
    assert {(HEAD, "weight/push/head_weight"), (HEAD, "logit/shift/logits")} <= found


def test_every_operator_is_checked_on_short_long_and_padded_texts_side_by_side(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest and the shortest text of the data are in a batch of every kind of cell."""
    plan = make_plan(build_cells(_sources(rig)), 3, frozenset({STREAM, SUFFIX}))
    seen: dict[str, set[int]] = {}
    runner = RUNNERS[FULL]

    def full(engine: Any, clean: Any, cells: Any) -> Any:
        for cell in cells:
            key = f"{plan.routes[cell.action]}/{cell.space}/{cell.operator}/{cell.position}"
            seen.setdefault(key, set()).update(clean.examples.tolist())
        return runner(engine, clean, cells)

    monkeypatch.setitem(RUNNERS, FULL, full)
    with rig.engine() as engine:
        verify_routes(engine, rig.encoded, plan, rig.rows)
    order = np.argsort(rig.encoded.lengths, kind="stable")
    for kind, examples in seen.items():
        assert order[0] in examples, kind
        assert order[-1] in examples or kind.startswith(HEAD), kind
    assert any(k.startswith(HEAD) and order[-1] in rows for k, rows in seen.items())
    assert {f"{SUFFIX}/neuron/{name}/pooled" for name in GRID.operators} <= seen.keys()


def test_what_breaks_without_padding_is_found_for_every_operator(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No batch but the leading kind's is without padding, until that one fails."""
    plan = make_plan(build_cells(_sources(rig)), 3, frozenset({STREAM, SUFFIX}))
    runner = RUNNERS[SUFFIX]
    longest = set(np.argsort(rig.encoded.lengths, kind="stable")[-4:].tolist())

    def broken(engine: Any, clean: Any, cells: Any) -> Any:
        wrong = {*clean.examples.tolist()} == longest and cells[0].position == "pooled"
        return runner(engine, clean, cells) + 0.01 * wrong

    monkeypatch.setitem(RUNNERS, SUFFIX, broken)
    with rig.engine() as engine:
        checks = verify_routes(engine, rig.encoded, plan, rig.rows)
    failed = {check.kind for check in checks if not check.passed}
    assert failed == {f"neuron/{name}/block_output/pooled" for name in GRID.operators}


@pytest.mark.parametrize("route", [STREAM, SUFFIX, HEAD])
def test_a_broken_route_is_found_out(rig: Rig, route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_plan(build_cells(_sources(rig)), 3, frozenset({STREAM, SUFFIX}))
    _break(monkeypatch, route, operator="zero")
    with rig.engine() as engine:
        checks = verify_routes(engine, rig.encoded, plan, rig.rows)
    failed = {(check.route, check.kind) for check in checks if not check.passed}
    assert failed == {(route, "neuron/zero/block_output/pooled")}


def test_a_healthy_model_uses_every_route(rig: Rig, tmp_path: Path) -> None:
    prepared, manifest = _prepare(rig, tmp_path)
    facts = manifest["routes"]
    assert set(prepared.plan.routes.values()) == {HEAD, STREAM, SUFFIX}
    assert all(fact["used"] and fact["largest_gap"] <= 1e-4 for fact in facts.values())
    assert prepared.cost.cells.keys() == {HEAD, STREAM, SUFFIX}
    assert sum(prepared.cost.cells.values()) == len(prepared.plan.actions)
    assert 0 < prepared.cost.saved < 1


@pytest.mark.parametrize(
    ("broken", "left"),
    [
        ([STREAM], {HEAD, SUFFIX}),
        ([SUFFIX], {HEAD, STREAM, FULL}),
        ([STREAM, SUFFIX], {HEAD, FULL}),
    ],
)
def test_a_broken_route_is_not_used(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: list[str], left: set[str]
) -> None:
    for route in broken:
        _break(monkeypatch, route)
    prepared, manifest = _prepare(rig, tmp_path)
    facts = manifest["routes"]
    assert set(prepared.plan.routes.values()) == left
    assert {route for route, fact in facts.items() if not fact["used"]} == set(broken)


def test_one_kind_that_differs_is_run_with_hooks_and_the_rest_stays_fast(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _break(monkeypatch, SUFFIX, operator="zero")
    prepared, manifest = _prepare(rig, tmp_path)
    facts = manifest["routes"]
    slow = {c.operator for c in prepared.plan.actions if prepared.plan.routes[c.action] == FULL}
    assert slow == {"zero"}
    assert SUFFIX in prepared.plan.routes.values()
    assert facts[SUFFIX]["used"]
    assert facts[SUFFIX]["run_with_hooks"] == ["neuron/zero/block_output/pooled"]


def test_what_breaks_only_at_the_lowest_layer_is_found_out(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A projection between embeddings and blocks, say; its cell is not first, last or largest."""
    sets = [{2: [0]}, {0: [0]}, {1: [0, 1, 2]}, {1: [0]}]
    cells = [Cell("neuron", "zero", "block_output", neurons=NeuronSet.of(one)) for one in sets]
    runner = RUNNERS[SUFFIX]

    def broken(engine: Any, clean: Any, cells: Any) -> Any:
        if any(0 in cell.neurons.layers for cell in cells):
            raise RuntimeError("shapes")
        return runner(engine, clean, cells)

    monkeypatch.setitem(RUNNERS, SUFFIX, broken)
    with rig.engine() as engine:
        plan = make_plan(cells, 3, frozenset({SUFFIX}))
        checks = verify_routes(engine, rig.encoded, plan, rig.rows)
    assert [(check.passed, check.failure) for check in checks] == [(False, "shapes")]


def test_a_broken_head_stops_the_audit(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _break(monkeypatch, HEAD)
    with pytest.raises(ModelError, match=r"head route differs from plain hooks by 0\.01"):
        _prepare(rig, tmp_path)


def test_awkward_batches_are_the_shortest_the_longest_and_the_most_padded(rig: Rig) -> None:
    lengths = np.sort(rig.encoded.lengths)
    short, long, mixed = (
        rig.encoded.lengths[batch] for batch in awkward_batches(rig.encoded, rig.rows)
    )
    assert sorted(short.tolist()) == lengths[:4].tolist()
    assert sorted(long.tolist()) == lengths[-4:].tolist()
    assert sorted(mixed.tolist()) == [*lengths[:2], *lengths[-2:]]
