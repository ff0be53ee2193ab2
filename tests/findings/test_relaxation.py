"""Bounds through a dense layer: never above what an attack shows, and exact where they can be."""

from itertools import combinations

import numpy as np
import pytest

from synapse_audit.findings.certificates import relaxation
from synapse_audit.findings.certificates.activation_bounds import ACTIVATIONS
from synapse_audit.findings.certificates.relaxation import (
    DenseHead,
    certified_counts,
    certified_radii,
)

GRID = np.geomspace(1e-3, 3.0, 120)


def problem(activation, seed=0, classes=4, examples=30, neurons=7, features=6):
    generator = np.random.default_rng(seed)
    head = DenseHead(
        generator.normal(size=(features, neurons)) / 2,
        generator.normal(size=features) / 2,
        ACTIVATIONS[activation],
        generator.normal(size=(classes, features)),
        generator.normal(size=classes) / 4,
    )
    return head, generator.normal(0.3, 1.0, size=(examples, neurons)), generator


def predicted(head, states):
    return (head.head_input(states) @ head.rows.T + head.bias).argmax(axis=-1)


def slopes_toward(head, states, start, rival):
    steer = head.rows[start] - head.rows[rival]
    return -(steer * head.activation.slope(head.inputs(states))) @ head.dense


def attacked(head, states, radius, norm, generator):
    """Whether random points of the ball, or gradient steps inside it, change the prediction."""
    start, moved = predicted(head, states), np.zeros(len(states), dtype=bool)
    for trial in range(40):
        step = generator.normal(size=states.shape)
        for _ in range(12 if trial < 2 * len(head.rows) else 1):
            step = onto(step, radius, norm)
            moved |= predicted(head, states + step) != start
            rival = np.full(len(states), trial % len(head.rows))
            push = slopes_toward(head, states + step, start, rival)
            push = push / np.maximum(np.abs(push).max(axis=1, keepdims=True), 1e-12)
            step = step + radius[:, None] * (push if norm == "l2" else np.sign(push))
    return moved


def onto(step, radius, norm):
    """The step, shrunk into the ball and spread over its surface."""
    if norm == "l2":
        return step * (radius / np.linalg.norm(step, axis=1))[:, None]
    return np.clip(step, -radius[:, None], radius[:, None])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_no_attack_within_the_radius_succeeds_and_some_beyond_it_do(activation, norm):
    head, states, generator = problem(activation)
    safe = certified_radii(head, states, norm=norm, grid=GRID)
    unit = np.linalg.norm(states, axis=1) / (1.0 if norm == "l2" else np.sqrt(states.shape[1]))
    assert (safe > 0).mean() > 0.8
    assert not attacked(head, states, safe * unit, norm, generator)[safe > 0].any()
    # Not so cautious as to say nothing: four times as far most examples do move.
    assert attacked(head, states, 4 * safe * unit, norm, generator)[safe > 0].mean() > 0.5


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("mean", [False, True])
def test_no_set_within_the_count_changes_the_prediction(activation, mean):
    head, states, _ = problem(activation, seed=1)
    kept = states.mean(axis=0) if mean else np.zeros(states.shape[1])
    safe = certified_counts(head, states, replacement=kept, grid=np.arange(1.0, 8.0))
    truth = np.zeros(len(states))
    for i, state in enumerate(states):
        start = predicted(head, state[None])[0]
        for k in range(1, len(state) + 1):
            sets = [list(chosen) for chosen in combinations(range(len(state)), k)]
            silenced = np.tile(state, (len(sets), 1))
            for row, chosen in zip(silenced, sets, strict=True):
                row[chosen] = kept[chosen]
            if (predicted(head, silenced) != start).any():
                break
            truth[i] = k
    assert (safe <= truth).all()
    assert safe.sum() > 0.2 * truth.sum() > 0


def test_a_coarse_grid_rounds_down():
    head, states, _ = problem("tanh")
    fine = certified_radii(head, states, norm="l2", grid=GRID)
    coarse = certified_radii(head, states, norm="l2", grid=np.array([0.01, 0.1, 1.0]))
    assert (coarse <= fine * 1.07).all()
    assert set(coarse) <= {0.0, 0.01, 0.1, 1.0}


def test_chunks_make_no_difference(monkeypatch):
    head, states, _ = problem("gelu")
    whole = certified_radii(head, states, norm="linf", grid=GRID)
    monkeypatch.setattr(relaxation, "WORK", 100)
    assert np.array_equal(certified_radii(head, states, norm="linf", grid=GRID), whole)


def test_curvature_with_many_classes_is_no_less_than_of_each_pair(monkeypatch):
    head, _, _ = problem("tanh", classes=6)
    exact = head.bends.copy()
    monkeypatch.setattr(relaxation, "EXACT_PAIRS", 0)
    other, _, _ = problem("tanh", classes=6)
    assert (other.bends >= exact - 1e-12).all()


def test_curvature_is_the_largest_second_derivative():
    head, _, generator = problem("tanh", classes=3)
    steer = np.abs(head.rows[0] - head.rows[2]) * head.activation.bend
    directions = generator.normal(size=(5000, head.dense.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    seen = ((directions @ head.dense.T) ** 2 @ steer).max()
    assert seen <= head.bends[0, 2] <= 1.3 * seen


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_what_is_known_of_each_activation(name):
    act, generator = ACTIVATIONS[name], np.random.default_rng(3)
    centre = generator.normal(0, 1.5, size=300)
    low, high = centre - generator.gamma(1, 1, 300), centre + generator.gamma(1, 1, 300)
    points = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, 400)
    values = act.value(points)
    image, off = act.image(low, high), act.deviation(centre, low, high)
    assert (image.low - 1e-12 <= values.min(axis=1)).all()
    assert (image.high + 1e-12 >= values.max(axis=1)).all()
    assert image.low == pytest.approx(values.min(axis=1), abs=1e-3)
    assert image.high == pytest.approx(values.max(axis=1), abs=1e-3)
    tangent = act.value(centre)[:, None] + act.slope(centre)[:, None] * (points - centre[:, None])
    assert (off.low - 1e-9 <= (values - tangent).min(axis=1)).all()
    assert (off.high + 1e-9 >= (values - tangent).max(axis=1)).all()
    steps = (act.value(centre + 1e-6) - act.value(centre - 1e-6)) / 2e-6
    assert act.slope(centre) == pytest.approx(steps, abs=1e-5)
    if np.isfinite(act.bend):
        x = np.linspace(-6, 6, 20001)
        second = np.gradient(act.slope(x), x)
        assert np.abs(second).max() == pytest.approx(act.bend, rel=1e-3)
