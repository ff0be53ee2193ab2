"""What was planted is found: the sweep says of planted classifiers what arithmetic says."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from planted import CLASSES, LAYERS, PLANTS, Planted, one_output
from scipy.special import expit
from tiny import Tiny, save

from synapse_audit.artifacts import Cell, Outcomes
from synapse_audit.config import PRESETS
from synapse_audit.interventions.edits import HeadView
from synapse_audit.model import Classifier
from synapse_audit.neurons import NeuronSet
from synapse_audit.plan import STREAM, SUFFIX, PlanInputs, make_plan
from synapse_audit.plan.neurons import constant_cells
from synapse_audit.sweep import sweep

from .rigs import Rig, make_rig, silence

Plant = Callable[[str], Planted]
Rigged = Callable[[str], Rig]
EVERY_BLOCK = tuple(range(1, LAYERS + 1))


def _run(rig: Rig, planned: list[Cell]) -> Outcomes:
    plan = make_plan(planned, LAYERS, frozenset({STREAM, SUFFIX}))
    with rig.engine() as engine, rig.classifier.unharmed():
        return sweep(engine, rig.encoded, plan, rig.labels, rows=rig.rows)


def _in_layers(neurons: NeuronSet, layers: tuple[int, ...]) -> NeuronSet:
    return NeuronSet.of({m: ids for m, ids in neurons.members if m in layers})


def _sets(planted: Planted) -> list[NeuronSet]:
    """Each class's sets alone and together, all carriers, all others; in all and single blocks."""
    sets = [chosen for own in planted.sets.values() for chosen in own]
    for own in planted.sets.values():
        union = NeuronSet.of({})
        for chosen in own:
            union = union | chosen
        sets.append(union)
    whole = dict.fromkeys([*sets, planted.carriers, planted.unread, planted.load_bearing])
    layers = (EVERY_BLOCK, *((m,) for m in EVERY_BLOCK))
    return [_in_layers(chosen, some) for chosen in whole for some in layers]


@pytest.mark.parametrize("name", sorted(PLANTS))
@pytest.mark.parametrize("operator", ["zero", "mean"])
def test_the_sweep_says_what_the_arithmetic_says(
    plant: Plant, planted_rig: Rigged, name: str, operator: str
) -> None:
    planted = plant(name)
    values = planted.states.mean(axis=0) if operator == "mean" else None
    chosen = _sets(planted)
    planned = [silence(operator, neurons) for neurons in chosen]
    outcomes = _run(planted_rig(name), planned)
    for neurons, cell in zip(chosen, planned, strict=True):
        found = outcomes.predicted[outcomes.row[cell.action]]
        assert (found == planted.said(neurons, values)).all(), neurons


@pytest.mark.parametrize("name", ["single", "decoy"])
@pytest.mark.parametrize("operator", ["zero", "mean"])
def test_silencing_a_class_kills_it_alone_and_silencing_the_rest_changes_nothing(
    plant: Plant, planted_rig: Rigged, name: str, operator: str
) -> None:
    planted, rig = plant(name), planted_rig(name)
    victims = {victim: silence(operator, sets[0]) for victim, sets in planted.sets.items()}
    rest = silence(operator, planted.unread)
    outcomes = _run(rig, [*victims.values(), rest])
    for victim, cell in victims.items():
        expected = np.where(planted.labels == CLASSES.index(victim), 0, planted.labels)
        assert (outcomes.predicted[outcomes.row[cell.action]] == expected).all()
    assert (outcomes.predicted[outcomes.row[rest.action]] == planted.labels).all()


@pytest.mark.parametrize("threshold", [None, 0.45, 0.55])
def test_a_planted_output_says_what_arithmetic_says_at_any_threshold(
    plant: Plant, tmp_path: Path, threshold: float | None
) -> None:
    """Clean z is tanh(2/4) − tanh(1.5/4) = 0.1038 for alpha, −0.3584 else: p 0.526 or 0.411."""
    planted = plant("single")
    folder = save(Tiny(one_output(planted, "alpha"), planted.tokenizer), tmp_path)
    classifier = Classifier.load(folder).at_threshold(threshold)
    assert classifier.classes == ("not alpha", "alpha")
    rig = make_rig(classifier, classifier.encode(planted.texts))
    alpha = planted.labels == CLASSES.index("alpha")
    assert (rig.labels == (alpha if threshold != 0.55 else 0)).all()
    sets = _sets(planted)
    planned = [silence(operator, neurons) for neurons in sets for operator in ("zero", "mean")]
    outcomes = _run(rig, planned)
    for i, cell in enumerate(planned):
        values = planted.states.mean(axis=0) if cell.operator == "mean" else None
        logits = planted.logits(sets[i // 2], values)
        share = expit(logits[:, 1] - logits[:, 0])
        row = outcomes.row[cell.action]
        assert (outcomes.predicted[row] == (share > (threshold or 0.5))).all()
        own = np.where(rig.labels == 1, share, 1 - share)
        assert outcomes.probability[row] == pytest.approx(own, abs=1e-5)


def test_a_redundant_class_survives_the_loss_of_either_set(
    plant: Plant, planted_rig: Rigged
) -> None:
    planted = plant("redundant")
    either = [silence("mean", chosen) for own in planted.sets.values() for chosen in own]
    both = silence("mean", planted.sets["beta"][0] | planted.sets["beta"][1])
    outcomes = _run(planted_rig("redundant"), [*either, both])
    for cell in either:
        assert (outcomes.predicted[outcomes.row[cell.action]] == planted.labels).all()
    lost = outcomes.predicted[outcomes.row[both.action]] != planted.labels
    assert (lost == (planted.labels == CLASSES.index("beta"))).all()


@pytest.mark.parametrize("layer", EVERY_BLOCK)
def test_a_load_bearing_constant_harms_when_zeroed_and_not_when_held_at_its_mean(
    plant: Plant, planted_rig: Rigged, layer: int
) -> None:
    planted = plant("leaning")
    chosen = _in_layers(planted.load_bearing, (layer,))
    zeroed, held = silence("zero", chosen), silence("mean", chosen)
    outcomes = _run(planted_rig("leaning"), [zeroed, held])
    assert (outcomes.predicted[outcomes.row[zeroed.action]] == planted.said(chosen)).all()
    if layer == LAYERS:
        assert (outcomes.predicted[outcomes.row[zeroed.action]] == 0).all(), "everything is plain"
    assert (outcomes.predicted[outcomes.row[held.action]] == planted.labels).all()


def test_the_planted_constant_is_a_candidate(
    plant: Plant, planted_rig: Rigged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size is 2 where a typical neuron's is 1, not the 5 that real models' constants exceed."""
    monkeypatch.setattr(sys.modules[constant_cells.__module__], "CONSTANT_RATIO", 1.5)
    layout, generator = plant("leaning").layout, np.random.default_rng(0)
    source = PlanInputs(
        grid=PRESETS["quick"],
        rankings={},
        statistics=planted_rig("leaning").site.pooled,
        head=HeadView(np.ones((4, 32)), generator.normal(size=(5, 32)), np.zeros(5, int), None),
        column_scores={},
        classes=CLASSES,
        seed=0,
    )
    found = {cell.addresses for cell in constant_cells(source) if cell.layers != "0"}
    pair = (layout.constant, layout.constant + layout.width // 2)
    assert found == {f"{m}:block_output:{neuron}" for m in EVERY_BLOCK for neuron in pair}
