import numpy as np
import pytest
from scipy.optimize import brentq, linprog, minimize

from synapse_audit import memory
from synapse_audit.effects.minimum_edit_norms import (
    all_rows_minimum_norm,
    least,
    margins_toward,
    minimum_edit_norms,
    rival_margins,
    row_minimum_norm,
    with_bias,
)


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
    assert row_minimum_norm(logits, inputs, 0) == pytest.approx([1.5])
    assert all_rows_minimum_norm(logits, inputs, 0) == pytest.approx([np.sqrt(6) / 2])


@pytest.mark.parametrize("seed", range(3))
def test_floors_are_the_least_edits_that_an_optimiser_finds(seed):
    inputs, weight, bias, logits = heads(seed)
    target = seed
    one, every = (
        row_minimum_norm(logits, inputs, target),
        all_rows_minimum_norm(logits, inputs, target),
    )
    for i, h in enumerate(inputs):
        least = least_edit(h, weight, bias, target, rows=[target])
        assert one[i] == pytest.approx(least, abs=1e-5)
        least = least_edit(h, weight, bias, target, rows=list(range(4)))
        assert every[i] == pytest.approx(least, abs=1e-5)


def test_all_rows_solves_its_equation():
    inputs, _, _, logits = heads(7, examples=50, classes=9)
    norms = np.sqrt((inputs**2).sum(axis=1) + 1)
    for margins, h, found in zip(
        rival_margins(logits, 2), norms, all_rows_minimum_norm(logits, inputs, 2), strict=True
    ):
        if margins.max() <= 0:
            assert found == 0.0
            continue
        a = brentq(lambda a, m=margins: a - np.maximum(m - a, 0).sum(), 0, 100)
        lowered = np.maximum(margins - a, 0)
        assert found == pytest.approx(np.sqrt(a**2 + (lowered**2).sum()) / h)


def test_more_freedom_never_costs_more():
    inputs, _, _, logits = heads(8, examples=200)
    one, every = row_minimum_norm(logits, inputs, 1), all_rows_minimum_norm(logits, inputs, 1)
    assert (every <= one + 1e-12).all()
    assert (one[logits.argmax(axis=1) == 1] == 0).all()


# ---- all floors: every target, both norms, with and without the bias -----------------------------

NORMS = {"l2": lambda e: np.sqrt((e**2).sum()), "linf": lambda e: np.abs(e).max()}


def least_edit_linf(x, logits, target, *, rows):
    """Smallest largest entry of an edit of these rows, by linear programming."""
    rivals = [c for c in range(len(logits)) if c != target]
    signs = np.array([[float(r == target) - float(r == c) for r in rows] for c in rivals])
    lead = np.kron(signs, x)
    n = lead.shape[1]
    ends = np.block([[np.eye(n), -np.ones((n, 1))], [-np.eye(n), -np.ones((n, 1))]])
    above = np.hstack([-lead, np.zeros((len(rivals), 1))])
    found = linprog(
        np.eye(n + 1)[n],
        A_ub=np.vstack([above, ends]),
        b_ub=np.concatenate([logits[target] - logits[rivals], np.zeros(2 * n)]),
        bounds=(None, None),
    )
    assert found.success
    return found.fun


def constructed(x, logits, target, *, rows, norm):
    """The edit that the docstring says is the smallest."""
    others = np.arange(len(logits)) != target
    margins = np.maximum(logits - logits[target], 0.0)
    direction = x / (x @ x) if norm == "l2" else np.sign(x) / np.abs(x).sum()
    edit = np.zeros((len(logits), len(x)))
    if rows == "row":
        edit[target] = margins.max() * direction
    elif norm == "linf":
        edit[:] = -margins.max() / 2 * direction
        edit[target] *= -1
    else:
        a = brentq(lambda a: a - np.maximum(margins[others] - a, 0).sum(), 0, margins.sum() + 1)
        edit[others] = -np.outer(np.maximum(margins[others] - a, 0), direction)
        edit[target] = a * direction
    return edit


def every_case(seed, classes=4):
    inputs, _, _, logits = heads(seed, examples=5, classes=classes)
    for biased in (False, True):
        seen = with_bias(inputs) if biased else inputs
        found = minimum_edit_norms(logits, seen)
        for rows in ("row", "rows"):
            for norm in NORMS:
                floor = getattr(found, f"{rows}_{norm}")
                for i, x in enumerate(seen):
                    for target in range(classes):
                        yield x, logits[i], target, rows, norm, floor[i, target]


@pytest.mark.parametrize("seed", range(3))
def test_the_constructed_edit_redirects_just_above_its_floor_and_not_below(seed):
    for x, logits, target, rows, norm, floor in every_case(seed):
        edit = constructed(x, logits, target, rows=rows, norm=norm)
        assert NORMS[norm](edit) == pytest.approx(floor)
        if floor > 0:
            assert (logits + (1 + 1e-6) * edit @ x).argmax() == target
            assert (logits + (1 - 1e-6) * edit @ x).argmax() != target
        else:
            assert logits.argmax() == target


@pytest.mark.parametrize("seed", range(3))
def test_no_random_edit_below_the_floor_redirects(seed):
    generator = np.random.default_rng(100 + seed)
    for x, logits, target, rows, norm, floor in every_case(seed):
        if floor == 0:
            continue
        best = constructed(x, logits, target, rows=rows, norm=norm)
        # Far from the best edit nothing redirects anyway: half of the tries are near it.
        edits = generator.normal(size=(400, *best.shape))
        edits[::2] = best + 0.1 * np.abs(best).max() * edits[::2]
        if rows == "row":
            edits[:, np.arange(len(logits)) != target] = 0.0
        sizes = np.array([NORMS[norm](edit) for edit in edits])
        edits *= (floor * (1 - 1e-9) / sizes)[:, None, None]
        assert not ((logits + edits @ x).argmax(axis=1) == target).any()


@pytest.mark.parametrize("seed", range(2))
def test_linf_floors_are_what_a_linear_programme_finds(seed):
    inputs, _, _, logits = heads(seed, examples=4)
    for seen in (inputs, with_bias(inputs)):
        found = minimum_edit_norms(logits, seen)
        for i, x in enumerate(seen):
            for target in range(4):
                one = least_edit_linf(x, logits[i], target, rows=[target])
                every = least_edit_linf(x, logits[i], target, rows=list(range(4)))
                assert found.row_linf[i, target] == pytest.approx(one, abs=1e-9)
                assert found.rows_linf[i, target] == pytest.approx(every, abs=1e-9)


def test_every_target_agrees_with_one_at_a_time():
    inputs, _, _, logits = heads(9, examples=40, classes=7)
    found = minimum_edit_norms(logits, with_bias(inputs))
    for target in range(7):
        assert found.row_l2[:, target] == pytest.approx(row_minimum_norm(logits, inputs, target))
        assert found.rows_l2[:, target] == pytest.approx(
            all_rows_minimum_norm(logits, inputs, target)
        )


def test_the_nearest_class_is_the_runner_up_at_half_its_margin_each():
    inputs, _, _, logits = heads(10, examples=60, classes=5)
    ordered = np.sort(logits, axis=1)
    margin, found = ordered[:, -1] - ordered[:, -2], minimum_edit_norms(logits, inputs)
    l2, l1 = np.linalg.norm(inputs, axis=1), np.abs(inputs).sum(axis=1)
    predicted = logits.argmax(axis=1)
    assert least(found.rows_l2, predicted) == pytest.approx(margin / np.sqrt(2) / l2)
    assert least(found.rows_linf, predicted) == pytest.approx(margin / 2 / l1)
    assert least(found.row_l2, predicted) == pytest.approx(margin / l2)


def test_without_input_or_bias_no_edit_helps():
    found = minimum_edit_norms(np.array([[1.0, 0.0]]), np.zeros((1, 3)))
    assert found.rows_l2.tolist() == [[0.0, np.inf]]
    assert found.row_linf.tolist() == [[0.0, np.inf]]


def test_blocks_do_not_show(monkeypatch):
    generator = np.random.default_rng(7)
    logits, inputs = generator.normal(size=(20, 3)), generator.normal(size=(20, 5))
    whole = minimum_edit_norms(logits, with_bias(inputs))
    monkeypatch.setattr(memory, "NUMBERS", 20)  # three examples at a time
    for one, other in zip(minimum_edit_norms(logits, with_bias(inputs)), whole, strict=True):
        np.testing.assert_array_equal(one, other)
