"""The forecast of a plan beside the plan itself, on the tiny classifier."""

from collections import Counter
from pathlib import Path

import pytest

from synapse_audit.config import AuditConfig, make_config
from synapse_audit.errors import AuditError
from synapse_audit.pipeline.audit import Declined, audit
from synapse_audit.pipeline.forecast import DEPENDS, Forecast, forecast
from synapse_audit.pipeline.stages import Prepared

GRID = {
    "fractions": [0.1, 0.5],
    "layer_fractions": [0.5],
    "class_layer_fractions": [0.5],
    "position_fractions": [0.5],
    "operators": ["mean", "zero"],
    "rankings": ["probeless", "iou"],
    "compared": [],
    "sites": ["mlp_output"],
    "site_fractions": [0.5],
    "other_operators": ["noise", "translate", "patch"],
    "other_fractions": [0.5],
    "edits": ["balanced", "sparse", "row_swap", "gaussian_fault", "gain"],
    "bit_formats": ["fp32"],
    "bit_counts": [1, 2],
    "attacks": ["fgsm", "deletion"],
    "faults": 40,
    "draws": 2,
}


@pytest.fixture(scope="module")
def config(tiny_folder: Path, tiny_csv: Path) -> AuditConfig:
    named = {"model": str(tiny_folder), "data": str(tiny_csv), "preset": "quick"}
    return make_config({**named, "grid": GRID})


@pytest.fixture(scope="module")
def found(config: AuditConfig) -> Forecast:
    return forecast(config)


@pytest.fixture(scope="module")
def planned(config: AuditConfig, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """What the audit itself plans; it stops there."""
    seen: list[Prepared] = []

    def decline(prepared: Prepared) -> bool:
        seen.append(prepared)
        return False

    with pytest.raises(Declined):
        audit(config, tmp_path_factory.mktemp("planned") / "run", approve=decline)
    return seen[0]


def test_every_group_has_as_many_cells_as_the_plan(found: Forecast, planned: Prepared) -> None:
    real = Counter(str(cell.group) for cell in planned.plan.cells)
    sure = {name: n for name, n in found.groups.items() if name not in DEPENDS}
    assert sure == {name: n for name, n in real.items() if name not in DEPENDS}
    assert len(sure) >= 15
    assert found.groups["bit_flip"] >= real["bit_flip"], "a search may stop early, never late"
    assert set(found.uncertain) <= set(DEPENDS)


def test_they_take_the_routes_of_the_plan(found: Forecast, planned: Prepared) -> None:
    def by_route(plan_of: Forecast | Prepared) -> Counter[tuple[str, str]]:
        plan = plan_of.plan
        # Every cell: rankings that tie on a layer name the same neurons there, one action in all.
        cells = [cell for cell in plan.cells if cell.group not in DEPENDS]
        return Counter((str(cell.group), plan.routes[cell.action]) for cell in cells)

    assert by_route(found) == by_route(planned)
    assert set(found.cost.cells) == set(planned.cost.cells)


def test_what_it_takes(found: Forecast, planned: Prepared) -> None:
    assert found.cost.expected > 0 and found.cost.clean > 0 and found.cost.findings > 0
    assert found.trimmed.fits and not found.trimmed.left_out and not found.others
    # Per pair: class 2, probability, margin, divergence and confidence 4 bytes each; of the stream
    # class 2, divergence and design weight 4 each.
    outcomes = len(found.plan.actions) * found.examples * (18 + 10)
    states = 4 * 240 * (4 * 32 + 3 * 32 + 32 + 4)
    assert found.disk == outcomes + states
    assert found.memory is None or found.memory > 50 * 2**20


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"benign": "nobody"}, "nobody"),
        ({"attack": ("telepathy",)}, "attack 'telepathy' given"),
        ({"membership": "gone.csv"}, "gone.csv"),
    ],
)
def test_it_refuses_what_the_audit_would(
    config: AuditConfig, tmp_path: Path, given: dict[str, object], said: str
) -> None:
    wrong = config.model_copy(update=given)
    with pytest.raises(AuditError, match=said) as forecast_says:
        forecast(wrong)
    with pytest.raises(AuditError) as audit_says:
        audit(wrong, tmp_path / "run")
    assert str(audit_says.value) == str(forecast_says.value)
    assert not (tmp_path / "run" / "manifest.json").exists(), "nothing was begun"
