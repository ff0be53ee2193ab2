"""What the plan says that a sweep will take, against what it took.

On a busy machine both are noisy, so the ratio is told and only a gross error fails. Takes about a
minute on one core.
"""

import time
from collections.abc import Callable

import pytest

from synapse_audit.config import PRESETS
from synapse_audit.plan import HEAD, STREAM, SUFFIX, make_plan
from synapse_audit.sweep import Engine, estimate, sweep, tapped

from .bundled import Forgetful, Ready, make_ready

pytestmark = pytest.mark.proof

GOAL, GROSS = 0.2, 2.0
ROWS = 600


@pytest.fixture(scope="module")
def quick() -> Ready:
    return make_ready(PRESETS["quick"], ROWS)


def test_planned_cost_is_near_the_measured_one(
    quick: Ready, tell: Callable[[str], None]
) -> None:
    layers, available = quick.classifier.n_layers, frozenset({STREAM, SUFFIX})
    plan = make_plan(quick.cells(), layers, available)
    with tapped(quick.classifier) as tap:
        engine = Engine(quick.classifier, quick.site, 0, tap)
        told, told_cpu = 0.0, time.process_time()
        planned = [estimate(engine, quick.encoded, plan, rows=quick.rows) for _ in range(3)]
        told = sorted(cost.total for cost in planned)[1]
        told_cpu = time.process_time() - told_cpu
        start = time.perf_counter()
        sweep(
            engine,
            quick.encoded,
            plan,
            quick.data.labels,
            rows=quick.rows,
            shelf=Forgetful(),
        )
        took = time.perf_counter() - start
    ratio, shares = told / took, {route: planned[0].cells.get(route, 0) for route in (HEAD, STREAM, SUFFIX)}
    within = "within" if abs(ratio - 1) <= GOAL else "not within"
    tell(
        f"planned {told:.1f} s, measured {took:.1f} s: {ratio:.2f}, {within} {GOAL:.0%} "
        f"({shares}; the estimate itself took {told_cpu / 3:.1f} s)"
    )
    assert 1 / GROSS <= ratio <= GROSS
