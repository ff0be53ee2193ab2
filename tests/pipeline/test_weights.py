"""Every edit of weights on a live model: really different during, bit for bit the same after."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import CLASSES

from synapse_audit.artifacts import GLOBAL, Cell, LabelledData, Outcomes, Plan, Ranking, Splits
from synapse_audit.config import AuditConfig, make_config
from synapse_audit.interventions.edits import HEAD, KINDS, HeadView, applied
from synapse_audit.model import Classifier, Encoded
from synapse_audit.model.activations import Extraction, extract
from synapse_audit.pipeline.stages import Run, Subject, with_weights
from synapse_audit.plan import HEAD as HEAD_ROUTE
from synapse_audit.plan import SUFFIX, PlanInputs, make_plan
from synapse_audit.plan.bit_flips import flip_cells
from synapse_audit.plan.head import weight_cells
from synapse_audit.plan.random_faults import fault_cells
from synapse_audit.plan.weights import WEIGHT_CELLS, edited_cells, paper_cells
from synapse_audit.probes import layer_statistics
from synapse_audit.progress import Silent
from synapse_audit.store import RunFolder
from synapse_audit.sweep import Engine, Site, sweep, tapped, verify_routes

N = 24
CELLS = (weight_cells, edited_cells, flip_cells, fault_cells, paper_cells)
"""Everything that edits weights."""
GRID = {
    "fractions": (0.5,),
    "operators": ("mean",),
    "layer_fractions": (),
    "draws": 2,
    "rankings": ("probe",),
    "budgets": (0.5,),
    "columns": (0.25,),
    "constants": (1.0,),
    "edits": tuple(WEIGHT_CELLS),
    "bit_formats": ("fp32", "bf16", "fp16", "int8"),
    "bit_counts": (1, 4),
    "faults": 56,
    "paper": True,
}


@dataclass(frozen=True)
class Bench:
    """A classifier, what was extracted from it, and the plan of all its weight cells."""

    classifier: Classifier
    encoded: Encoded
    found: Extraction
    run: Run
    source: PlanInputs
    plan: Plan

    @property
    def labels(self) -> np.ndarray:
        return self.found.logits.argmax(axis=1)

    def again(self) -> PlanInputs:
        fresh = replace(self.source, parts=(), flips=(), every=())
        return with_weights(self.run, _subject(self.classifier, self.encoded), self.found, fresh)


def _splits(n: int) -> Splits:
    return Splits(np.arange(n), np.arange(0), np.arange(n))


def _subject(classifier: Classifier, encoded: Encoded) -> Subject:
    """Edits of weights read no labels: only the model, its inputs and who is in ``fit``."""
    n = len(encoded)
    data = LabelledData(
        inputs=("text",) * n,
        labels=np.zeros(n, dtype=np.int64),
        classes=classifier.classes,
        weights=np.ones(n),
        origin=np.zeros(n, dtype=np.int64),
        groups=None,
        sha256="",
        source="",
        n_rows=n,
        n_repeats=0,
    )
    return Subject(classifier, data, _splits(n), encoded)


def _config(folder: Path) -> AuditConfig:
    return make_config({"model": str(folder), "data": "x.csv", "preset": "quick", "grid": GRID})


@pytest.fixture(scope="module")
def bench(
    tiny_folder: Path, rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    classifier = Classifier.load(tiny_folder)
    encoded = classifier.encode(rows["text"].tolist()[:N])
    found = extract(classifier, encoded, fit=np.arange(N))
    statistics = layer_statistics(found.activations, _splits(N))
    folder = RunFolder.claim(tmp_path_factory.mktemp("weights") / "run")
    run = Run(folder, _config(tiny_folder), Silent())
    before = classifier.fingerprint()
    generator = np.random.default_rng(0)
    scores = [generator.normal(size=len(layer.mean)) for layer in statistics]
    features = classifier.head_weight.shape[1]
    source = PlanInputs(
        grid=run.config.grid,
        rankings={"probe": Ranking("probe", dict.fromkeys((GLOBAL, *CLASSES), scores))},
        statistics=statistics,
        head=HeadView.of(classifier, found.activations.head_input, found.logits.argmax(axis=1)),
        column_scores={name: [generator.normal(size=features)] for name in CLASSES},
        classes=classifier.classes,
        seed=0,
    )
    source = with_weights(run, _subject(classifier, encoded), found, source)
    assert classifier.fingerprint() == before
    cells = [cell for group in CELLS for cell in group(source)]
    cells = [c for c in cells if c.edit is not None and c.edit.n_changed]  # as the plan does
    plan = make_plan(cells, classifier.n_layers, frozenset({SUFFIX}))
    yield Bench(classifier, encoded, found, run, source, plan)


@pytest.fixture(scope="module")
def outcomes(bench: Bench) -> Outcomes:
    before = bench.classifier.fingerprint()
    with tapped(bench.classifier) as tap, bench.classifier.unharmed():
        engine = Engine(bench.classifier, _site(bench), 0, tap)
        found = sweep(engine, bench.encoded, bench.plan, bench.labels, rows=np.arange(N))
    assert bench.classifier.fingerprint() == before
    return found


def _site(bench: Bench) -> Site:
    return Site(bench.source.statistics, bench.found.others)


def _operators(cells: tuple[Cell, ...]) -> set[str]:
    return {cell.operator for cell in cells}


def test_every_kind_of_edit_is_in_the_sweep(bench: Bench, outcomes: Outcomes) -> None:
    kinds = {"push", "bias", "bit_flip", "random_fault", "paper_push", *WEIGHT_CELLS}
    assert _operators(bench.plan.cells) == kinds
    assert len(outcomes.actions) == len(bench.plan.actions)


def test_every_edit_changes_a_weight_and_takes_it_back(bench: Bench) -> None:
    classifier = bench.classifier
    before = classifier.fingerprint()
    for number, cell in enumerate(bench.plan.actions):
        assert cell.edit is not None
        with applied(classifier.model, classifier.output_layer, cell.edit):
            # The whole hash of every tenth; `applied` itself refuses an edit that changes nothing.
            assert number % 10 or classifier.fingerprint() != before
        assert number % 10 or classifier.fingerprint() == before
    assert classifier.fingerprint() == before


def test_routes_agree_with_the_edited_model_itself(bench: Bench) -> None:
    with tapped(bench.classifier) as tap:
        engine = Engine(bench.classifier, _site(bench), 0, tap)
        checks = verify_routes(engine, bench.encoded, bench.plan, np.arange(N))
    assert {check.route for check in checks} == {HEAD_ROUTE, SUFFIX}
    assert [check for check in checks if not check.passed] == []


def test_outcomes_are_those_of_a_model_with_the_bits_flipped_by_hand(
    bench: Bench, outcomes: Outcomes
) -> None:
    cells = [c for c in bench.plan.cells if c.operator == "bit_flip" and c.layers is None]
    inputs = bench.found.activations.head_input.astype(np.float64)
    for cell in [c for c in cells if c.bit_kind == "mantissa"]:
        weight = bench.classifier.head_weight.astype(np.float64)
        for change in cell.edit.changes:  # type: ignore[union-attr]
            weight.reshape(-1)[change.index] = change.after
        said = (inputs @ weight.T + bench.classifier.head_bias).argmax(axis=1)
        assert np.array_equal(outcomes.predicted[outcomes.row[cell.action]], said)


def test_outcomes_of_random_faults_are_those_of_a_model_edited_by_hand(
    bench: Bench, outcomes: Outcomes
) -> None:
    cells = [c for c in bench.plan.cells if c.group == "fault" or c.operator == "random_fault"]
    assert {c.part for c in cells} == set(KINDS)
    classifier, weights = bench.classifier, dict(bench.classifier.model.named_parameters())
    batch = classifier.collate(bench.encoded, np.arange(N))
    for cell in cells:
        name, _, place = str(cell.weight).removesuffix("]").rpartition("[")
        weight = weights[name].detach()
        number = weight.view(-1)[int(place)].clone()
        with torch.inference_mode():
            weight.view(-1).view(torch.int32)[int(place)] ^= torch.tensor(
                np.array([1 << int(cell.bit or 0)], np.uint32).view(np.int32)
            )[0]
            said = classifier.logits(batch)
            weight.view(-1)[int(place)] = number
        if not said.isnan().any():  # which of several that are none wins is no matter
            top = said.sort(dim=1).values
            sure = (top[:, -1] - top[:, -2] > 1e-3).numpy()
            found = outcomes.predicted[outcomes.row[cell.action]]
            assert np.array_equal(found[sure], said.argmax(1).numpy()[sure])


def test_a_searched_flip_does_more_harm_than_random_ones(bench: Bench, outcomes: Outcomes) -> None:
    wrong = {a: (outcomes.predicted[i] != bench.labels).mean() for a, i in outcomes.row.items()}
    for format in ("fp32", "fp16"):
        cells = [
            c
            for c in bench.plan.cells
            if c.operator == "bit_flip" and c.format == format
            and c.layers is None and c.strength == 1 and c.target is None
        ]  # fmt: skip
        searched = max(wrong[c.action] for c in cells if c.selection == "searched")
        random = [wrong[c.action] for c in cells if c.selection == "random"]
        assert searched >= max(random)


def test_chosen_bits_are_kept_for_the_next_run(bench: Bench) -> None:
    again = bench.again()
    assert sorted(again.flips, key=repr) == sorted(
        (choice for choice in bench.source.flips if choice.flips), key=repr
    )
    assert [p.name for p in again.parts] == [p.name for p in bench.source.parts]
    assert any(choice.part != HEAD for choice in again.flips)


def test_no_gradient_is_left_behind(bench: Bench) -> None:
    for parameter in bench.classifier.model.parameters():
        assert not parameter.requires_grad and parameter.grad is None
    assert not torch.is_inference_mode_enabled()


def test_without_formats_nothing_is_searched(bench: Bench, tmp_path: Path) -> None:
    grid = bench.run.config.grid.model_copy(update={"bit_formats": ()})
    config = bench.run.config.model_copy(update={"grid": grid})
    run = Run(RunFolder.claim(tmp_path / "run"), config, Silent())
    fresh = replace(bench.source, parts=(), flips=())
    subject = _subject(bench.classifier, bench.encoded)
    source = with_weights(run, subject, bench.found, fresh)
    assert source.flips == () and source.parts
    assert not run.folder.has("flips.parquet")
