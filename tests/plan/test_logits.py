from synapse_audit.plan import HEAD, build_cells, make_plan
from synapse_audit.plan.logits import NOISE_DRAWS, logit_noise_cells, temperature_cells

from .plan_inputs import GRID, LAYERS, sources

HEATED = GRID.model_copy(update={"temperatures": (0.5, 2.0), "logit_noise": (1.0, 4.0)})


def test_one_cell_per_temperature() -> None:
    cells = list(temperature_cells(sources(HEATED)))
    assert [cell.strength for cell in cells] == [0.5, 2.0]
    assert {(c.space, c.operator, c.site, c.target) for c in cells} == {
        ("logit", "temperature", "logits", None)
    }


def test_every_draw_of_the_noise_is_an_experiment_of_its_own() -> None:
    cells = list(logit_noise_cells(sources(HEATED)))
    assert [(c.strength, c.draw) for c in cells] == [(s, d) for s in (1.0, 4.0) for d in range(3)]
    assert len({cell.action for cell in cells}) == 6
    many = HEATED.model_copy(update={"draws": 50})
    assert len(list(logit_noise_cells(sources(many)))) == 2 * NOISE_DRAWS


def test_they_are_planned_on_the_head_and_absent_where_not_asked_for() -> None:
    plan = make_plan(build_cells(sources(HEATED)), LAYERS, frozenset())
    mine = [
        cell for cell in plan.cells if cell.operator in ("temperature",) or cell.space == "logit"
    ]
    found = [cell for cell in mine if cell.operator != "shift"]
    assert len(found) == 2 + 6
    assert {plan.routes[cell.action] for cell in found} == {HEAD}
    assert not [c for c in build_cells(sources()) if c.operator == "temperature"]
