import numpy as np
import pytest
from scipy.optimize import brentq, minimize

from synapse_audit.findings.floors import all_rows_floor, margins_toward, rival_margins, row_floor


def heads(seed: int, examples: int = 6, classes: int = 4, features: int = 3):
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(examples, features))
    weight, bias = generator.normal(size=(classes, features)), generator.normal(size=classes)
    return inputs, weight, bias, inputs @ weight.T + bias


def least_edit(h, weight, bias, target, *, rows):
    """Norm of the smallest edit of these rows (and bias) that ties the target with its rivals."""
    x, logits = np.append(h, 1.0), weight @ h + bias
    rivals = [c for c in range(len(bias)) if c != target]
    # Column block r of the constraint is x where r is the target, −x where it is the rival.
    signs = np.array([[float(r == target) - float(r == c) for r in rows] for c in rivals])
    lead = np.kron(signs, x)
    found = minimize(
        lambda edit: edit @ edit,
        np.zeros(lead.shape[1]),
        jac=lambda edit: 2 * edit,
        constraints={
            "type": "ineq",
            "fun": lambda edit: lead @ edit + logits[target] - logits[rivals],
            "jac": lambda edit: lead,
        },
        method="SLSQP",
        options={"ftol": 1e-12},
    )
    assert found.success
    return np.sqrt(found.fun)


def test_margins_by_hand():
    logits = np.array([[1.0, 4.0, 2.0]])
    assert rival_margins(logits, 0).tolist() == [[3.0, 1.0]]
    assert margins_toward(logits, 0).tolist() == [3.0]
    assert margins_toward(logits, 1).tolist() == [-2.0]


def test_floors_by_hand():
    logits, inputs = np.array([[0.0, 3.0, 3.0]]), np.array([[0.0, np.sqrt(3.0)]])
    # ‖(h, 1)‖ = 2. One row: 3/2. All rows: a = 2·(3 − a), so a = 2: √(4 + 1 + 1)/2.
    assert row_floor(logits, inputs, 0) == pytest.approx([1.5])
    assert all_rows_floor(logits, inputs, 0) == pytest.approx([np.sqrt(6) / 2])


@pytest.mark.parametrize("seed", range(3))
def test_floors_are_the_least_edits_that_an_optimiser_finds(seed):
    inputs, weight, bias, logits = heads(seed)
    target = seed
    one, every = row_floor(logits, inputs, target), all_rows_floor(logits, inputs, target)
    for i, h in enumerate(inputs):
        least = least_edit(h, weight, bias, target, rows=[target])
        assert one[i] == pytest.approx(least, abs=1e-5)
        least = least_edit(h, weight, bias, target, rows=list(range(4)))
        assert every[i] == pytest.approx(least, abs=1e-5)


def test_all_rows_solves_its_equation():
    inputs, _, _, logits = heads(7, examples=50, classes=9)
    norms = np.sqrt((inputs**2).sum(axis=1) + 1)
    for margins, h, found in zip(
        rival_margins(logits, 2), norms, all_rows_floor(logits, inputs, 2), strict=True
    ):
        if margins.max() <= 0:
            assert found == 0.0
            continue
        a = brentq(lambda a, m=margins: a - np.maximum(m - a, 0).sum(), 0, 100)
        lowered = np.maximum(margins - a, 0)
        assert found == pytest.approx(np.sqrt(a**2 + (lowered**2).sum()) / h)


def test_more_freedom_never_costs_more():
    inputs, _, _, logits = heads(8, examples=200)
    one, every = row_floor(logits, inputs, 1), all_rows_floor(logits, inputs, 1)
    assert (every <= one + 1e-12).all()
    assert (one[logits.argmax(axis=1) == 1] == 0).all()
