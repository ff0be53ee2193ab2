"""Cells of neurons that somebody named: exactly these, beside random controls of the same
counts."""

from dataclasses import replace

from synapse_audit.artifacts import Cell
from synapse_audit.neurons import NeuronSet
from synapse_audit.neurons.addresses import parse_addresses
from synapse_audit.plan import NamedNeurons, PlanInputs, build_cells, leave_out, make_plan
from synapse_audit.plan.named_neurons import named_neuron_cells
from synapse_audit.plan.trimming import TRIMMED_FIRST

from .plan_inputs import GRID, WIDTH, sources

BLOCKS = NeuronSet.of({1: [3], 2: [0, 1, 39]})
INNER = NeuronSet.of({1: [59, 7]})


def _sources() -> PlanInputs:
    given = {
        "block_output": NamedNeurons(BLOCKS, (WIDTH,) * 3),
        "mlp_activation": NamedNeurons(INNER, (0, 60, 60)),
    }
    return replace(sources(), given=given)


def _of(cells: list[Cell], site: str, operator: str, selection: str) -> list[NeuronSet]:
    chosen = [c for c in cells if (c.site, c.operator, c.selection) == (site, operator, selection)]
    return [c.neurons for c in chosen if c.neurons is not None]


def test_none_is_named_none_is_run() -> None:
    assert list(named_neuron_cells(sources())) == []


def test_exactly_the_named_neurons_and_controls_of_the_same_counts() -> None:
    cells = list(named_neuron_cells(_sources()))
    for site, wanted in (("block_output", BLOCKS), ("mlp_activation", INNER)):
        for operator in ("mean", "zero", "noise"):  # the grid's, which holds the first two
            assert _of(cells, site, operator, "given") == [wanted]
            random_controls = _of(cells, site, operator, "random")
            assert len(set(random_controls)) == GRID.draws == 3
            assert {tuple(random_control.counts.items()) for random_control in random_controls} == {
                tuple(wanted.counts.items())
            }
    assert len(cells) == 2 * 3 * (1 + GRID.draws)
    assert (
        max(i for t in _of(cells, "mlp_activation", "mean", "random") for i in t.members[0][1]) > 39
    )


def test_the_addresses_are_those_of_the_set() -> None:
    for cell in named_neuron_cells(_sources()):
        assert cell.addresses is not None
        named = parse_addresses(cell.addresses)
        assert named == {cell.site: BLOCKS if cell.site == "block_output" else INNER}
        assert cell.layers == ("1,2" if cell.site == "block_output" else "1")
        assert cell.fraction is None


def test_the_operators_of_a_grid_without_mean_and_zero_come_after_them() -> None:
    s = _sources()
    s = replace(s, grid=s.grid.model_copy(update={"operators": ("negate",)}))
    assert list(dict.fromkeys(c.operator for c in named_neuron_cells(s))) == [
        "mean",
        "zero",
        "negate",
    ]


def test_no_time_budget_takes_them_away() -> None:
    s = _sources()
    plan = make_plan(build_cells(s), 2, frozenset({"suffix"}))
    left = leave_out(plan, TRIMMED_FIRST)
    assert len(left.cells) < len(plan.cells)
    assert {c.key for c in named_neuron_cells(s)} <= {c.key for c in left.cells}
